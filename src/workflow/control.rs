//! What a run tells of the way that it goes.

use super::{Notice, Warning};
pub use crate::progress::Control;

impl Control {
    /// Tells what was found out.
    pub fn tell(&self, notice: &Notice) {
        self.progress().note(&notice.to_string());
    }

    /// Tells what is probably not meant.
    pub fn warn(&self, warning: Warning) {
        self.tell(&Notice::Warning(warning));
    }
}

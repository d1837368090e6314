//! Debian's registry, filled with images that the tests make.

use serde_json::Value;
pub use support::registry::{Registry, USER};

use super::layout::Layout;

/// A registry that images are put into.
pub trait Filled {
    /// Has skopeo put an image here, in OCI's form (`oci`) or in Docker's (`v2s2`). Returns its name.
    fn push(&self, layout: &Layout, image: &Value, name: &str, format: &str) -> String;
}

impl Filled for Registry {
    fn push(&self, layout: &Layout, image: &Value, name: &str, format: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        layout.write(dir.path(), image);
        self.copy(dir.path(), name, format)
    }
}

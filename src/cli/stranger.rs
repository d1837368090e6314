//! Cards of strangers: nobody knows what is on one that is put in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::disk::ReadAt;
use crate::image_reader::ImageReader;

/// What `look` finds on a card. Its bytes may be anybody's, and those who read them are other people's code: where one
/// of them panics, nothing is found.
pub(super) fn stranger<T>(card: Arc<dyn ReadAt>, look: impl FnOnce(&ImageReader) -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| look(&ImageReader::of(card).ok()?))).ok().flatten()
}

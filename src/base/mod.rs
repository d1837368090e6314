//! Base images.

mod tap;

pub use tap::Tap;

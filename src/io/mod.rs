//! Mechanisms that several rooms share. This room knows nobody: no file system inside an image, no
//! Pi, no cluster, and nothing of who asks.

pub mod lock;
mod waiting;

pub use lock::{FileLock, LockError};
pub use waiting::Waiting;

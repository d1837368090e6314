//! Mechanisms that several rooms share, each of which exists once. This room knows nobody: no file
//! system inside an image, no Pi, no cluster, and nothing of who asks.

pub(crate) mod aligned;
mod assignment;
pub(crate) mod atomic;
pub(crate) mod be;
pub mod cancel;
pub mod chunk;
mod direct;
pub(crate) mod extents;
pub mod folder;
mod free_space;
pub(crate) mod le;
pub mod lock;
pub(crate) mod magic;
mod nearest;
pub mod ownership;
pub mod pool;
mod read;
mod shell;
mod size;
mod stamp;
pub mod stream;
mod surroundings;
mod waiting;
mod workers;
mod zero;

pub(crate) use aligned::{AlignedBuf, is_aligned};
pub(crate) use assignment::assignment;
pub(crate) use atomic::AtomicFile;
pub use cancel::{CancelToken, Cancelled};
pub(crate) use direct::Direct;
pub use folder::Folder;
pub(crate) use free_space::free_space;
pub use lock::{FileLock, LockError};
pub(crate) use nearest::nearest;
pub use ownership::Owner;
pub(crate) use read::fill;
pub use read::read_small;
pub use shell::shell_word;
pub use size::{human_bytes, sold_size};
pub(crate) use stamp::Stamp;
pub use surroundings::{Surrounding, surroundings};
pub use waiting::Waiting;
pub(crate) use workers::at_once;
pub(crate) use zero::is_zero;

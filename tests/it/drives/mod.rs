//! Which drives may be written, on machines of all kinds, and who opens them.

mod machines;
mod paths;
mod recorded;
#[cfg(target_os = "linux")]
mod udisks;

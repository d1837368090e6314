//! Which drives may be written, on machines of all kinds.

mod machines;
mod paths;
mod recorded;

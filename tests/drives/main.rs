//! Which drives may be written, on machines of all kinds.

mod mac;
mod machines;
mod paths;
mod recorded;

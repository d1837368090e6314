//! YAML as cloud-init reads it: PyYAML's YAML 1.1, in which `0755` is octal, `no` is false and
//! `12:30:00` is a number of seconds.
//!
//! Two documents are joined here without saying what a scalar means: it is written as it was
//! found, so that the reader on the node decides, as it would have done with the user's own file.
//! What the two kinds of reader do not take alike is refused.

mod emit;
mod node;
mod read;
mod resolve;

pub(super) use emit::{emit, has_jinja};
pub(super) use node::{Form, Kind, Node};
pub(super) use read::{Fault, is_jinja, read};
pub(super) use resolve::{is_false, is_true};

//! Reaching nodes by SSH, as `.pibake/ssh_config` says: by the `ssh` of this machine, so that the user's agent, keys
//! and habits count.

mod answer;
mod reached;
mod via;

pub(super) use answer::{Answer, other_key};
pub(super) use reached::{Reached, Route, Way};
pub(super) use via::Via;

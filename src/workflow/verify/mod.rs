//! A card read back: against the recipe of its node, the bill that was written with it, or both.
//!
//! [`bake::Comparison`](crate::bake::Comparison) looks at the paths, as it does after a bake. Here it is decided what is
//! compared, and which of the differences are the ordinary life of a node: `ordinary` knows what a first boot takes away
//! and fetches again.

mod card;
mod ordinary;
mod outcome;
mod packages;
mod promised;
mod run;

pub use crate::bill::Listed;
pub use outcome::{Difference, Ordinary, Verified};
pub use promised::{Promised, read_bill, recipe};
pub use run::verify;

//! The way from a description to baked nodes, as `build`, `flash`, `boot` and `plan` all go it.
//!
//! ```text
//! Described::open      the description is read, and what is probably not meant is told
//!   .preview(node)     what would be baked, with what is here; nothing is made           (plan)
//!   .difference(node)  the same against a card that was baked before                     (plan --diff)
//!   .choose(nodes)     Chosen: whose cards are made, and whether with them a new cluster begins
//!     .refuse_early()  what cannot be built ends here, before anything is downloaded or written
//!     .prepare(base)   Prepared: the base is here, its system known, each node's recipe made, once; and what is
//!                      preloaded is fetched, and laid into the base
//!       .bake(node)    the node's changes over the base, read back
//!       .bills()       what is on each card, as a document
//!       .finish()      the base is still what it was
//! ```
//!
//! Each state is a type, so that no command can leave out a step, or take two of them in another order. What a
//! command does with what comes out (files, cards, a virtual machine) is its own.

mod base;
mod bills;
mod change;
mod chosen;
mod control;
mod described;
mod difference;
mod ends;
mod error;
mod founding;
mod gather;
pub mod image;
mod lock;
mod own;
mod preload;
mod prepared;
mod preview;
mod scratch;
mod select;
mod system;
mod unlisted;
pub mod verify;
mod warning;

pub use base::{BaseRequest, Store, Wanted};
pub use bills::{Bills, Medium, bill_name, is_bill, put_bill};
pub use change::Change;
pub use chosen::Chosen;
pub use control::Control;
pub use described::{Described, project};
pub use difference::{CardDifference, PayloadDifference};
pub use error::{Error, Unexamined};
pub use gather::{Gathered, Updated};
pub use lock::lock_path;
pub use own::own;
pub use prepared::Prepared;
pub use preview::{Preload, Preview};
pub use scratch::{Scratch, private_dir};
pub use select::NodeSelector;
pub use unlisted::Unlisted;
pub use warning::{Notice, Warning};

//! pibake turns a description of a Kubernetes cluster into one bootable SD card image per
//! Raspberry Pi. The modules stand in the order in which the data passes through them; a
//! module may use those above it in its half, never those below.
//!
//! Half one knows what is asked and nothing of disks: [`cluster`], [`identity`], [`recipe`].
//! Half two knows disks and nothing of Kubernetes: [`disk`], [`fs`], [`base`], [`sink`].
//! [`bake`] joins the halves; [`project`] opens a description with its secrets; [`cli`] and
//! [`ui`] alone talk to people.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cluster;
pub mod disk;
pub mod identity;
pub mod image_path;
pub mod progress;
pub mod project;
pub mod recipe;
pub mod ui;

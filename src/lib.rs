//! pibake turns a description of a Kubernetes cluster into one bootable SD card image per
//! Raspberry Pi.
//!
//! One half knows what is asked and nothing of disks: [`cluster`], [`identity`], [`recipe`], opened
//! together as a [`project`]. The other knows disks and nothing of Kubernetes: [`disk`], [`fs`],
//! [`opened`], [`emulator`], [`drives`]. [`bake`] joins them, [`workflow`] goes the whole way,
//! and only [`cli`] and [`ui`] talk to people.
// allowed in disk/ioctl.rs alone
#![deny(unsafe_code)]
#![warn(missing_docs)]
// What a user or a disk can cause is an error, never a panic; tests may panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::todo, clippy::unimplemented, clippy::dbg_macro))]
#![warn(unreachable_pub, clippy::must_use_candidate)]

// An image on which an editor panics is refused with a sentence (`bake` catches it), and threads hand their
// panics on. Both need unwinding.
#[cfg(panic = "abort")]
compile_error!("pibake needs panic = \"unwind\": it catches panics of file system editors");

pub mod bake;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod cluster;
pub mod disk;
pub mod drives;
pub mod emulator;
pub mod error;
pub mod firmware;
pub mod fs;
pub mod identity;
pub mod image_path;
pub mod io;
pub mod node_paths;
pub mod opened;
pub mod progress;
pub mod project;
pub mod recipe;
#[cfg(test)]
mod rooms;
pub mod sink;
pub mod ui;
pub mod workflow;

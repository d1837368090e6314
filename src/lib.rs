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

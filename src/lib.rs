//! pibake turns a description of a Kubernetes cluster into one bootable SD card image per
//! Raspberry Pi. The modules stand in the order in which the data passes through them; a
//! module may use those above it, never those below.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bake;
pub mod cli;
pub mod cluster;
pub mod disk;
pub mod emulator;
pub mod fs;
pub mod identity;
pub mod image_path;
pub mod opened;
pub mod progress;
pub mod project;
pub mod recipe;
pub mod ui;

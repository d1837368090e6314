//! pibake turns a description of a Kubernetes cluster into one bootable SD card image per
//! Raspberry Pi.
//!
//! One half knows what is asked and nothing of disks: [`cluster`], [`identity`], [`recipe`], opened
//! together as a [`project`]. The other knows disks and nothing of Kubernetes: [`disk`], [`fs`],
//! [`image_reader`], [`emulator`], [`drives`]. [`bake`] joins them, [`workflow`] goes the whole way,
//! and only [`cli`] and [`ui`] talk to people. `docs/architecture.md` has the rooms, who may call whom,
//! and the way of a byte from Ubuntu's server to the card.
//!
//! # What will be on a card
//!
//! A description, a node of it, the system that it runs on: from these a [`recipe::Recipe`] is made, all that
//! changes on the node's card. Neither a base image nor secrets are needed to look at it.
//!
//! ```
//! use std::path::Path;
//!
//! use pibake::cluster::{Cluster, Overrides, Platform};
//! use pibake::image_path::ImagePath;
//! use pibake::recipe::{self, Extras, show};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "nodes = 4\n[network]\nsubnet = \"10.42.0.0/24\"\n";
//! let cluster = Cluster::parse("pibake.toml", text, Path::new("."), &Overrides::default())?;
//! let platform = Platform::named("20.04").ok_or("an unknown platform")?;
//!
//! let recipe = recipe::preview(&cluster, None, &cluster.nodes[1], &platform, &Extras::load(&cluster)?)?;
//! let hostname = show::at(&recipe, &ImagePath::new("/etc/hostname")?);
//! assert_eq!(show::text(hostname[0]), "node-2\n");
//! # Ok(())
//! # }
//! ```
//!
//! [`recipe::recipe`] makes the same with the cluster's secrets in it, and [`bake::bake`] applies that over a base
//! image, which is only read: what comes out is a [`disk::Patch`], the blocks in which the node's image differs.
//!
//! # What is stable
//!
//! From 1.0 on, the program's commands, options, exit codes and JSON, the keys of pibake.toml, and what is in
//! `.pibake/` follow semantic versioning; until then CHANGELOG.md names every change of them. The library is
//! there for the program, its tests, benchmarks and fuzz targets: any release may change it.
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

pub mod apt;
pub mod bake;
pub mod base;
pub mod bill;
pub mod boards;
pub mod catalog;
pub mod cli;
pub mod cluster;
pub mod disk;
pub mod drives;
pub mod emulator;
pub mod error;
pub mod firmware;
pub mod fleet;
pub mod fs;
pub mod http;
pub mod identity;
pub mod image_path;
pub mod image_reader;
pub mod io;
pub mod node_paths;
pub mod oci;
pub mod payload;
pub mod progress;
pub mod project;
pub mod recipe;
pub mod registry;
#[cfg(test)]
mod rooms;
pub mod sink;
pub mod ui;
pub mod workflow;

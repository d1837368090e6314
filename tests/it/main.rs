//! All tests that need nothing but the packages of tests/packages.txt, as one program: linked once, and each
//! found by its subject (`cargo test --test it recipe::`).
//!
//! They run side by side in one process. So none changes what belongs to the process: environment, working
//! directory, umask, limits, signals. What must, does so in a process of its own: most run `pibake` itself.

mod apt;
mod bake;
mod base;
mod bases;
mod boot_command;
mod cluster;
mod commands;
mod drives;
mod first_boot;
mod fixture;
mod fleet;
mod fs;
mod grow;
mod identity;
mod life;
mod oci;
mod outside_bytes;
mod packaging;
mod payload;
mod recipe;
mod sink;
mod writable;

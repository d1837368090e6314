//! What is baked, seen as files: kept as golden files, read by the programs that will read them.

#[path = "../support/mod.rs"]
mod support;

mod api;
mod documents;
mod fixture;
mod golden;
mod odd;
mod overlays;
mod programs;
mod pyyaml;
mod rules;

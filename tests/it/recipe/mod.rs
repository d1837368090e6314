//! What is baked, seen as files: kept as golden files, read by the programs that will read them.

mod api;
mod documents;
mod golden;
mod odd;
mod overlays;
mod programs;
mod pyyaml;
mod rules;
mod software;

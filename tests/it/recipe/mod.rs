//! What is baked, seen as files: kept as golden files, read by the programs that will read them.

mod api;
mod documents;
mod dual;
mod golden;
mod links;
mod odd;
mod overlays;
mod programs;
mod pyyaml;
mod radius;
mod rules;
mod software;

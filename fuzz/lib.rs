//! What the fuzz targets do, and an ordinary test (`tests/it/outside_bytes.rs`) for a short while.

pub mod checks;
pub mod panics;
pub mod patch;
pub mod seeds;
pub mod text;
pub mod whole;

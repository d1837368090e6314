//! Downloads against servers as they are: unsigned, wrong, slow, cut off, changed, behind proxies.

mod network;
mod nginx;
mod progress;
mod resume;
mod retry;
mod series;
mod trust;

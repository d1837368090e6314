//! Where images come from: the built-in sample, servers and their signatures, the cache.

mod cache;
mod download;
mod sample;
mod signature;

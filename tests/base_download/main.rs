//! Downloads against servers as they are: unsigned, wrong, slow, cut off, changed, behind proxies.

mod network;
mod nginx;
mod progress;
mod resume;
mod retry;
mod trust;

#[path = "../support/fetching.rs"]
mod fetching;
#[path = "../support/gpg.rs"]
mod gpg;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/nginx.rs"]
mod web;

//! What is kept between runs: used again, shared, checked, and never trusted where it is not whole.

mod damage;
mod local;
mod offline;
mod processes;

#[path = "../support/fetching.rs"]
mod fetching;
#[path = "../support/gpg.rs"]
mod gpg;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/mod.rs"]
mod support;

//! What is kept between runs: used again, shared, checked, and never trusted where it is not whole.

mod damage;
mod local;
mod offline;
mod processes;

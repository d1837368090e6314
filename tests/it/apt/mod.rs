//! Repositories, what is in them, and which of it a base needs: apt itself is asked about all of it.

mod closure;
mod signed;
mod world;

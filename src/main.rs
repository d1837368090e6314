//! The `pibake` program: parse, run, print the error, choose the exit code; nothing else.

fn main() {}

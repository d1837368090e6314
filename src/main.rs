//! The `pibake` program: parse, run, print the error, choose the exit code; nothing else.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use pibake::cli::{Cli, describe};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (text, code) = describe(&error);
            // Whoever closed stderr still gets the exit code.
            let _ = writeln!(std::io::stderr(), "{text}");
            code
        }
    }
}

//! `pibake completions SHELL`

use clap::{Args, Command};
use clap_complete::Shell;

use super::json::Completions;
use super::session::Session;
use crate::error::{DoingAs, ErrorClass, Failure};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake completions bash > ~/.local/share/bash-completion/completions/pibake\n  pibake completions zsh > ~/.zfunc/_pibake\n  pibake completions fish > ~/.config/fish/completions/pibake.fish"
)]
pub(super) struct Arguments {
    /// The shell to print it for
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, mut command: Command, session: &Session) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "pibake", &mut script);
    let script = String::from_utf8(script)
        .doing_as(ErrorClass::Internal, || format!("making the script for {}", arguments.shell))?;
    let document = Completions { shell: arguments.shell.to_string(), script };
    session.result(&document, || document.script.clone())
}

//! The command line: one file a command. Arguments in, calls out, words for people.

mod base_flags;
mod boot;
mod build;
mod completions;
mod description;
mod drives;
mod exit;
mod fetch;
#[cfg(target_os = "linux")]
mod flash;
mod images;
mod init;
mod inspect;
mod logs;
mod plan;
mod signals;
mod token;

pub use exit::describe;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::error::Failure;
use crate::ui::Ui;

/// Kubernetes-ready Raspberry Pi images, one per node, from one description.
#[derive(Debug, Parser)]
#[command(name = "pibake", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 verification failed \
                  (signature, digest, read-back); 4 refused for safety."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The description of the cluster; without this flag the nearest pibake.toml in this folder or above
    #[arg(short = 'C', long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print no progress and no notes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Increase log verbosity (-v info, -vv debug, -vvv trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Never use the network: what is neither here nor in the cache is an error
    #[arg(long, global = true)]
    offline: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a pibake.toml with every setting in it, commented
    Init(init::Arguments),
    /// Show what would be baked: the nodes, one node's changes, one file's text; secrets are masked
    Plan(plan::Arguments),
    /// Download, verify and cache the base image, nothing else
    Fetch(fetch::Arguments),
    /// Write one image per node
    Build(build::Arguments),
    /// Write nodes straight to SD cards
    #[cfg(target_os = "linux")]
    Flash(flash::Arguments),
    /// List the drives of this machine, and for each why it may or may not be written
    Drives(drives::Arguments),
    /// Look into an image or a card: its partitions, a directory, a file's content
    Inspect(inspect::Arguments),
    /// How the first boot went, read off a card or an image
    Logs(logs::Arguments),
    /// Run a node or an image in QEMU, as a Raspberry Pi 4, with its console here; Ctrl-A X leaves
    Boot(boot::Arguments),
    /// List, renew or revoke the tokens that nodes join with
    Token(token::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What went wrong; [`describe`] has the words and the exit code for it.
    pub fn run(self) -> Result<(), Failure> {
        let ui = Ui::new(self.global.json, self.global.quiet);
        ui.tell(self.global.verbose);
        match self.command {
            Command::Init(arguments) => init::run(&arguments, &ui),
            Command::Plan(arguments) => plan::run(&arguments, self.global.config.as_deref(), &ui),
            Command::Fetch(arguments) => {
                fetch::run(&arguments, self.global.config.as_deref(), self.global.offline, &ui)
            }
            Command::Build(arguments) => {
                build::run(&arguments, self.global.config.as_deref(), self.global.offline, &ui)
            }
            #[cfg(target_os = "linux")]
            Command::Flash(arguments) => {
                flash::run(&arguments, self.global.config.as_deref(), self.global.offline, &ui)
            }
            Command::Drives(arguments) => drives::run(&arguments, self.global.config.as_deref(), &ui),
            Command::Inspect(arguments) => inspect::run(&arguments, &ui),
            Command::Logs(arguments) => logs::run(&arguments, &ui),
            Command::Boot(arguments) => {
                boot::run(&arguments, self.global.config.as_deref(), self.global.offline, &ui)
            }
            Command::Token(arguments) => token::run(&arguments, self.global.config.as_deref(), &ui),
            Command::Completions(arguments) => completions::run(&arguments, &mut Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

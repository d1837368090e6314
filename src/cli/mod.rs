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
mod json;
mod logs;
mod plan;
mod session;
mod token;
mod update;
mod vendor;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Failure;
use session::{Global, Session};

/// Kubernetes-ready Raspberry Pi images, one per node, from one description.
#[derive(Debug, Parser)]
#[command(name = "pibake", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 verification failed \
                  (signature, digest, read-back); 4 refused for safety."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
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
    /// Look up packages and container images again, update pibake.lock, and show what changed
    Update(update::Arguments),
    /// Put all that a build needs into one folder, to carry it into a closed network
    Vendor(vendor::Arguments),
    /// List, renew or revoke the tokens that nodes join with
    Token(token::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

/// Does what the command line says, the program's name first, and prints what came of it.
#[must_use]
pub fn run(words: &[OsString]) -> ExitCode {
    match Cli::try_parse_from(words) {
        Ok(Cli { global, command }) => {
            let session = Session::begin(global);
            let done = command.run(&session);
            exit::end(done, session)
        }
        Err(said) => exit::without_command(&said, words.iter().any(|word| word == "--json")),
    }
}

impl Command {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Init(arguments) => init::run(arguments, session),
            Self::Plan(arguments) => plan::run(arguments, session),
            Self::Fetch(arguments) => fetch::run(arguments, session),
            Self::Build(arguments) => build::run(arguments, session),
            #[cfg(target_os = "linux")]
            Self::Flash(arguments) => flash::run(arguments, session),
            Self::Drives(arguments) => drives::run(arguments, session),
            Self::Inspect(arguments) => inspect::run(arguments, session),
            Self::Logs(arguments) => logs::run(arguments, session),
            Self::Boot(arguments) => boot::run(arguments, session),
            Self::Update(arguments) => update::run(arguments, session),
            Self::Vendor(arguments) => vendor::run(arguments, session),
            Self::Token(arguments) => token::run(arguments, session),
            Self::Completions(arguments) => completions::run(arguments, Cli::command(), session),
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

    /// A heading holds for all that follows it, until another one begins.
    #[test]
    fn what_is_under_the_heading_of_the_base_image_belongs_there() {
        const OWN: [&str; 5] =
            ["sha256", "insecure_base", "max_base_size", "network_tries", "network_timeout"];
        let is_under = |argument: &&clap::Arg| argument.get_help_heading() == Some("Getting the base image");
        for command in super::Cli::command().get_subcommands() {
            let under: Vec<_> =
                command.get_arguments().filter(is_under).map(|argument| argument.get_id().as_str()).collect();
            assert!(under.is_empty() || under == OWN, "{}: {under:?}", command.get_name());
        }
    }
}

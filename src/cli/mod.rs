//! The command line: one file a command. Arguments in, calls out, words for people.

#[cfg(target_os = "linux")]
mod awake;
mod backup;
mod baked;
mod base_flags;
mod boot;
mod build;
#[cfg(target_os = "linux")]
mod compared;
mod completions;
mod description;
#[cfg(test)]
mod documented;
mod drives;
mod exit;
mod fetch;
#[cfg(target_os = "linux")]
mod flash;
mod fleets;
mod gitignore;
mod images;
mod init;
mod inspect;
mod json;
mod key;
mod kubeconfig;
mod kubectl;
mod logs;
mod named;
mod next;
mod plan;
mod pull;
mod push;
#[cfg(target_os = "linux")]
mod readers;
#[cfg(test)]
mod reference;
mod remote;
mod remove;
mod restore;
mod session;
mod shortened;
mod ssh;
#[cfg(target_os = "linux")]
mod station;
mod status;
#[cfg(target_os = "linux")]
mod stranger;
mod talk;
mod token;
mod update;
mod upgrade;
mod vendor;
mod verify;
mod written;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Failure;
use session::{Global, Session};

/// Kubernetes-ready Raspberry Pi images, one per node, from one description.
#[derive(Debug, Parser)]
#[command(name = "pibake", version = env!("PIBAKE_VERSION"), propagate_version = true, max_term_width = 100)]
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
    /// Show what would be baked: the cluster, one node's changes, or one file; secrets are masked
    Plan(plan::Arguments),
    /// Download, verify and cache the base image
    Fetch(fetch::Arguments),
    /// Write one image per node
    Build(build::Arguments),
    /// Write nodes straight to SD cards
    #[cfg(target_os = "linux")]
    Flash(flash::Arguments),
    /// Put a cluster into a registry, so that other machines can write its cards
    Push(push::Arguments),
    /// Make images of nodes that are in a registry
    Pull(pull::Arguments),
    /// Write the cards of a cluster that is in a registry, one after the other, as they are put in
    #[cfg(target_os = "linux")]
    Station(station::Arguments),
    /// Show this machine's key for clusters in registries, or trust the key of one who pushes them
    Key(key::Arguments),
    /// List this machine's drives, and why each may or may not be written
    Drives(drives::Arguments),
    /// Look into an image or a card: its partitions, a directory, or a file
    Inspect(inspect::Arguments),
    /// Read a card or an image back, and name all that is not as it was baked
    Verify(verify::Arguments),
    /// Show how the first boot went, from a card or an image
    Logs(logs::Arguments),
    /// Run a node or an image in QEMU as a Raspberry Pi, with its console here; Ctrl-A X quits
    Boot(boot::Arguments),
    /// Look up packages and container images again, update pibake.lock, and show what changed
    Update(update::Arguments),
    /// Put all that a build needs into one folder, to carry it into a closed network
    Vendor(vendor::Arguments),
    /// List, renew or revoke the tokens that nodes join with
    Token(token::Arguments),
    /// Print the administrator's kubeconfig, or merge it into kubectl's own
    Kubeconfig(kubeconfig::Arguments),
    /// Log in to a node, or run a command on it
    Ssh(ssh::Arguments),
    /// Show how the nodes are: first boot, versions, certificates, free space, and what to do
    Status(status::Arguments),
    /// Fetch a copy of etcd from the control plane, and keep it together with a copy of .pibake
    Backup(backup::Arguments),
    /// Take a worker out of the cluster: drain, reset, delete, revoke
    Remove(remove::Arguments),
    /// Bring the nodes to another Kubernetes or containerd, or to newer packages, one after the other
    Upgrade(upgrade::Arguments),
    /// Make an image of the control plane that goes on with a copy of etcd
    Restore(restore::Arguments),
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
            Self::Push(arguments) => push::run(arguments, session),
            Self::Pull(arguments) => pull::run(arguments, session),
            #[cfg(target_os = "linux")]
            Self::Station(arguments) => station::run(arguments, session),
            Self::Key(arguments) => key::run(arguments, session),
            Self::Drives(arguments) => drives::run(arguments, session),
            Self::Inspect(arguments) => inspect::run(arguments, session),
            Self::Verify(arguments) => verify::run(arguments, session),
            Self::Logs(arguments) => logs::run(arguments, session),
            Self::Boot(arguments) => boot::run(arguments, session),
            Self::Update(arguments) => update::run(arguments, session),
            Self::Vendor(arguments) => vendor::run(arguments, session),
            Self::Token(arguments) => token::run(arguments, session),
            Self::Kubeconfig(arguments) => kubeconfig::run(arguments, session),
            Self::Ssh(arguments) => ssh::run(arguments, session),
            Self::Status(arguments) => status::run(arguments, session),
            Self::Backup(arguments) => backup::run(arguments, session),
            Self::Remove(arguments) => remove::run(arguments, session),
            Self::Upgrade(arguments) => upgrade::run(arguments, session),
            Self::Restore(arguments) => restore::run(arguments, session),
            Self::Completions(arguments) => completions::run(arguments, Cli::command(), session),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn each_command_has_examples_that_can_be_typed() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let help = command.clone().render_help().to_string();
            let (_, examples) =
                help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name} has no examples"));
            for line in examples.lines().filter(|line| line.trim_start().starts_with("pibake ")) {
                let typed = line.trim().split("  ").next().unwrap().split(" > ").next().unwrap();
                assert!(line.len() <= 100, "{name}: {line}");
                if let Err(said) = Cli::try_parse_from(typed.split(' ')) {
                    panic!("{typed}: {said}");
                }
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// A heading holds for all that follows it, until another one begins.
    #[test]
    fn what_is_under_the_heading_of_the_base_image_belongs_there() {
        const OWN: [&str; 5] =
            ["sha256", "insecure_base", "max_base_size", "network_tries", "network_timeout"];
        let is_under = |argument: &&clap::Arg| argument.get_help_heading() == Some("Getting the base image");
        for command in Cli::command().get_subcommands() {
            let under: Vec<_> =
                command.get_arguments().filter(is_under).map(|argument| argument.get_id().as_str()).collect();
            assert!(under.is_empty() || under == OWN, "{}: {under:?}", command.get_name());
        }
    }
}

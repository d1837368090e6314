//! The command line: one file a command. Arguments in, calls out, words for people.

mod backup;
mod baked;
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
mod kubeconfig;
mod kubectl;
mod logs;
mod named;
mod next;
mod plan;
mod remote;
mod session;
mod ssh;
mod status;
mod token;

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
    /// Print the administrator's kubeconfig, or merge it into kubectl's own
    Kubeconfig(kubeconfig::Arguments),
    /// Log in on a node, or run a command there
    Ssh(ssh::Arguments),
    /// How the nodes are: first boot, versions, certificates, room, and what to do
    Status(status::Arguments),
    /// Fetch a copy of etcd from the control plane, and keep it with one of .pibake
    Backup(backup::Arguments),
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
            Self::Token(arguments) => token::run(arguments, session),
            Self::Kubeconfig(arguments) => kubeconfig::run(arguments, session),
            Self::Ssh(arguments) => ssh::run(arguments, session),
            Self::Status(arguments) => status::run(arguments, session),
            Self::Backup(arguments) => backup::run(arguments, session),
            Self::Completions(arguments) => completions::run(arguments, Cli::command(), session),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{Command, CommandFactory, Parser};

    use super::Cli;

    /// All commands but `help`, and those below them, by the names of their man pages.
    fn commands() -> Vec<(String, Command)> {
        let without_help = |command: Command| command.disable_help_subcommand(true);
        // as released, whichever build this is
        let command = Cli::command().version(env!("CARGO_PKG_VERSION"));
        let mut root = without_help(command).mut_subcommand("token", without_help);
        root.build();
        let mut all = Vec::new();
        let mut left = vec![("pibake".to_owned(), root)];
        while let Some((name, command)) = left.pop() {
            left.extend(
                command
                    .get_subcommands()
                    .map(|below| (format!("{name}-{}", below.get_name()), below.clone())),
            );
            all.push((name, command));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

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

    /// `UPDATE_MAN=1 cargo test --lib man_pages` writes them anew.
    #[test]
    fn man_pages_say_what_the_help_does() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
        let update = std::env::var_os("UPDATE_MAN").is_some();
        let mut pages = std::collections::BTreeSet::new();
        for (name, command) in commands() {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .source(format!("pibake {}", env!("CARGO_PKG_VERSION")))
                .manual("pibake")
                .render(&mut page)
                .unwrap();
            let path = dir.join(format!("{name}.1"));
            if update {
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(&path, &page).unwrap();
            }
            let kept = std::fs::read(&path).unwrap_or_default();
            assert!(
                kept == page,
                "{} is out of date: UPDATE_MAN=1 cargo test --lib man_pages",
                path.display()
            );
            pages.insert(format!("{name}.1"));
        }
        let there: std::collections::BTreeSet<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(there, pages);
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

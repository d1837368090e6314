//! What is made of the help: man pages, and the page of all commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};

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
            command.get_subcommands().map(|below| (format!("{name}-{}", below.get_name()), below.clone())),
        );
        all.push((name, command));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Compares `made` with the file that is kept, or writes it where UPDATE_MAN is set.
fn keep(path: &Path, made: &[u8]) {
    if std::env::var_os("UPDATE_MAN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, made).unwrap();
    }
    let kept = fs::read(path).unwrap_or_default();
    assert!(kept == made, "{} is out of date: UPDATE_MAN=1 cargo test --lib reference", path.display());
}

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[test]
fn man_pages_say_what_the_help_does() {
    let dir = docs().join("man");
    let mut pages = BTreeSet::new();
    for (name, command) in commands() {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .source(format!("pibake {}", env!("CARGO_PKG_VERSION")))
            .manual("pibake")
            .render(&mut page)
            .unwrap();
        keep(&dir.join(format!("{name}.1")), &page);
        pages.insert(format!("{name}.1"));
    }
    let there: BTreeSet<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, pages);
}

#[test]
fn the_page_of_commands_says_what_the_help_does() {
    let mut page = String::from(
        "# Commands\n\nWhat `pibake COMMAND --help` prints. The same is in the [man pages](man).\n",
    );
    for (name, command) in commands() {
        let name = name.replace('-', " ");
        // a narrow window wraps; the page does not
        let help = command.term_width(100).render_long_help().to_string();
        page += &format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
    }
    keep(&docs().join("commands.md"), page.as_bytes());
}

//! What the pages show of the command line, read by what reads it.

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use support::pages::{CommandLine, command_lines, pages, words};

use super::Cli;

/// What stands for something of the reader's, and what they may put there.
const PLACEHOLDERS: [(&str, &str); 3] = [("NODE", "node-2"), ("ADDRESS", "192.168.1.77"), ("FILE", "file")];

#[test]
fn each_command_line_in_the_documentation_is_one() {
    let (mut typed, mut mentioned) = (0, 0);
    let mut wrong = Vec::new();
    for page in pages(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        for CommandLine { place, words, to_be_typed } in command_lines(&page) {
            let words: Vec<String> = words.into_iter().filter(|word| word != "…").map(filled).collect();
            let said = match Cli::try_parse_from(&words) {
                Ok(_) => None,
                Err(error) => match error.kind() {
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
                    // a sentence names a command or an option, and need not say what goes with it
                    ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand if !to_be_typed => None,
                    ErrorKind::InvalidValue | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                        if !to_be_typed && lacks_a_value(&error) =>
                    {
                        None
                    }
                    _ => Some(error),
                },
            };
            wrong.extend(said.map(|error| format!("{place}: {}\n{error}", words.join(" "))));
            *(if to_be_typed { &mut typed } else { &mut mentioned }) += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(typed >= 30 && mentioned >= 60, "{typed} to be typed, {mentioned} mentioned");
}

fn filled(word: String) -> String {
    PLACEHOLDERS.iter().fold(word, |word, (name, value)| word.replace(name, value))
}

fn lacks_a_value(error: &clap::Error) -> bool {
    error.kind() != ErrorKind::InvalidValue || error.to_string().contains("a value is required for")
}

#[test]
fn lines_are_split_as_a_shell_splits_them() {
    for (line, expected) in [
        ("pibake plan   # the page", &["pibake", "plan"][..]),
        ("pibake boot --until 'a .* 1' --log a#b", &["pibake", "boot", "--until", "a .* 1", "--log", "a#b"]),
        ("pibake completions zsh > ~/.zfunc/_pibake", &["pibake", "completions", "zsh"]),
        ("pibake build --json 2>errors", &["pibake", "build", "--json"]),
        ("pibake plan \"\" && pibake build", &["pibake", "plan", ""]),
    ] {
        assert_eq!(words(line), expected);
    }
}

//! The command lines of the documentation, so that tests can hold them to what the program takes.

use std::path::{Path, PathBuf};

/// A command line of pibake that a page shows.
#[derive(Debug)]
pub struct CommandLine {
    /// Where it stands: the page, and the number of the line.
    pub place: String,
    /// What a shell would make of it, `pibake` first, without what it is redirected or piped to.
    pub words: Vec<String>,
    /// Whether it stands in a block, to be typed as it is; in a sentence it may be a mere mention.
    pub to_be_typed: bool,
}

/// All pages that are written by hand: those at the top of the repository `root`, and those in docs/.
pub fn pages(root: &Path) -> Vec<PathBuf> {
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    const MADE: [&str; 3] = ["commands.md", "settings.md", "first-hour.md"];
    let written = |page: &PathBuf| {
        page.extension() == Some("md".as_ref()) && !MADE.iter().any(|name| page.ends_with(name))
    };
    let mut pages: Vec<PathBuf> = top.into_iter().chain(docs.filter(written)).collect();
    pages.sort();
    pages
}

/// Every command line of the page.
pub fn command_lines(page: &Path) -> Vec<CommandLine> {
    let text = std::fs::read_to_string(page).unwrap();
    let name = page.file_name().unwrap().to_string_lossy().into_owned();
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        let bare = line.trim_start();
        if bare.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced || line.starts_with("    ") {
            let typed = bare.strip_prefix("$ ").unwrap_or(bare);
            let typed = typed.strip_prefix("sudo ").unwrap_or(typed);
            if typed.starts_with("pibake ") {
                found.push(CommandLine { place, words: words(typed), to_be_typed: true });
            }
        } else {
            for code in line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("pibake ")) {
                found.push(CommandLine { place: place.clone(), words: words(code), to_be_typed: false });
            }
        }
    }
    found
}

/// `line` as a shell splits it, up to a comment, a pipe, a redirection or the next command.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | ';' | '&') => {
                // 2> is no word before it
                word = word.filter(|word| c != '>' || !word.bytes().all(|b| b.is_ascii_digit()));
                break;
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

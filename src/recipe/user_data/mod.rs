//! The user's own cloud-init settings, joined with pibake's.
//!
//! Mappings are joined key by key, lists are appended to pibake's, and elsewhere the user's value
//! takes the place of pibake's: but not where that would undo what the cluster stands on, or open
//! a way in. That is refused, with the setting of pibake.toml that is meant for it.

mod reserved;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::yaml::{self, Fault, Form, Kind, Node};
use crate::error::{Classified, ErrorClass};

/// The user's cloud-init settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudConfig {
    /// The file that they are from, for messages.
    pub file: PathBuf,
    /// Its text, as in `#cloud-config`.
    pub text: String,
}

/// Why the user's cloud-init settings cannot be joined with pibake's. No line is quoted: there may
/// be a password on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {why}", file.display())]
pub struct ExtraError {
    /// The file with the settings.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to do instead.
    pub why: String,
}

impl Classified for ExtraError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

/// First words of user-data that is something else than cloud-config, as cloud-init tells it
/// (`handlers/__init__.py`, `INCLUSION_TYPES_MAP`), and what is usually sent before MIME parts.
const OTHER_KINDS: &[&str] = &[
    "#include",
    "#!",
    "#upstart-job",
    "#part-handler",
    "#cloud-boothook",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "content-type:",
    "mime-version:",
    "from nobody",
    "from ",
];

/// The user's settings, read and found not to undo what pibake sets up.
pub(super) struct Extra<'a> {
    file: &'a Path,
    jinja: bool,
    settings: Option<Node>,
}

impl CloudConfig {
    /// `own`, pibake's user-data for a node whose login is `user`, with these settings joined in.
    ///
    /// # Errors
    /// [`ExtraError`] for what cannot be read, and for settings that are pibake's to decide.
    pub fn merged_into(&self, own: &str, user: &str) -> Result<String, ExtraError> {
        self.read(user)?.merge(own)
    }

    /// Reads the settings, as those of a node whose login is `user`.
    pub(super) fn read(&self, user: &str) -> Result<Extra<'_>, ExtraError> {
        let read = || -> Result<Extra<'_>, Fault> {
            let jinja = yaml::is_jinja(&self.text);
            refuse_other_kinds(&self.text, jinja)?;
            let hint = |fault: Fault| match jinja {
                // pibake reads the file before cloud-init renders it.
                true => Fault::new(
                    fault.line,
                    format!(
                        "{}; a file with Jinja in it must be YAML before it is rendered, too: put {{{{ … }}}} in quotes",
                        fault.why
                    ),
                ),
                false => fault,
            };
            let mut settings = yaml::read(&self.text).map_err(hint)?.filter(|settings| !settings.is_null());
            if let Some(settings) = &mut settings {
                let Kind::Map(_) = settings.kind else {
                    return Err(Fault::new(
                        settings.line,
                        "cloud-init's settings are a mapping, `key: value`",
                    ));
                };
                if jinja {
                    check_jinja(settings)?;
                }
                reserved::check(settings, user)?;
            }
            Ok(Extra { file: &self.file, jinja, settings })
        };
        read().map_err(|fault| fault_in(&self.file, fault))
    }
}

fn fault_in(file: &Path, fault: Fault) -> ExtraError {
    ExtraError { file: file.to_owned(), line: fault.line.max(1), why: fault.why }
}

impl Extra<'_> {
    /// Every key and value as cloud-init will have it, however it is written in the file.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if let Some(mut settings) = self.settings.clone() {
            settings.each_scalar(&mut |text, _| texts.push(text.to_owned()));
        }
        texts
    }

    /// `own`, pibake's user-data, with these settings joined in.
    fn merge(&self, own: &str) -> Result<String, ExtraError> {
        let fault = |fault| fault_in(self.file, fault);
        let own = yaml::read(own).map_err(fault)?;
        let mut merged = own.unwrap_or_else(|| Node { kind: Kind::Map(Vec::new()), tag: None, line: 1 });
        if self.jinja {
            merged.each_scalar(&mut |text, form| {
                if text.contains('{') {
                    *form = Form::Shielded;
                }
            });
        }
        if let Some(settings) = &self.settings {
            merge(&mut merged, settings.clone());
        }
        let header = if self.jinja { "## template: jinja\n" } else { "" };
        Ok(format!(
            "{header}#cloud-config\n# Written by pibake, with the settings of [cloud-init] extra joined in.\n{}",
            yaml::emit(&merged)
        ))
    }

    /// Refuses `write_files` that would overwrite one of `baked`, absolute paths on the node.
    pub(super) fn check_files(&self, baked: &BTreeSet<String>) -> Result<(), ExtraError> {
        let Some(settings) = &self.settings else { return Ok(()) };
        reserved::check_files(settings, baked).map_err(|fault| fault_in(self.file, fault))
    }
}

fn refuse_other_kinds(text: &str, jinja: bool) -> Result<(), Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    // What stands after the line that asks for Jinja is told apart in the same way.
    for (number, line) in lines.take(1 + usize::from(jinja)) {
        let line = line.trim().to_ascii_lowercase();
        if line.starts_with("##")
            && line.contains("template:")
            && !(jinja && number == 0)
            && !yaml::is_jinja(&line)
        {
            return Err(Fault::new(
                number + 1,
                "the only templates that are kept for cloud-init are `## template: jinja`",
            ));
        }
        if OTHER_KINDS.iter().any(|kind| line.starts_with(kind)) {
            let why = "only #cloud-config can be joined with pibake's user-data; \
                       run a script from runcmd, or write it with write_files or an overlay";
            return Err(Fault::new(number + 1, why));
        }
    }
    Ok(())
}

/// What cannot be kept for cloud-init to render.
fn check_jinja(settings: &mut Node) -> Result<(), Fault> {
    fn keys(node: &Node) -> Result<(), Fault> {
        for (key, value) in node.entries() {
            if key.text().is_some_and(yaml::has_jinja) {
                return Err(Fault::new(
                    key.line,
                    "a key cannot be made by Jinja: pibake would not know what it sets",
                ));
            }
            keys(value)?;
        }
        node.items().iter().try_for_each(keys)
    }
    keys(settings)?;
    let mut odd = false;
    settings.each_scalar(&mut |text, form| {
        // What is on one line is written as it was. Blocks have no escapes.
        let printable = |c: char| {
            matches!(c, '\n' | '\t') || (!c.is_control() && !"\u{2028}\u{2029}\u{feff}".contains(c))
        };
        let long = *form == Form::Long || (*form == Form::Plain && text.contains('\n'));
        if long && yaml::has_jinja(text) {
            *form = Form::Long;
            odd |= !text.chars().all(printable) || text.trim_end_matches('\n').is_empty();
        }
    });
    match odd {
        true => Err(Fault::new(
            settings.line,
            "a text of several lines with Jinja in it holds characters that only escapes can write",
        )),
        false => Ok(()),
    }
}

fn merge(own: &mut Node, extra: Node) {
    match (&mut own.kind, extra.kind) {
        (Kind::Map(own), Kind::Map(extra)) => {
            for (key, value) in extra {
                match own.iter_mut().find(|(mine, _)| mine.is_same_key(&key)) {
                    Some((_, mine)) => merge(mine, value),
                    None => own.push((key, value)),
                }
            }
        }
        (Kind::List(own), Kind::List(extra)) => own.extend(extra),
        (_, kind) => *own = Node { kind, ..extra },
    }
}

#[cfg(test)]
mod tests;

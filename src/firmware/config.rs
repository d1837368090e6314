//! config.txt, read as the firmware reads it.
//!
//! Lines of `key=value`; `[filter]` lines, which let the lines that follow count for some boards or in
//! some cases alone; `include FILE`; comments that begin with `#`. Names are compared with their case,
//! the last value counts, and what is past the 98th character of a line is ignored. Filters of one
//! kind replace each other, those of different kinds must all be true, and `[all]` ends them. (From
//! "config.txt" and "Conditional filters" in Raspberry Pi's documentation.)
//!
//! What a filter such as `[gpio4=1]` or `[EDID=…]` decides is known only on the board. A setting below
//! it may hold or not, so what is found is a set: all that may be.

use std::collections::BTreeSet;

use super::error::{ConfigError, Error};
use super::files::{COMMAND_LINE, Files, read};
use crate::boards::{KINDS, Kind, OTHER_FILTERS};

/// What is past it in a line the firmware does not see.
const LINE_MAX: usize = 98;
/// Files that one configuration may include in all; a circle of them ends here.
const INCLUDES_MAX: usize = 32;
/// Longest configuration that is read, in bytes.
const CONFIG_MAX: usize = 1 << 20;

/// Where a configuration is read: on which kind of board, and whether in a trial boot.
#[derive(Debug)]
pub(super) struct World {
    pub kind: &'static Kind,
    pub is_trial: bool,
}

/// What the settings that pick files may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Of `os_prefix`, which is put before the names of what an operating system brings.
    pub prefixes: BTreeSet<String>,
    /// Of `cmdline`.
    pub names: BTreeSet<String>,
    /// Of `device_tree`; without it those that the firmware of this board looks for by itself.
    pub trees: BTreeSet<String>,
}

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Perhaps,
}

/// The filters that are in force, by their kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Filters {
    model: Truth,
    trial: Truth,
    other: Truth,
}

const NONE: Filters = Filters { model: Truth::Yes, trial: Truth::Yes, other: Truth::Yes };

impl Filters {
    fn pass(self) -> Truth {
        let all = [self.model, self.trial, self.other];
        match () {
            () if all.contains(&Truth::No) => Truth::No,
            () if all.contains(&Truth::Perhaps) => Truth::Perhaps,
            () => Truth::Yes,
        }
    }

    fn apply(&mut self, filter: &str, world: &World) {
        let truth = |yes| if yes { Truth::Yes } else { Truth::No };
        let is_model =
            || OTHER_FILTERS.contains(&filter) || KINDS.iter().any(|kind| kind.filters.contains(&filter));
        match filter {
            "all" => *self = NONE,
            "none" => self.other = Truth::No,
            "tryboot" => self.trial = truth(world.is_trial),
            _ if is_model() => self.model = truth(world.kind.filters.contains(&filter)),
            // a serial number, a pin, a screen; or a name that came after this was written
            _ => self.other = Truth::Perhaps,
        }
    }
}

/// Reads `config` and what it includes.
pub(super) fn evaluate<E: std::error::Error + 'static>(
    files: Files<'_, E>,
    config: &str,
    world: &World,
) -> Result<Settings, Error<E>> {
    let mut reader = Reader {
        files,
        world,
        filters: NONE,
        included: 0,
        settings: Settings {
            prefixes: BTreeSet::from([String::new()]),
            names: BTreeSet::from([COMMAND_LINE.to_owned()]),
            trees: world.kind.trees.iter().map(|tree| (*tree).to_owned()).collect(),
        },
    };
    reader.file(config)?;
    Ok(reader.settings)
}

struct Reader<'a, E> {
    files: Files<'a, E>,
    world: &'a World,
    filters: Filters,
    included: usize,
    settings: Settings,
}

impl<E: std::error::Error + 'static> Reader<'_, E> {
    fn file(&mut self, name: &str) -> Result<(), Error<E>> {
        // without a configuration, or with one that is not there, all defaults hold
        let Some(bytes) = read(self.files, name)? else { return Ok(()) };
        let fault = |line, why: String| ConfigError { file: name.to_owned(), line, why };
        if bytes.len() > CONFIG_MAX {
            return Err(fault(1, format!("it has {} bytes, which no configuration has", bytes.len())).into());
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut number = 1;
        for whole in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let this = number;
            number += usize::from(whole.ends_with(b"\n"));
            let raw = whole.strip_suffix(b"\n").or(whole.strip_suffix(b"\r")).unwrap_or(whole);
            let line = String::from_utf8_lossy(raw);
            let line = line.trim();
            if let Some(filter) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                self.filters.apply(filter.0.trim(), self.world);
            } else if let Some(included) = line.strip_prefix("include").filter(|r| r.starts_with([' ', '\t']))
            {
                self.include(included.trim()).map_err(|e| match e {
                    Included::Why(why) => fault(this, why).into(),
                    Included::Error(error) => error,
                })?;
            } else {
                self.setting(line, raw.len()).map_err(|why| fault(this, why))?;
            }
        }
        Ok(())
    }

    fn include(&mut self, name: &str) -> Result<(), Included<E>> {
        if self.filters.pass() == Truth::No || name.is_empty() {
            return Ok(());
        }
        self.included += 1;
        if self.included > INCLUDES_MAX {
            return Err(Included::Why("files include each other without an end".into()));
        }
        check_name(name).map_err(Included::Why)?;
        let outside = self.filters;
        self.file(name).map_err(Included::Error)?;
        if self.filters != outside {
            // whether filters of an included file hold after it is not written down anywhere
            self.filters = Filters { other: Truth::Perhaps, ..outside };
        }
        Ok(())
    }

    fn setting(&mut self, line: &str, len: usize) -> Result<(), String> {
        let Some((key, value)) = line.split_once('=') else { return Ok(()) };
        let mut pass = self.filters.pass();
        let (name, value) = (key.trim(), value.trim());
        let values = match name {
            _ if line.starts_with('#') || pass == Truth::No => return Ok(()),
            "cmdline" => &mut self.settings.names,
            "os_prefix" => &mut self.settings.prefixes,
            "device_tree" => &mut self.settings.trees,
            _ => return Ok(()),
        };
        // what is made of a name here is an edit of that file, and a device tree is only looked for
        let is_edited = name != "device_tree";
        if len > LINE_MAX && is_edited {
            return Err(format!("the firmware reads {LINE_MAX} characters of a line, and {name}= has more"));
        }
        if key != name || line.split_once('=').is_some_and(|(_, v)| v != value) {
            // with spaces around the sign it may be taken for another name
            pass = Truth::Perhaps;
        }
        let value = match (name, value) {
            ("cmdline", "") => COMMAND_LINE,
            (_, value) => value,
        };
        if !value.is_empty() && is_edited {
            // a prefix is put before the name as it is, and mostly a folder
            check_name(value.strip_suffix('/').unwrap_or(value))?;
        }
        if pass == Truth::Yes {
            values.clear();
        }
        values.insert(value.to_owned());
        Ok(())
    }
}

/// What an `include` line leads to.
enum Included<E: std::error::Error + 'static> {
    Why(String),
    Error(Error<E>),
}

/// Refuses a name that leads away from the boot partition, or nowhere.
fn check_name(name: &str) -> Result<(), String> {
    let parts = || name.split(['/', '\\']);
    let why = match () {
        () if name.contains(char::REPLACEMENT_CHARACTER) => "is not UTF-8",
        () if name.chars().any(char::is_control) => "holds a control character",
        () if name.starts_with('/') => "is absolute: names are relative to the boot partition",
        () if parts().any(|part| part == "..") => "leads out of its folder",
        () if name.contains('\\') || parts().any(|part| part.is_empty() || part == ".") => {
            "is not the name of a file"
        }
        () if name.len() > LINE_MAX => "is too long",
        () => return Ok(()),
    };
    Err(format!("{name:?} {why}"))
}

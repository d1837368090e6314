//! apt's preferences: which of the versions that are to be had is the one to install (apt_preferences(5)).
//!
//! Records with `Package: *` give a priority to sources; those with names to versions, and the first that matches
//! decides. A version has the highest priority of its sources. The candidate is the version with the highest priority,
//! the later one where two have the same; it is earlier than what is installed only from 1000 on.

use std::io::BufRead;

use regex::{Regex, RegexBuilder};

use super::control::{ControlError, Stanzas};
use super::universe::{PackageId, Source, Universe, VersionId};
use crate::error::{Classified, ErrorClass};

/// Why preferences cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// They are no control file.
    #[error("reading the preferences")]
    Control(#[from] ControlError),
    /// A record cannot be understood.
    #[error("in the preferences' record at line {line}: {what}; see apt_preferences(5)")]
    Record {
        /// Where it starts.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

impl Classified for PinError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Control(error) => error.class(),
            Self::Record { .. } => ErrorClass::Configuration,
        }
    }
}

/// Preferences, in their order.
#[derive(Debug, Default)]
pub struct Pins(Vec<Pin>);

#[derive(Debug)]
struct Pin {
    /// Which packages; none for all, which pins their sources.
    packages: Vec<PackagePattern>,
    what: What,
    priority: Priority,
}

#[derive(Debug)]
struct PackagePattern {
    name: Pattern,
    of_source: bool,
    architecture: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    Number(i16),
    Never,
}

#[derive(Debug)]
enum What {
    Version(Pattern),
    Origin(Pattern),
    /// The keys of apt_preferences(5), and `-` for a word alone, which is an archive or a codename.
    Release(Vec<(char, Pattern)>),
}

/// A text, a glob as of fnmatch(3), or a regular expression between slashes. Case does not matter.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let expression = text.strip_prefix('/').and_then(|text| text.strip_suffix('/'));
        let expression = match expression.filter(|text| !text.is_empty()) {
            Some(expression) => expression.to_owned(),
            None => of_glob(text),
        };
        let regex = RegexBuilder::new(&expression).case_insensitive(true).size_limit(1 << 20).build();
        regex.map(Self).map_err(|_| format!("{text:?} is not a pattern"))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// The regular expression that matches what a glob does.
fn of_glob(glob: &str) -> String {
    let mut expression = "(?s)^".to_owned();
    let mut rest = glob;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        // a bracket closes at its second character at the earliest
        let inner = rest.strip_prefix(['!', '^']).unwrap_or(rest);
        let end = inner.char_indices().skip(1).find(|(_, c)| *c == ']').map(|(at, _)| at);
        match (first, end) {
            ('*', _) => expression.push_str(".*"),
            ('?', _) => expression.push('.'),
            ('\\', _) if !rest.is_empty() => {
                let escaped = rest.chars().next().unwrap_or_default();
                rest = &rest[escaped.len_utf8()..];
                expression.push_str(&regex::escape(&escaped.to_string()));
            }
            ('[', Some(end)) => {
                expression.push_str(if inner.len() < rest.len() { "[^" } else { "[" });
                for c in inner[..end].chars() {
                    expression.push_str(&if c == '-' {
                        "-".to_owned()
                    } else {
                        regex::escape(&c.to_string())
                    });
                }
                expression.push(']');
                rest = &inner[end + 1..];
            }
            _ => expression.push_str(&regex::escape(&first.to_string())),
        }
    }
    expression + "$"
}

impl Pins {
    /// No preferences at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the text of `/etc/apt/preferences` or of a file in `/etc/apt/preferences.d`. Several such files are
    /// read one after the other, in the order of their names, with the first of these last.
    ///
    /// # Errors
    /// Records that mean nothing, with their line.
    pub fn add(&mut self, preferences: impl BufRead) -> Result<(), PinError> {
        let mut stanzas = Stanzas::new(preferences);
        while let Some(stanza) = stanzas.next()? {
            let line = stanza.line();
            let wrong = |what: String| PinError::Record { line, what };
            let package = stanza.get("Package")?.ok_or_else(|| wrong("it has no Package".to_owned()))?;
            // as apt does, who says what packages are for in comments
            let Some(pin) = stanza.get("Pin")? else { continue };
            let priority = stanza.get("Pin-Priority")?.unwrap_or_default();
            self.0.push(Pin::read(package, pin, priority).map_err(wrong)?);
        }
        Ok(())
    }

    /// The version that would be installed, as apt's policy has it; none where all are kept away.
    pub(super) fn candidate(&self, universe: &Universe, package: PackageId) -> Option<VersionId> {
        let package = universe.package(package);
        let mut best: Option<(i32, VersionId)> = None;
        for id in &package.versions {
            let priority = self.of_version(universe, *id);
            let earlier = || {
                package.current.is_some_and(|current| {
                    let (a, b) = (universe.version_text(*id), universe.version_text(current));
                    super::version::compare(a, b).is_lt()
                })
            };
            if priority > best.map_or(0, |(priority, _)| priority) && (priority >= 1000 || !earlier()) {
                best = Some((priority, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn of_version(&self, universe: &Universe, id: VersionId) -> i32 {
        let version = universe.version(id);
        let pinned = self.0.iter().find(|pin| pin.is_for_version(universe, id));
        let is_never = |number: &u16| self.of_source(universe, *number) == Priority::Never;
        if let Some(Pin { priority: Priority::Number(number), .. }) = pinned
            && !version.sources.iter().all(is_never)
        {
            return i32::from(*number);
        }
        let is_current = universe.package(version.package).current == Some(id);
        let priorities = version.sources.iter().map(|number| {
            if universe.sources[usize::from(*number)].is_status() && !is_current {
                return -1;
            }
            match self.of_source(universe, *number) {
                Priority::Number(number) => i32::from(number),
                Priority::Never => i32::from(i16::MIN),
            }
        });
        priorities.max().unwrap_or(0)
    }

    fn of_source(&self, universe: &Universe, number: u16) -> Priority {
        let source = &universe.sources[usize::from(number)];
        let mut pins = self
            .0
            .iter()
            .filter(|pin| pin.packages.is_empty() && pin.what.matches_source(source, &universe.architecture));
        let first = pins.next().map(|pin| pin.priority);
        if first == Some(Priority::Never) || pins.any(|pin| pin.priority == Priority::Never) {
            return Priority::Never;
        }
        let is_secondary = source.is_status() || source.but_automatic_upgrades;
        first.unwrap_or(Priority::Number(match source.not_automatic {
            _ if is_secondary => 100,
            true => 1,
            false => 500,
        }))
    }
}

impl Pin {
    fn read(packages: &str, pin: &str, priority: &str) -> Result<Self, String> {
        let priority = match priority {
            "never" => Priority::Never,
            "" => return Err("it has no Pin-Priority".to_owned()),
            text => match text.parse() {
                Ok(0) => return Err("Pin-Priority 0 means nothing".to_owned()),
                Ok(number) => Priority::Number(number),
                Err(_) => return Err(format!("Pin-Priority {text:?} is not a number from -32768 to 32767")),
            },
        };
        let (kind, data) = pin.split_once(|c: char| c.is_whitespace()).unwrap_or((pin, ""));
        let data = data.trim();
        let packages: Vec<PackagePattern> = match packages {
            "*" => Vec::new(),
            names => names.split_ascii_whitespace().map(PackagePattern::new).collect::<Result<_, _>>()?,
        };
        let what = match kind.to_ascii_lowercase().as_str() {
            "version" if !packages.is_empty() => What::Version(Pattern::new(data)?),
            "release" => What::Release(release(data)?),
            "origin" => {
                let bare = data.strip_prefix('"').and_then(|data| data.strip_suffix('"'));
                What::Origin(Pattern::new(bare.unwrap_or(data))?)
            }
            _ => return Err(format!("{pin:?} is not a pin of a version, a release or an origin")),
        };
        if priority == Priority::Never && !packages.is_empty() {
            return Err("the priority never is for Package: * alone".to_owned());
        }
        Ok(Self { packages, what, priority })
    }

    fn is_for_version(&self, universe: &Universe, id: VersionId) -> bool {
        let version = universe.version(id);
        let name = universe.name(version.package);
        let is_named = |pattern: &PackagePattern| {
            let name = if pattern.of_source { universe.str(version.source_package) } else { name };
            let native = [universe.architecture.as_str(), "native", "any"];
            pattern.architecture.as_deref().is_none_or(|a| native.contains(&a)) && pattern.name.matches(name)
        };
        self.packages.iter().any(is_named)
            && match &self.what {
                What::Version(pattern) => pattern.matches(universe.version_text(id)),
                what => version.sources.iter().any(|number| {
                    what.matches_source(&universe.sources[usize::from(*number)], &universe.architecture)
                }),
            }
    }
}

impl PackagePattern {
    fn new(text: &str) -> Result<Self, String> {
        let of_source = text.starts_with("src:");
        let name = text.strip_prefix("src:").unwrap_or(text);
        let (name, architecture) = match name.rsplit_once(':') {
            Some((name, architecture)) => (name, Some(architecture.to_owned())),
            None => (name, None),
        };
        Ok(Self { name: Pattern::new(name)?, of_source, architecture })
    }
}

/// The keys of a pin of releases: `o=Debian,a=stable*`, or a word alone.
fn release(data: &str) -> Result<Vec<(char, Pattern)>, String> {
    if data == "*" {
        return Ok(Vec::new());
    }
    if !data.contains('=') {
        let key = if data.starts_with(|c: char| c.is_ascii_digit()) { 'v' } else { '-' };
        return match data {
            "" => Err("the pin names no release".to_owned()),
            data => Ok(vec![(key, Pattern::new(data)?)]),
        };
    }
    let read = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key.to_ascii_lowercase().as_bytes() {
            [key @ (b'v' | b'o' | b'a' | b'n' | b'l' | b'c' | b'b')] if !value.is_empty() => {
                Ok((char::from(*key), Pattern::new(value)?))
            }
            _ => Err(format!("{part:?} is not a key of a release with a value")),
        }
    };
    data.split(',').map(str::trim).map(read).collect()
}

impl What {
    fn matches_source(&self, source: &Source, architecture: &str) -> bool {
        // what a release does not say of itself is matched by nothing
        let is = |pattern: &Pattern, text: &str| !text.is_empty() && pattern.matches(text);
        match self {
            Self::Version(_) => false,
            Self::Origin(pattern) => {
                source.root.as_ref().is_some_and(|root| pattern.matches(root.host_str().unwrap_or_default()))
            }
            Self::Release(keys) => keys.iter().all(|(key, pattern)| match key {
                'v' => is(pattern, &source.version),
                'o' => is(pattern, &source.origin),
                'a' => is(pattern, &source.suite),
                'n' => is(pattern, &source.codename),
                'l' => is(pattern, &source.label),
                'c' => is(pattern, &source.component),
                'b' => is(pattern, architecture),
                _ => is(pattern, &source.suite) || is(pattern, &source.codename),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pins(text: &str) -> Result<Pins, String> {
        let mut pins = Pins::none();
        pins.add(text.as_bytes()).map_err(|error| crate::error::one_line(&error))?;
        Ok(pins)
    }

    /// Version 3 in a release of nobody's choice, 2 in the stable one, and 1 installed.
    fn universe() -> Universe {
        let mut universe = Universe::new("arm64");
        let stanza =
            |version| format!("Package: a\nArchitecture: all\nVersion: {version}\nFilename: a_{version}\n");
        let at = |url: &str| Source { root: Some(reqwest::Url::parse(url).unwrap()), ..Source::default() };
        let (suite, codename, origin) = ("stable".into(), "trixie".into(), "Debian".into());
        let stable = Source { suite, codename, origin, ..at("http://deb.example.net/debian/") };
        let back = Source { suite: "back".into(), not_automatic: true, ..at("http://back.example.net/") };
        universe.add_index(stanza("2").as_bytes(), stable).unwrap();
        universe.add_index(stanza("3").as_bytes(), back).unwrap();
        let status = stanza("1").replace("Filename", "Status: install ok installed\nX");
        universe.add_status(status.as_bytes()).unwrap();
        universe
    }

    fn candidate(text: &str) -> Option<String> {
        let universe = universe();
        let id = universe.find("a").unwrap();
        pins(text).unwrap().candidate(&universe, id).map(|id| universe.version_text(id).to_owned())
    }

    #[test]
    fn candidates_follow_the_pins() {
        for (text, expected) in [
            ("", Some("2")),
            ("Package: *\nPin: release a=back\nPin-Priority: 500\n", Some("3")),
            ("Package: a\nPin: version 1\nPin-Priority: 600\n", Some("1")),
            ("Package: a\nPin: version 1*\nPin-Priority: 1001\n", Some("1")),
            ("Package: a\nPin: release n=trixie, o=Debian\nPin-Priority: -1\n", Some("1")),
            ("Package: *\nPin: release stable\nPin-Priority: -1\n", Some("1")),
            ("Package: *\nPin: origin DEB.example.*\nPin-Priority: 50\n", Some("1")),
            ("Package: *\nPin: origin \"deb.example.net\"\nPin-Priority: 50\n", Some("1")),
            (
                "Package: b\nPin: version 3\nPin-Priority: 990\n\nPackage: /^A$/\nPin: release a=back\nPin-Priority: 990\n",
                Some("3"),
            ),
            ("Package: src:a:arm64\nPin: version 3\nPin-Priority: 990\n", Some("3")),
            ("Package: a:amd64\nPin: version 3\nPin-Priority: 990\n", Some("2")),
            // the first record decides, the last priority of all sources of which one is never
            (
                "Package: a\nPin: version 3\nPin-Priority: 1\n\nPackage: a\nPin: version 3\nPin-Priority: 990\n",
                Some("2"),
            ),
            ("Package: *\nPin: release *\nPin-Priority: never\n", None),
            (
                "Package: a\nPin: version 2\nPin-Priority: -1\n\nPackage: *\nPin: release a=now\nPin-Priority: -10\n",
                Some("3"),
            ),
            ("Explanation: nothing\nPackage: a\n", Some("2")),
        ] {
            assert_eq!(candidate(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn records_that_mean_nothing_are_refused() {
        for text in [
            "Pin: version 1\nPin-Priority: 1\n",
            "Package: a\nPin: version 1\n",
            "Package: a\nPin: version 1\nPin-Priority: 0\n",
            "Package: a\nPin: version 1\nPin-Priority: 40000\n",
            "Package: a\nPin: version 1\nPin-Priority: never\n",
            "Package: *\nPin: version 1\nPin-Priority: 1\n",
            "Package: a\nPin: colour red\nPin-Priority: 1\n",
            "Package: a\nPin: release x=1\nPin-Priority: 1\n",
            "Package: a\nPin: release a=\nPin-Priority: 1\n",
            "Package: a\nPin: release\nPin-Priority: 1\n",
            "Package: /(/\nPin: release a=1\nPin-Priority: 1\n",
        ] {
            assert!(pins(text).is_err(), "{text}");
        }
    }

    #[test]
    fn globs_match_as_fnmatch_does() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "aBC", true),
            ("", "", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("1.34.*", "1.34.2-1.1", true),
            ("*b*b", "abab", true),
            ("a", "", false),
            ("x\\", "x\\", true),
        ] {
            assert_eq!(Pattern::new(glob).unwrap().matches(text), expected, "{glob} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_preferences_are_read_or_refused(text: String, pin in "(version|release|origin) [^\\n]{0,12}", name in "[^\\n]{0,6}") {
            let _ = pins(&text);
            let _ = pins(&format!("Package: {name}\nPin: {pin}\nPin-Priority: 5\n"));
        }
    }
}

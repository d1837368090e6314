//! What a stanza of `Packages`, or of dpkg's status file, says of a package: the fields that decide what is installed.

use super::control::{ControlError, Stanza, shown};
use crate::catalog::Digest;

/// The fields that decide something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    PreDepends,
    Depends,
    Conflicts,
    Breaks,
    Recommends,
    Suggests,
    Replaces,
    Enhances,
    Provides,
    Package,
    Version,
    Architecture,
    Source,
    Priority,
    MultiArch,
    Essential,
    Protected,
    Important,
    InstalledSize,
    Status,
    FileName,
    Size,
    Sha256,
}

/// Their names, in the order of [`Field`].
const NAMES: [&str; 23] = [
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Recommends",
    "Suggests",
    "Replaces",
    "Enhances",
    "Provides",
    "Package",
    "Version",
    "Architecture",
    "Source",
    "Priority",
    "Multi-Arch",
    "Essential",
    "Protected",
    "Important",
    "Installed-Size",
    "Status",
    "Filename",
    "Size",
    "SHA256",
];

impl Field {
    /// Those that name other packages, in the order in which apt reads them. It matters: where nothing else
    /// decides between two packages, apt takes the one whose name it read later.
    pub(super) const RELATIONS: [Self; 9] = [
        Self::PreDepends,
        Self::Depends,
        Self::Conflicts,
        Self::Breaks,
        Self::Recommends,
        Self::Suggests,
        Self::Replaces,
        Self::Enhances,
        Self::Provides,
    ];

    pub(super) fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Whether it names what must not be there.
    pub(super) fn is_negative(self) -> bool {
        matches!(self, Self::Conflicts | Self::Breaks)
    }

    /// Whether a version cannot be installed without it.
    pub(super) fn is_critical(self) -> bool {
        matches!(self, Self::PreDepends | Self::Depends) || self.is_negative()
    }
}

/// One stanza.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    line: u64,
    values: [&'a str; NAMES.len()],
}

impl<'a> Entry<'a> {
    pub(super) fn read(stanza: &Stanza<'a>) -> Result<Self, ControlError> {
        let mut entry = Self { line: stanza.line(), values: [""; NAMES.len()] };
        for field in stanza.fields() {
            let field = field?;
            let number = NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(field.name));
            let Some(number) = number else { continue };
            if !entry.values[number].is_empty() {
                return Err(field.twice());
            }
            entry.values[number] = field.text()?;
        }
        let name = entry.required(Field::Package)?;
        // a colon would make a name a qualified one
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-_".contains(&byte)) {
            return Err(entry.wrong(Field::Package, "a package's name"));
        }
        if entry.get(Field::Version).contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(entry.wrong(Field::Version, "a version"));
        }
        Ok(entry)
    }

    /// What a field says: nothing where it is not there.
    pub(super) fn get(&self, field: Field) -> &'a str {
        self.values[field as usize]
    }

    pub(super) fn required(&self, field: Field) -> Result<&'a str, ControlError> {
        match self.get(field) {
            "" => Err(self.fault(format!("there is no field {}", field.name()))),
            value => Ok(value),
        }
    }

    pub(super) fn fault(&self, what: String) -> ControlError {
        ControlError::stanza(self.line, what)
    }

    pub(super) fn wrong(&self, field: Field, expected: &str) -> ControlError {
        let value = shown(self.get(field));
        self.fault(format!("{} is {value:?}, which is not {expected}", field.name()))
    }

    /// Name and version of the source package, where they differ from the package's own.
    pub(super) fn source_package(&self) -> (&'a str, &'a str) {
        let [package, version, source] = [Field::Package, Field::Version, Field::Source].map(|f| self.get(f));
        if source.is_empty() {
            return (package, version);
        }
        let (name, rest) = source.split_once(' ').unwrap_or((source, ""));
        let named = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        (name, named.unwrap_or(version))
    }

    /// The rank of the priority: `required` is 1, `extra` and what is unknown 5.
    pub(super) fn priority(&self) -> u8 {
        let ranks = [(1, "required"), (2, "important"), (3, "standard"), (4, "optional")];
        ranks.iter().find(|(_, name)| *name == self.get(Field::Priority)).map_or(5, |(rank, _)| *rank)
    }

    /// Size and digest of the package's file, if the stanza has both.
    pub(super) fn file(&self) -> Result<Option<(u64, Digest)>, ControlError> {
        let (size, digest) = (self.get(Field::Size), self.get(Field::Sha256));
        if size.is_empty() || digest.is_empty() {
            return Ok(None);
        }
        let size = size.parse().map_err(|_| self.wrong(Field::Size, "a number of bytes"))?;
        let digest = digest.parse().map_err(|_| self.wrong(Field::Sha256, "64 hexadecimal digits"))?;
        Ok(Some((size, digest)))
    }

    /// A number that is equal for stanzas of one version of a package, however dpkg has written them again: what
    /// apt compares to know an installed version in an index. White space, `=`, and epochs of 0 do not count.
    pub(super) fn likeness(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        use Field::{Breaks, Conflicts, Depends, InstalledSize, PreDepends, Replaces};
        for field in [InstalledSize, Depends, PreDepends, Conflicts, Breaks, Replaces] {
            hash.add(self.get(field));
        }
        hash.0
    }
}

/// FNV-1a.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, text: &str) {
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if byte == b'0' && bytes.next_if_eq(&b':').is_some() {
                continue;
            }
            if !byte.is_ascii_whitespace() && byte != b'=' {
                self.0 = (self.0 ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
}

/// Whether a path that a repository names stays inside of it, wherever it is put: relative, without `..`, of
/// printable characters, and no longer than the file systems of a client can bear.
pub(super) fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 1024
        && !path.contains(|c: char| c.is_control() || c == '\\')
        && path.strip_prefix("./").unwrap_or(path).split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::super::control::Stanzas;
    use super::*;

    fn with_entry<T>(text: &str, ask: impl FnOnce(Result<Entry<'_>, ControlError>) -> T) -> T {
        let mut stanzas = Stanzas::new(text.as_bytes());
        ask(Entry::read(&stanzas.next().unwrap().unwrap()))
    }

    #[test]
    fn fields_land_in_their_places() {
        let text: String = NAMES.iter().map(|name| format!("{}: {name}\n", name.to_uppercase())).collect();
        with_entry(&text, |entry| assert_eq!(entry.unwrap().values, NAMES));
        assert_eq!(Field::RELATIONS.map(Field::name), NAMES[..9]);
        let known =
            [(Field::Package, "Package"), (Field::MultiArch, "Multi-Arch"), (Field::Sha256, "SHA256")];
        assert!(known.iter().all(|(field, name)| field.name() == *name));
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["pool/a/a_1.deb", "./a_1.deb", "a~b+c%3a.deb", "a..b/c"] {
            assert!(is_safe_path(path), "{path}");
        }
        for path in
            ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", ".", "./../a", "a\nb", "a\0", "a\\b", "a/./b"]
        {
            assert!(!is_safe_path(path), "{path}");
        }
        assert!(!is_safe_path(&"a".repeat(1025)));
    }

    #[test]
    fn damaged_values_are_refused() {
        for (text, expected) in [
            ("Version: 1\n", "no field Package"),
            ("Package: a b\n", "not a package's name"),
            ("Package: a\nVersion: 1 2\n", "not a version"),
            ("Package: a\nPackage: b\n", "twice"),
        ] {
            with_entry(text, |entry| assert!(entry.unwrap_err().to_string().contains(expected), "{text}"));
        }
        for file in ["Size: x\nSHA256: aa\n", "Size: 1\nSHA256: aa\n", "Size: -1\nSHA256: aa\n"] {
            with_entry(&format!("Package: a\n{file}"), |entry| assert!(entry.unwrap().file().is_err()));
        }
    }

    #[test]
    fn versions_are_known_again_in_dpkgs_words() {
        let of = |text: &str| with_entry(text, |entry| entry.unwrap().likeness());
        let index = of("Package: a\nInstalled-Size: 5\nDepends: b (>= 0:1),  c\nDescription: x\n");
        assert_eq!(index, of("Package: a\nStatus: x\nInstalled-Size: 5\nDepends: b (>= 1), c\n"));
        assert_ne!(index, of("Package: a\nInstalled-Size: 5\nDepends: b (>= 1), d\n"));
    }

    #[test]
    fn sources_are_told() {
        for (source, expected) in [
            ("", ("a", "1")),
            ("Source: s\n", ("s", "1")),
            ("Source: s (2)\n", ("s", "2")),
            ("Source: s (\n", ("s", "1")),
        ] {
            let text = format!("Package: a\nVersion: 1\n{source}");
            with_entry(&text, |entry| assert_eq!(entry.unwrap().source_package(), expected));
        }
    }
}

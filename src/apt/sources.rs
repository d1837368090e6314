//! Lists of sources, as apt reads them from /etc/apt/sources.list and /etc/apt/sources.list.d (sources.list(5)).

use super::control::{ControlError, Stanzas};
use crate::error::{Classified, ErrorClass};

/// A part of a server that a list names: one of its suites, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The address, as it is written.
    pub uri: String,
    /// The suite; of a folder a path that ends with `/`.
    pub suite: String,
    /// The components; none of a folder.
    pub components: Vec<String>,
    /// Who may sign it.
    pub signed_by: SignedBy,
}

/// Who may sign a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// Any key of /etc/apt/trusted.gpg.d.
    Trusted,
    /// The keys in these files, or where it is no path, that of this fingerprint among the trusted ones.
    Named(Vec<String>),
    /// An armoured key in the list itself.
    Key(String),
    /// Nobody need: `trusted=yes`.
    Nobody,
}

/// Why a list of sources cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// It is damaged.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// A line that apt would refuse, too.
    #[error("line {line}: {what}")]
    Line {
        /// From one; of a stanza its first.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

impl Classified for SourcesError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Control(error) => error.class(),
            Self::Encoding | Self::Line { .. } => ErrorClass::Configuration,
        }
    }
}

/// Whether apt reads the file of this name in sources.list.d, and whether in the newer form.
#[must_use]
pub fn form_of(name: &str) -> Option<Form> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match name.rsplit_once('.') {
        Some((_, "list")) if name.chars().all(is_plain) => Some(Form::Lines),
        Some((_, "sources")) if name.chars().all(is_plain) => Some(Form::Stanzas),
        _ => None,
    }
}

/// The two forms of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for each source, as in sources.list.
    Lines,
    /// A stanza for one or more.
    Stanzas,
}

impl Form {
    /// The sources of packages for this architecture in a list, in its order.
    ///
    /// # Errors
    /// What apt would not read.
    pub fn read(self, list: &[u8], architecture: &str) -> Result<Vec<Listed>, SourcesError> {
        let text = std::str::from_utf8(list).map_err(|_| SourcesError::Encoding)?;
        match self {
            Self::Lines => {
                let mut found = Vec::new();
                for (line, number) in text.lines().zip(1..) {
                    let fault = |what: &str| SourcesError::Line { line: number, what: what.to_owned() };
                    found.extend(read_line(line, architecture).map_err(fault)?);
                }
                Ok(found)
            }
            Self::Stanzas => stanzas(text, architecture),
        }
    }
}

/// `deb [ OPTION=VALUE... ] URI SUITE [COMPONENT...]`
fn read_line(line: &str, architecture: &str) -> Result<Option<Listed>, &'static str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else {
        let is_source = line.strip_prefix("deb-src").is_some_and(|rest| rest.starts_with([' ', '\t']));
        return if line.is_empty() || is_source {
            Ok(None)
        } else {
            Err("it starts neither with deb nor with deb-src")
        };
    };
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("its [ is not closed")?,
        None => ("", rest),
    };
    let mut signed_by = SignedBy::Trusted;
    let mut is_wanted = true;
    for option in options.split_ascii_whitespace() {
        let (key, value) = option.split_once('=').ok_or("an option has no =")?;
        let values = || value.split(',').filter(|value| !value.is_empty());
        match key.to_ascii_lowercase().as_str() {
            "arch" => is_wanted = values().any(|value| value == architecture),
            "signed-by" => signed_by = SignedBy::Named(values().map(str::to_owned).collect()),
            "trusted" if value == "yes" => signed_by = SignedBy::Nobody,
            _ => {}
        }
    }
    let mut words = rest.split_ascii_whitespace().map(str::to_owned);
    let uri = words.next().ok_or("it names no address")?;
    let suite = words.next().ok_or("it names no suite")?;
    let components: Vec<String> = words.collect();
    if components.is_empty() != suite.ends_with('/') {
        return Err("a suite needs components, and a folder, whose name ends with /, has none");
    }
    Ok(is_wanted.then_some(Listed { uri, suite, components, signed_by }))
}

fn stanzas(text: &str, architecture: &str) -> Result<Vec<Listed>, SourcesError> {
    let mut found = Vec::new();
    let mut stanzas = Stanzas::new(text.as_bytes());
    while let Some(stanza) = stanzas.next()? {
        let words = |name| -> Result<Vec<String>, ControlError> {
            Ok(stanza.get(name)?.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect())
        };
        let is = |name, word: &str| {
            Ok::<_, ControlError>(stanza.get(name)?.is_some_and(|text| text.trim() == word))
        };
        let architectures = words("Architectures")?;
        let is_for_others =
            !architectures.is_empty() && !architectures.iter().any(|name| name == architecture);
        if is("Enabled", "no")? || !words("Types")?.iter().any(|kind| kind == "deb") || is_for_others {
            continue;
        }
        let signed_by = match stanza.get("Signed-By")? {
            _ if is("Trusted", "yes")? => SignedBy::Nobody,
            None => SignedBy::Trusted,
            Some(key) if key.contains("-----BEGIN") => SignedBy::Key(unfolded(key)),
            Some(names) => SignedBy::Named(
                names
                    .split(|c: char| c == ',' || c.is_ascii_whitespace())
                    .filter(|w| !w.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
        };
        let (uris, suites, components) = (words("URIs")?, words("Suites")?, words("Components")?);
        let fault = |what: &str| SourcesError::Line { line: stanza.line(), what: what.to_owned() };
        if uris.is_empty() || suites.is_empty() {
            return Err(fault("it names no URIs or no Suites"));
        }
        if suites.iter().any(|suite| components.is_empty() != suite.ends_with('/')) {
            return Err(fault("a suite needs Components, and a folder, whose name ends with /, has none"));
        }
        for (uri, suite) in uris.iter().flat_map(|uri| suites.iter().map(move |suite| (uri, suite))) {
            found.push(Listed {
                uri: uri.clone(),
                suite: suite.clone(),
                components: components.clone(),
                signed_by: signed_by.clone(),
            });
        }
    }
    Ok(found)
}

/// The lines of a value that are continued: each without its indentation, and empty where it is a dot alone.
fn unfolded(value: &str) -> String {
    let lines = value.lines().map(str::trim).map(|line| if line == "." { "" } else { line });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(uri: &str, suite: &str, components: &[&str], signed_by: SignedBy) -> Listed {
        let components = components.iter().map(|&name| name.to_owned()).collect();
        Listed { uri: uri.to_owned(), suite: suite.to_owned(), components, signed_by }
    }

    fn named(names: &[&str]) -> SignedBy {
        SignedBy::Named(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn lines_are_read() {
        let list = "# See http://help.ubuntu.com/community/UpgradeNotes\n\
            deb http://ports.ubuntu.com/ubuntu-ports focal main restricted\n\
            # deb-src http://ports.ubuntu.com/ubuntu-ports focal main\n\
            deb-src http://ports.ubuntu.com/ubuntu-ports focal main\n\n\
            deb [arch=arm64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/ubuntu focal stable # x\n\
            \tdeb\t[ arch=amd64,arm64 ]\thttp://k/deb/ /\r\n\
            deb [arch=amd64] http://other noble main\n\
            deb [trusted=yes] file:/var/lib/x ./\n";
        let found = Form::Lines.read(list.as_bytes(), "arm64").unwrap();
        assert_eq!(
            found,
            [
                listed(
                    "http://ports.ubuntu.com/ubuntu-ports",
                    "focal",
                    &["main", "restricted"],
                    SignedBy::Trusted
                ),
                listed(
                    "https://download.docker.com/linux/ubuntu",
                    "focal",
                    &["stable"],
                    named(&["/etc/apt/keyrings/docker.asc"])
                ),
                listed("http://k/deb/", "/", &[], SignedBy::Trusted),
                listed("file:/var/lib/x", "./", &[], SignedBy::Nobody),
            ]
        );
    }

    #[test]
    fn stanzas_are_read() {
        let list = "# Ubuntu sources have moved here\n\
            Types: deb\nURIs: http://ports.ubuntu.com/ubuntu-ports/\nSuites: noble noble-updates\n\
            Components: main universe\nSigned-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n\n\
            Types: deb-src\nURIs: http://x\nSuites: a\nComponents: b\n\n\
            Types: deb\nEnabled: no\nURIs: http://x\nSuites: a\nComponents: b\n\n\
            Types: deb\nURIs: http://x\nSuites: a\nComponents: b\nArchitectures: amd64\n\n\
            Types: deb deb-src\nURIs: http://y\nSuites: ./\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        let found = Form::Stanzas.read(list.as_bytes(), "arm64").unwrap();
        let ubuntu = |suite| {
            let keyring = named(&["/usr/share/keyrings/ubuntu-archive-keyring.gpg"]);
            listed("http://ports.ubuntu.com/ubuntu-ports/", suite, &["main", "universe"], keyring)
        };
        let key = SignedBy::Key("\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n".trim_start().to_owned());
        assert_eq!(found, [ubuntu("noble"), ubuntu("noble-updates"), listed("http://y", "./", &[], key)]);
    }

    #[test]
    fn what_apt_would_refuse_is_refused() {
        for (form, list, expected) in [
            (Form::Lines, "deb http://x focal", "line 1: a suite needs components"),
            (Form::Lines, "\ndeb [arch=arm64 http://x focal main", "line 2: its [ is not closed"),
            (Form::Lines, "dep http://x focal main", "neither with deb"),
            (Form::Lines, "deb http://x / main", "a folder"),
            (Form::Stanzas, "Types: deb\nSuites: a\nComponents: b\n", "no URIs"),
            (Form::Stanzas, "Types: deb\nURIs: http://x\nSuites: a\n", "needs Components"),
        ] {
            let error = crate::error::one_line(&form.read(list.as_bytes(), "arm64").unwrap_err());
            assert!(error.contains(expected), "{list:?}: {error}");
        }
        assert!(Form::Lines.read(b"deb \xff", "arm64").is_err());
    }

    #[test]
    fn apt_reads_files_by_their_names() {
        for (name, form) in [
            ("pibake-docker.list", Some(Form::Lines)),
            ("ubuntu.sources", Some(Form::Stanzas)),
            ("ubuntu.sources.bak", None),
            ("a b.list", None),
            ("list", None),
        ] {
            assert_eq!(form_of(name), form, "{name}");
        }
    }
}

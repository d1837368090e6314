//! What the user calls a base image.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

use super::{Release, SERIES, Series};
use crate::error::{Classified, ErrorClass};

/// Which base image is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A release of Ubuntu, or the newest of one of its series.
    Release(Release),
    /// The tiny image that is built in. It has Ubuntu's layout and does not boot.
    Sample,
    /// A file of this machine.
    Path(PathBuf),
    /// An `http` or `https` address.
    Url(Url),
}

/// A text that names no base image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    /// Neither a known name nor anything that looks like a path or an address.
    #[error(
        "unknown base image {given:?}: {}give one of {}, or a path (./{given}), or a URL",
        suggestion.as_ref().map(|s| format!("did you mean {s}? Otherwise ")).unwrap_or_default(),
        known()
    )]
    Unknown {
        /// What was given.
        given: String,
        /// The name that it resembles.
        suggestion: Option<String>,
    },
    /// The name of another system for Pis.
    #[error(
        "the base image {given:?} is not Ubuntu's: pibake makes nodes of Ubuntu's images for the Raspberry Pi, \
         not of other systems; give one of {}, or a path (./{given}), or a URL",
        known()
    )]
    OtherSystem {
        /// What was given.
        given: String,
    },
    /// An address of a kind that cannot be fetched.
    #[error(
        "the base image {given:?} is a {scheme} address: give one that starts with https://, http:// or file://"
    )]
    Scheme {
        /// What was given.
        given: String,
        /// Its scheme.
        scheme: String,
    },
    /// An address that cannot be read as one.
    #[error("the base image {given:?} is not a valid URL: {reason}")]
    Url {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing at all.
    #[error("the base image is empty: give one of {}, or a path, or a URL", known())]
    Empty,
}

impl Classified for InvalidSpec {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unknown { .. }
            | Self::OtherSystem { .. }
            | Self::Scheme { .. }
            | Self::Url { .. }
            | Self::Empty => ErrorClass::Usage,
        }
    }
}

fn known() -> String {
    let series = SERIES.iter().map(|known| known.series.to_string());
    series.chain([SAMPLE.to_owned()]).collect::<Vec<_>>().join(", ")
}

/// The name of the built-in image.
const SAMPLE: &str = "sample";

/// Endings of file names that only an image has, so that a file that is missing is reported as such.
const IMAGE_ENDINGS: [&str; 6] = [".img", ".xz", ".zst", ".gz", ".raw", ".bin"];

impl Spec {
    /// As by [`FromStr`], where `is_file` says which plain names are files.
    ///
    /// # Errors
    /// [`InvalidSpec`], with what was probably meant.
    pub(crate) fn parse_among(given: &str, is_file: impl FnOnce(&str) -> bool) -> Result<Self, InvalidSpec> {
        if given.trim().is_empty() {
            return Err(InvalidSpec::Empty);
        }
        if let Some(release) = release(given) {
            return Ok(Self::Release(release));
        }
        if given == SAMPLE {
            return Ok(Self::Sample);
        }
        if given.contains("://") {
            return Self::parse_url(given);
        }
        let lower = given.to_ascii_lowercase();
        if given.contains('/') || IMAGE_ENDINGS.iter().any(|e| lower.ends_with(e)) || is_file(given) {
            return Ok(Self::Path(PathBuf::from(given)));
        }
        let suggestion = suggestion(&lower);
        if suggestion.is_none() && OTHER_SYSTEMS.iter().any(|other| lower.starts_with(other)) {
            return Err(InvalidSpec::OtherSystem { given: given.to_owned() });
        }
        Err(InvalidSpec::Unknown { given: given.to_owned(), suggestion })
    }

    fn parse_url(given: &str) -> Result<Self, InvalidSpec> {
        let fault = |reason: &str| InvalidSpec::Url { given: given.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(given).map_err(|e| fault(&e.to_string()))?;
        match url.scheme() {
            "https" | "http" if url.path().ends_with('/') => Err(fault("it names a folder, not an image")),
            "https" | "http" => Ok(Self::Url(url)),
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::Path(path)),
                Err(()) => Err(fault("a file address has three slashes and an absolute path")),
            },
            scheme => Err(InvalidSpec::Scheme { given: given.to_owned(), scheme: scheme.to_owned() }),
        }
    }
}

/// The names of the newest series with long-term support. Ubuntu's others get nine months, too few for a cluster.
const NEWEST: [&str; 2] = ["latest", "lts"];

/// Names of other systems for Pis, which people ask for.
const OTHER_SYSTEMS: [&str; 8] =
    ["raspios", "raspbian", "raspberry", "dietpi", "armbian", "alpine", "fedora", "talos"];

/// The release of this name: `24.04`, `24.04.5`, `noble`, each also after `ubuntu-`, `latest` or `lts`.
fn release(given: &str) -> Option<Release> {
    let name = given.to_ascii_lowercase();
    let name = name.strip_prefix("ubuntu-").unwrap_or(&name);
    if NEWEST.contains(&name) {
        return Some(Series::newest().series);
    }
    let named = SERIES.iter().find(|known| known.codename == name);
    named.map(|known| known.series).or_else(|| Release::parse(name))
}

/// The name nearest to `given`: a release without its zero, one with more in its name (`ubuntu-22.04-server`), or a
/// slip of the keyboard away.
fn suggestion(given: &str) -> Option<String> {
    let names = SERIES.iter().flat_map(|known| [known.codename.to_owned(), known.series.to_string()]);
    let names = names.chain(NEWEST.map(str::to_owned)).chain([SAMPLE.to_owned()]);
    let with_zero = given.replacen('.', ".0", 1);
    let mut words = given.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    release(&with_zero).or_else(|| words.find_map(release)).map(|release| release.to_string()).or_else(|| {
        names
            .map(|name| (strsim::damerau_levenshtein(given, &name), name))
            .filter(|(distance, name)| *distance <= 2 && *distance < name.len() / 2)
            .min()
            .map(|(_, name)| name)
    })
}

impl Default for Spec {
    fn default() -> Self {
        Self::Release(super::DEFAULT)
    }
}

impl fmt::Display for Spec {
    /// As it would be given, but for passwords in a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(release) => release.fmt(f),
            Self::Sample => f.write_str(SAMPLE),
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(&shown(url)),
        }
    }
}

/// An address as it may be shown: without user name and password.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // fails only for addresses that cannot have any
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

impl FromStr for Spec {
    type Err = InvalidSpec;

    /// Reads what a user gives as the base image.
    ///
    /// In this order: a release of Ubuntu (`24.04.5`; the newest of a series by `24.04` or `noble`, of the newest
    /// series by `latest` or `lts`), `sample`, a URL (anything with `://`; `file://` is a path), a path (anything
    /// with a `/`, with an image's ending, or that exists). A file whose name is also a release's is given as
    /// `./24.04`.
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Self::parse_among(given, |name| Path::new(name).is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_addresses_are_told_apart() {
        for (given, shown) in [
            ("20.04.5", "20.04.5"),
            ("20.04", "20.04"),
            ("24.04.3", "24.04.3"),
            ("focal", "20.04"),
            ("jammy", "22.04"),
            ("noble", "24.04"),
            ("Resolute", "26.04"),
            ("ubuntu-24.04", "24.04"),
            ("Ubuntu-24.04.5", "24.04.5"),
            ("ubuntu-noble", "24.04"),
            ("latest", "26.04"),
            ("lts", "26.04"),
            ("28.04", "28.04"),
            ("./noble", "./noble"),
            ("sample", "sample"),
            ("./20.04.5", "./20.04.5"),
            ("some.img", "some.img"),
            ("SOME.IMG.XZ", "SOME.IMG.XZ"),
            ("Cargo.toml", "Cargo.toml"),
            ("file:///a%20b.img", "/a b.img"),
            ("https://h/x.img.xz", "https://h/x.img.xz"),
            ("http://u:secret@h/x.img", "http://h/x.img"),
        ] {
            assert_eq!(given.parse::<Spec>().map(|s| s.to_string()), Ok(shown.to_owned()));
        }
        assert_eq!("file:///x".parse::<Spec>().unwrap(), Spec::Path("/x".into()));
        assert_eq!(Spec::default().to_string(), super::super::DEFAULT.to_string());
    }

    #[test]
    fn errors_say_what_was_probably_meant() {
        let faults: Vec<String> = [
            "",
            "22.4.5",
            "24.4",
            "24.05",
            "smaple",
            "fokal",
            "bookworm",
            "xenial",
            "ubuntu-22.04-server",
            "noble-arm64",
            "raspios-lite",
            "ftp://h/x.img",
            "http://",
            "file://host/x.img",
            "https://cdimage.ubuntu.com/releases/",
        ]
        .iter()
        .map(|bad| bad.parse::<Spec>().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(faults.join("\n"));
    }
}

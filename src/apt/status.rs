//! What is installed on the base: dpkg's `/var/lib/dpkg/status`.

use std::io::BufRead;

use super::control::{ControlError, Stanzas};
use super::index::{Entry, Field};
use super::universe::{Source, Universe};
use crate::error::{Classified, ErrorClass};

/// Why the base's list of packages cannot be built upon.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It is damaged.
    #[error("reading the base's list of installed packages")]
    Control(#[from] ControlError),
    /// An installation was interrupted.
    #[error(
        "{package} {version} on the base is {state}: an installation was interrupted there; finish it with dpkg --configure --pending on a machine that runs the base, or use another base"
    )]
    Unfinished {
        /// Whose.
        package: String,
        /// Its version.
        version: String,
        /// dpkg's word for where it stands.
        state: String,
    },
    /// A package of another architecture is installed.
    #[error(
        "the base has {package} of the architecture {architecture} installed, but is for {native}: bases with foreign architectures are not supported; use one without"
    )]
    Foreign {
        /// Whose.
        package: String,
        /// Its own.
        architecture: String,
        /// The machine's.
        native: String,
    },
}

impl Classified for StatusError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Control(error) => error.class(),
            Self::Unfinished { .. } | Self::Foreign { .. } => ErrorClass::Configuration,
        }
    }
}

/// A package that dpkg has as installed, wholly or in part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installed {
    /// Its name.
    pub package: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its version.
    pub version: String,
}

/// The packages whose files are there, by name: also those whose installation was cut off, and which no node can be
/// built upon.
///
/// # Errors
/// What is damaged.
pub fn installed(status: impl BufRead) -> Result<Vec<Installed>, StatusError> {
    let mut found = Vec::new();
    let mut stanzas = Stanzas::new(status);
    while let Some(stanza) = stanzas.next()? {
        let entry = Entry::read(&stanza)?;
        let state = entry.get(Field::Status).split_ascii_whitespace().last();
        if matches!(state, Some("not-installed" | "config-files")) {
            continue;
        }
        let text = |field| entry.get(field).to_owned();
        let (package, architecture) = (text(Field::Package), text(Field::Architecture));
        found.push(Installed { package, architecture, version: text(Field::Version) });
    }
    found.sort();
    Ok(found)
}

impl Universe {
    /// Adds what is installed on the base. Call it once, after all indices were added.
    ///
    /// # Errors
    /// What is damaged, or an installation that was left unfinished.
    pub fn add_status(&mut self, status: impl BufRead) -> Result<(), StatusError> {
        // of no release: in pins it is called "now"
        let now = || "now".to_owned();
        let source = Source { suite: now(), component: now(), ..Source::default() };
        let source = self.add_source(source)?;
        let mut stanzas = Stanzas::new(status);
        while let Some(stanza) = stanzas.next()? {
            self.add_installed(&Entry::read(&stanza)?, source)?;
        }
        Ok(())
    }

    fn add_installed(&mut self, entry: &Entry<'_>, source: u16) -> Result<(), StatusError> {
        let words: Vec<&str> = entry.get(Field::Status).split_ascii_whitespace().collect();
        let [want, flag, state] = words[..] else {
            return Err(entry.wrong(Field::Status, "of the form \"install ok installed\"").into());
        };
        match state {
            "not-installed" | "config-files" => {
                if want == "hold"
                    && let Some(package) = self.find(entry.get(Field::Package))
                {
                    self.package_mut(package).held = true;
                }
                return Ok(());
            }
            // triggers run at the end of the next installation anyway
            "installed" | "triggers-pending" | "triggers-awaited" if flag == "ok" => {}
            "installed" | "triggers-pending" | "triggers-awaited" | "unpacked" | "half-configured"
            | "half-installed" => {
                let state = if flag == "ok" { state.to_owned() } else { format!("{state} ({flag})") };
                let (package, version) =
                    (entry.get(Field::Package).to_owned(), entry.get(Field::Version).to_owned());
                return Err(StatusError::Unfinished { package, version, state });
            }
            _ => return Err(entry.wrong(Field::Status, "a state that dpkg knows").into()),
        }
        let architecture = entry.get(Field::Architecture);
        if ![self.architecture.as_str(), "all"].contains(&architecture) {
            return Err(StatusError::Foreign {
                package: entry.get(Field::Package).to_owned(),
                architecture: architecture.to_owned(),
                native: self.architecture.clone(),
            });
        }
        let version = self.add_version(entry, source)?;
        let id = self.version(version).package;
        let package = self.package_mut(id);
        if package.current.is_some() {
            return Err(entry.wrong(Field::Package, "the only stanza of this package").into());
        }
        package.current = Some(version);
        package.held = want == "hold";
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Result<Universe, String> {
        let mut universe = Universe::new("arm64");
        universe.add_status(text.as_bytes()).map_err(|error| crate::error::one_line(&error))?;
        Ok(universe)
    }

    fn stanza(name: &str, state: &str) -> String {
        format!("Package: {name}\nStatus: {state}\nArchitecture: arm64\nVersion: 1\n\n")
    }

    #[test]
    fn states_are_told_apart() {
        let text = [
            stanza("a", "install ok installed"),
            stanza("b", "hold ok installed"),
            stanza("c", "deinstall ok config-files"),
            stanza("d", "install ok triggers-awaited"),
        ];
        let listed = installed(text.concat().as_bytes()).unwrap();
        let names: Vec<_> = listed.iter().map(|found| found.package.as_str()).collect();
        assert_eq!(names, ["a", "b", "d"]);
        let universe = status(&text.concat()).unwrap();
        let of =
            |name| universe.find(name).map(|id| universe.package(id)).map(|p| (p.current.is_some(), p.held));
        assert_eq!(of("a"), Some((true, false)));
        assert_eq!(of("b"), Some((true, true)));
        assert_eq!(of("c"), None);
        assert_eq!(of("d"), Some((true, false)));
    }

    #[test]
    fn what_is_unfinished_or_strange_is_refused() {
        for (state, expected) in [
            ("install ok half-installed", "a 1 on the base is half-installed"),
            ("install ok unpacked", "is unpacked"),
            ("install reinstreq installed", "is installed (reinstreq)"),
            ("install ok weird", "a state that dpkg knows"),
            ("install", "of the form"),
        ] {
            let error = status(&stanza("a", state)).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
        let foreign = stanza("a", "install ok installed").replace("arm64", "armhf");
        assert!(status(&foreign).err().unwrap().contains("armhf"));
        assert!(status(&stanza("a", "install ok installed").repeat(2)).is_err());
    }
}

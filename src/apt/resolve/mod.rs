//! Which packages are installed, upgraded and removed when some are asked for: what
//! `apt-get install --no-install-recommends A B=1.2` does on this base.
//!
//! Packages are marked as apt marks them ([`mark`]). Where that leaves nothing broken, apt does the same, and this is
//! the answer. Where it leaves something broken, apt goes on to a scored search that may remove what nobody named;
//! here that is an error that says what was broken. A card must not depend on such a guess.

mod keep;
mod mark;
mod state;
mod why;

use reqwest::Url;

use super::address::below;
use super::pins::{Pattern, Pins};
use super::universe::{Package, PackageId, Provide, Universe, VersionId};
use super::version;
use crate::catalog::Digest;
use crate::error::{Classified, ErrorClass};
use mark::By;
use state::{Mode, States};

/// What changes on the base, each part in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is installed, new or in place of another version.
    pub install: Vec<Install>,
    /// What is removed.
    pub remove: Vec<Removal>,
}

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Its name.
    pub package: String,
    /// The version that the base has, if it has one.
    pub replaces: Option<String>,
    /// The version that is installed.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The address of its file.
    pub url: Url,
    /// The file's size in bytes.
    pub size: u64,
    /// The file's digest.
    pub sha256: Digest,
}

/// A package that is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its name.
    pub package: String,
    /// The version that the base has.
    pub version: String,
}

/// Why packages cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nobody has it.
    #[error("no repository has a package {0}")]
    Unknown(String),
    /// It is a name for several packages, or for versions that are not candidates.
    #[error("{name} is not a package of its own: ask for one of {}", providers.join(", "))]
    Virtual {
        /// What was asked for.
        name: String,
        /// Who provides it.
        providers: Vec<String>,
    },
    /// It is there, but not in a version that is asked for, or that pins allow.
    #[error("there is no {wanted} of {name}, only {}", known.join(", "))]
    Version {
        /// What was asked for.
        name: String,
        /// Which versions would do.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// It is asked for twice.
    #[error("{name} is asked for in the versions {first} and {second}: choose one")]
    Twice {
        /// What was asked for.
        name: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The base itself is not in order.
    #[error(
        "the base's packages are broken already: {0}; repair it with apt-get --fix-broken install, or use another base"
    )]
    Base(String),
    /// It cannot be.
    #[error("{} cannot be installed: {why}", asked.join(", "))]
    Unsatisfiable {
        /// What was asked for.
        asked: Vec<String>,
        /// Which package wants what.
        why: String,
    },
    /// It would change a held package.
    #[error("{name} is on hold on the base: release it there, or do not ask for it")]
    Held {
        /// Whose.
        name: String,
    },
    /// It would install an earlier version than the base has.
    #[error("{name} would go back from {from} to {to}: ask for a later version, or use an older base")]
    Downgrade {
        /// Whose.
        name: String,
        /// On the base.
        from: String,
        /// What would be installed.
        to: String,
    },
    /// Its index does not say its digest.
    #[error(
        "the index of {name} {version} has no SHA256, Size and Filename for it: it could not be verified"
    )]
    NoDigest {
        /// Whose.
        name: String,
        /// Its version.
        version: String,
    },
}

impl Classified for ResolveError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unknown(_)
            | Self::Virtual { .. }
            | Self::Version { .. }
            | Self::Twice { .. }
            | Self::Base(_)
            | Self::Unsatisfiable { .. }
            | Self::Held { .. }
            | Self::Downgrade { .. } => ErrorClass::Configuration,
            Self::NoDigest { .. } => ErrorClass::Verification,
        }
    }
}

impl Universe {
    /// What is to be done so that all of `requests` are installed. Each is `NAME` or `NAME=VERSION`, where the
    /// version may have wildcards, as `1.34.*`: the latest that matches.
    ///
    /// # Errors
    /// Which package wants what that cannot be had.
    pub fn resolve(&self, requests: &[&str], pins: &Pins) -> Result<Plan, ResolveError> {
        let mut states = States::new(self, pins);
        if let Some(broken) = states.all_broken().first() {
            let group =
                states.broken(*broken).next().map(|group| self.write_group(group)).unwrap_or_default();
            return Err(ResolveError::Base(format!("{} wants {group}", self.name(*broken))));
        }
        let mut asked: Vec<(PackageId, VersionId)> = Vec::new();
        for request in requests {
            let (id, version) = self.requested(request, &states)?;
            match asked.iter().find(|(other, _)| *other == id) {
                Some((_, other)) if *other == version => {}
                Some((_, other)) => {
                    let [first, second] = [*other, version].map(|id| self.version_text(id).to_owned());
                    return Err(ResolveError::Twice { name: self.name(id).to_owned(), first, second });
                }
                None => asked.push((id, version)),
            }
        }
        self.mark(&mut states, &asked);
        if states.too_deep || !states.all_broken().is_empty() {
            let why = why::why(self, pins, &asked, &states);
            let asked = asked.iter().map(|(id, _)| self.name(*id).to_owned()).collect();
            return Err(ResolveError::Unsatisfiable { asked, why });
        }
        states.drop_needless();
        self.plan(&states)
    }

    /// The version that a request means.
    fn requested(&self, request: &str, states: &States<'_>) -> Result<(PackageId, VersionId), ResolveError> {
        let (name, wanted) = match request.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (request, None),
        };
        let id = self.find(name).ok_or_else(|| ResolveError::Unknown(name.to_owned()))?;
        let package = self.package(id);
        let version = |wanted: &str| {
            let known = package.versions.iter().map(|id| self.version_text(*id).to_owned()).collect();
            ResolveError::Version { name: name.to_owned(), wanted: wanted.to_owned(), known }
        };
        if let Some(wanted) = wanted {
            let pattern = Pattern::new(wanted).ok();
            let own = package.versions.iter().find(|id| {
                let text = self.version_text(**id);
                text == wanted || pattern.as_ref().is_some_and(|pattern| pattern.matches(text))
            });
            let found = own.map(|own| (id, *own)).or_else(|| self.provided(package, wanted));
            match found {
                Some(found) => return Ok(found),
                None if package.versions.is_empty() => {}
                None => return Err(version(&format!("version {wanted}"))),
            }
        }
        if let Some(candidate) = states.of(id).candidate {
            return Ok((id, candidate));
        }
        if !package.versions.is_empty() {
            return Err(version("version that the pins allow"));
        }
        let owners =
            package.providers.iter().map(|provide| (self.version(provide.owner).package, provide.owner));
        let mut owners: Vec<(PackageId, VersionId)> = owners.collect();
        owners.sort();
        owners.dedup();
        let candidates = owners.iter().filter(|(id, version)| states.of(*id).candidate == Some(*version));
        match candidates.collect::<Vec<_>>()[..] {
            [only] if wanted.is_none() => Ok(*only),
            _ if owners.is_empty() => Err(ResolveError::Unknown(name.to_owned())),
            _ => {
                let mut providers: Vec<String> =
                    owners.iter().map(|(id, _)| self.name(*id).to_owned()).collect();
                providers.sort();
                providers.dedup();
                Err(ResolveError::Virtual { name: name.to_owned(), providers })
            }
        }
    }

    /// What provides a name in this version, as it is written, if that is one package: of several of its versions the
    /// one that was read last, candidate or not. So apt answers; its manual does not speak of it.
    fn provided(&self, package: &Package, wanted: &str) -> Option<(PackageId, VersionId)> {
        let is_wanted =
            |provide: &&Provide| provide.version.is_some_and(|version| self.str(version) == wanted);
        let provides = package.providers.iter().rev().filter(is_wanted);
        let owners: Vec<(PackageId, VersionId)> =
            provides.map(|provide| (self.version(provide.owner).package, provide.owner)).collect();
        let (first, version) = *owners.first()?;
        owners.iter().all(|(other, _)| *other == first).then_some((first, version))
    }

    /// Marks what was asked for, first alone, so that all of it is certain, then with what it needs.
    fn mark(&self, states: &mut States<'_>, asked: &[(PackageId, VersionId)]) {
        for (id, version) in asked {
            states.set_candidate(*id, *version);
            states.of_mut(*id).is_protected = true;
            states.mark_install(*id, false, 0, By::User);
        }
        for (id, _) in asked {
            states.mark_install(*id, true, 0, By::User);
        }
        // packages of the base that are broken by now may do in their newer version
        loop {
            let mut changed = false;
            for id in states.all_broken() {
                if states.of(id).mode != Mode::Install {
                    states.mark_install(id, false, 0, By::Resolver);
                    changed |= states.of(id).mode == Mode::Install;
                }
            }
            if !changed {
                break;
            }
        }
    }

    fn plan(&self, states: &States<'_>) -> Result<Plan, ResolveError> {
        let mut plan = Plan::default();
        for id in self.ids().filter(|id| states.of(*id).mode != Mode::Keep) {
            let name = self.name(id).to_owned();
            let current = states.current(id);
            if current.is_some() && self.package(id).held {
                return Err(ResolveError::Held { name });
            }
            let replaces = current.map(|version| self.version_text(version).to_owned());
            match (states.of(id).install, replaces) {
                (Some(version), replaces) => plan.install.push(self.install(name, version, replaces)?),
                (None, Some(version)) => plan.remove.push(Removal { package: name, version }),
                (None, None) => {}
            }
        }
        plan.install.sort_by(|a, b| a.package.cmp(&b.package));
        plan.remove.sort_by(|a, b| a.package.cmp(&b.package));
        Ok(plan)
    }

    fn install(
        &self,
        package: String,
        id: VersionId,
        replaces: Option<String>,
    ) -> Result<Install, ResolveError> {
        let found = self.version(id);
        let version = self.version_text(id).to_owned();
        if let Some(from) = replaces.as_ref().filter(|from| version::compare(&version, from).is_lt()) {
            return Err(ResolveError::Downgrade { name: package, from: from.clone(), to: version });
        }
        let file = found.file.and_then(|file| {
            let root = self.sources[usize::from(file.source)].root.as_ref()?;
            Some((below(root, self.str(file.path))?, file.size, file.sha256?))
        });
        let Some((url, size, sha256)) = file else {
            return Err(ResolveError::NoDigest { name: package, version });
        };
        let architecture = if found.is_all { "all" } else { self.architecture.as_str() }.to_owned();
        Ok(Install { package, replaces, version, architecture, url, size, sha256 })
    }
}

//! Which packages a node installs, and a list of them that its apt reads without a network.

use std::collections::BTreeMap;

use reqwest::Url;

use super::apt_files::{AptFiles, Source};
use super::error::{Error, Result};
use super::keys::Keys;
use super::kubeadm;
use super::part::{Content, PayloadFile, place};
use super::request::Request;
use crate::apt::{self, Install, Layout, Lists, Plan, Repository, Universe};
use crate::base::{self, Fetcher};
use crate::catalog::Digest;
use crate::cluster::{KubernetesVersion, Node, defaults};
use crate::image_path::ImagePath;
use crate::node_paths::PAYLOAD;
use crate::recipe;
use crate::registry::Reference;

/// What Debian calls the machines.
const ARCHITECTURE: &str = "arm64";

/// Where dpkg keeps what is installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// The folder with the packages and their index, in that of the payload.
const FOLDER: &str = "packages";

/// The list of sources that apt is told of, in the folder of the payload.
const LIST: &str = "sources.list";

/// The package whose version decides about images.
const KUBEADM: &str = "kubeadm";

/// What the nodes of a role install.
#[derive(PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) plan: Plan,
    /// The patch release of the kubeadm that they will have.
    pub(super) kubeadm: u16,
    /// Which of the lists the plan is made of.
    lists: usize,
}

/// Decides what is installed. Roles whose lists of sources are the same share them.
pub(super) struct Resolver<'a> {
    request: &'a Request<'a>,
    fetcher: &'a Fetcher<'a>,
    known: Vec<Known>,
}

struct Known {
    sources: Vec<Source>,
    /// Keys that were fetched, armoured, by the file that apt on the node has them in.
    keys: BTreeMap<&'static str, String>,
    lists: Lists,
    universe: Universe,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(request: &'a Request<'a>, fetcher: &'a Fetcher<'a>) -> Self {
        Self { request, fetcher, known: Vec::new() }
    }

    /// What `apt-get install` would do on a node.
    pub(super) fn choose(&mut self, node: &Node, files: &AptFiles<'_>) -> Result<Chosen> {
        let lists = self.know(files)?;
        let universe = &self.known[lists].universe;
        let names = recipe::packages(self.request.cluster, node, self.request.software);
        let pins = files.pins()?;
        let plan =
            universe.resolve(&names, &pins).map_err(|source| Error::Resolve { role: node.role, source })?;
        let planned = plan.install.iter().find(|package| package.package == KUBEADM);
        let version = planned.map(|package| package.version.as_str()).or_else(|| universe.installed(KUBEADM));
        let version = version.unwrap_or_default();
        let kubeadm = patch_release(version, self.request.software.kubernetes)
            .ok_or_else(|| Error::Kubeadm { version: version.to_owned() })?;
        Ok(Chosen { plan, kubeadm, lists })
    }

    /// The number of what the sources of a node have, fetched where it is not known yet.
    fn know(&mut self, files: &AptFiles<'_>) -> Result<usize> {
        let sources = files.sources(ARCHITECTURE)?;
        if let Some(known) = self.known.iter().position(|known| known.sources == sources) {
            return Ok(known);
        }
        let key_sources = recipe::key_sources(&self.request.cluster.sources, self.request.software);
        let get = |anew| -> Result<_> {
            let keys = Keys::new(files, self.fetcher, &key_sources, &sources, anew)?;
            let repositories: Result<Vec<Repository>> =
                sources.iter().map(|source| self.repository(source, &keys)).collect();
            let lists = apt::lists(self.fetcher, &repositories?, ARCHITECTURE)?;
            Ok((lists, keys.into_fetched()))
        };
        // as first boot does where a key on the card has expired
        let (lists, keys) = match get(false) {
            Err(fault @ Error::Apt(apt::Error::Fetch(base::Error::Signature { .. }))) => {
                get(true).map_err(|_| fault)?
            }
            other => other?,
        };
        let mut universe = lists.universe()?;
        let status = files.read(STATUS)?.ok_or(Error::NoStatus)?;
        universe.add_status(status.as_slice()).map_err(Error::Status)?;
        self.known.push(Known { sources, keys, lists, universe });
        Ok(self.known.len() - 1)
    }

    fn repository(&self, source: &Source, keys: &Keys<'_>) -> Result<Repository> {
        let listed = &source.listed;
        let mirror = &self.request.cluster.sources.ubuntu;
        // cloud-init on the node writes the distribution's own lists again, with the mirror in them
        let uri = if source.is_base && mirror != defaults::UBUNTU { mirror } else { &listed.uri };
        let fault = || Error::Uri { uri: uri.clone(), list: source.list.clone() };
        let url =
            Url::parse(uri).ok().filter(|url| ["http", "https"].contains(&url.scheme())).ok_or_else(fault)?;
        let layout = match listed.suite.as_str() {
            "/" | "./" => Layout::Flat,
            suite if suite.ends_with('/') => return Err(fault()),
            suite => Layout::Suite { name: suite.to_owned(), components: listed.components.clone() },
        };
        Ok(Repository { url, layout, keyring: keys.of(source)? })
    }

    /// The packages of a plan, with an index of them that says what they are, and a list of sources that names it.
    /// `all` is what the nodes of every role install, `images` are those that are baked with them.
    pub(super) fn files(
        &self,
        chosen: &Chosen,
        all: &[&Chosen],
        images: &[&Reference],
    ) -> Result<Vec<PayloadFile>> {
        let Some(known) = self.known.get(chosen.lists) else { return Ok(Vec::new()) };
        let plan = &chosen.plan;
        let paths = apt::files(self.fetcher, plan)?;
        let index = known.lists.excerpt(plan, |package| format!("./{}", file_name(package)))?;
        // apt refuses a list that is not valid yet, and the clock of a node may be wrong
        let release = format!(
            "Origin: pibake\nLabel: pibake\nSuite: pibake\nDate: Sat, 01 Jan 2000 00:00:00 UTC\nSHA256:\n {} {} Packages\n",
            Digest::of(&index),
            index.len()
        );
        let list = format!("deb [trusted=yes] file:{PAYLOAD}/{FOLDER} ./\n");
        let made = BTreeMap::from([
            (LIST.to_owned(), list.into_bytes()),
            (format!("{FOLDER}/Release"), release.into_bytes()),
            (format!("{FOLDER}/Packages"), index),
        ]);
        let is_same = all.iter().all(|other| *other == chosen);
        let mut files = Vec::new();
        // later updates come from the servers, whose keys first boot does not fetch then
        for (path, key) in &known.keys {
            let content = Content::Bytes(key.clone().into_bytes());
            let what = "a repository's key".to_owned();
            files.push(PayloadFile { path: ImagePath::new(*path)?, what, is_common: is_same, content });
        }
        for (name, bytes) in made {
            let what = "the list of what is preloaded".to_owned();
            let content = Content::Bytes(bytes);
            files.push(PayloadFile { path: place(&name)?, what, is_common: is_same, content });
        }
        for (package, path) in plan.install.iter().zip(paths) {
            if package.package == KUBEADM {
                kubeadm::check(&path, &package.version, images)?;
            }
            let content = Content::Cached { digest: package.sha256, len: package.size };
            let path = place(&format!("{FOLDER}/{}", file_name(package)))?;
            let what = format!("the package {} {}", package.package, package.version);
            let is_common =
                all.iter().all(|other| other.plan.install.iter().any(|p| p.sha256 == package.sha256));
            files.push(PayloadFile { path, what, is_common, content });
        }
        Ok(files)
    }
}

/// As archives name packages: without the epoch of the version.
fn file_name(package: &Install) -> String {
    let version = package.version.split_once(':').map_or(package.version.as_str(), |(_, version)| version);
    format!("{}_{version}_{}.deb", package.package, package.architecture)
}

/// The patch release in a version of a package of Kubernetes, `1.34.2-1.1`, if it is of the right minor version.
fn patch_release(package: &str, software: KubernetesVersion) -> Option<u16> {
    let upstream = package.split(['-', '+', '~']).next()?;
    let version: KubernetesVersion = upstream.parse().ok()?;
    version.patch.filter(|_| version.minor == software.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_kubernetes_say_their_release() {
        let of = |package| patch_release(package, KubernetesVersion::minor(34));
        assert_eq!(of("1.34.2-1.1"), Some(2));
        assert_eq!(of("1.34.10-00"), Some(10));
        assert_eq!(of("1.34.0~rc.1-1.1"), Some(0));
        for other in ["1.33.2-1.1", "1.34-1", "", "2:1.34.2-1", "kubeadm"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}

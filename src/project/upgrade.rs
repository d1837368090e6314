//! What a cluster that runs is moved on to, in its description and in what is kept of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Error, FILE, Project};
use crate::cluster::{
    Cluster, ContainerdSource, ContainerdVersion, KubernetesVersion, Node, Platform, Software, with_value,
};
use crate::identity::{Identity, Made};
use crate::io::folder::parent;
use crate::io::{FileLock, Folder, Owner};
use crate::recipe::{self, Extras, Recipe};

/// What is to run on a node of a cluster that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Kubernetes.
    pub kubernetes: KubernetesVersion,
    /// containerd.
    pub containerd: ContainerdVersion,
    /// Its package; the one that the platform prefers where it is left open.
    pub containerd_from: Option<ContainerdSource>,
}

/// What a cluster has been moved on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovedOn {
    /// Another Kubernetes.
    Kubernetes(KubernetesVersion),
    /// Another containerd, by this package.
    Containerd(ContainerdVersion, ContainerdSource),
}

/// A value of the description that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The description.
    pub file: PathBuf,
    /// The key with the tables around it.
    pub key: String,
    /// What it is now.
    pub value: String,
}

impl Project {
    /// What a card of `node` would be with these versions over an image of `platform`, whatever the description and the
    /// cluster's record say of versions now.
    pub fn recipe_with(
        &self,
        identity: &Identity,
        node: &Node,
        platform: &Platform,
        versions: &Versions,
    ) -> Result<(Software, Recipe), Error> {
        let mut cluster = self.cluster.clone();
        cluster.kubernetes.version = Some(versions.kubernetes);
        // A release that the description names stays the one.
        let asked = cluster.kubernetes.containerd.filter(|asked| {
            versions.containerd.patch.is_none()
                && (asked.major, asked.minor) == (versions.containerd.major, versions.containerd.minor)
        });
        cluster.kubernetes.containerd = Some(asked.unwrap_or(versions.containerd));
        cluster.kubernetes.containerd_from = versions.containerd_from.or(cluster.kubernetes.containerd_from);
        let software = cluster.software(platform).map_err(recipe::Error::from)?;
        let extras = Extras::load(&cluster)?;
        let recipe = recipe::recipe(&cluster, identity, node, platform, &extras)?;
        Ok((software, recipe))
    }

    /// Held while the cluster is upgraded; `None` where another pibake does that.
    pub fn lock_for_upgrade(&self) -> Result<Option<FileLock>, Error> {
        let mut name = self.store.dir().file_name().unwrap_or_default().to_owned();
        name.push(".upgrade.lock");
        Ok(FileLock::try_take(&parent(self.store.dir()).join(name))?)
    }

    /// Writes down what the cluster has been moved on to, so that cards to come have it: in the record of what it was made
    /// with, and in the description where that would make it something else.
    pub fn move_on(
        &self,
        identity: &Identity,
        platform: &Platform,
        to: MovedOn,
    ) -> Result<Option<Rewritten>, Error> {
        let mut made = match &identity.made {
            Some(made) => made.clone(),
            None => {
                let software = self.cluster.software(platform).map_err(recipe::Error::from)?;
                Made::of(&self.cluster, platform, &software, self.clock)
            }
        };
        match to {
            MovedOn::Kubernetes(version) => made.kubernetes = version,
            MovedOn::Containerd(version, _) => made.containerd = version.to_string(),
        }
        // Before the description: cards may be older than the cluster, and never newer.
        if identity.made.as_ref() != Some(&made) {
            self.store.record(&made)?;
        }
        let (key, value) = match to {
            MovedOn::Kubernetes(version) => match self.cluster.kubernetes.version {
                Some(stated) if stated != version => ("version", version.to_string()),
                _ => return Ok(None),
            },
            MovedOn::Containerd(version, source) => {
                let mut cluster = self.cluster.clone();
                cluster.kubernetes.version = Some(made.kubernetes);
                if would_have(&cluster, platform, version, source) {
                    return Ok(None);
                }
                ("containerd", version.to_string())
            }
        };
        self.rewrite(key, &value).map(Some)
    }

    /// Sets a key of `[kubernetes]`; all else stays as it stands.
    fn rewrite(&self, key: &str, value: &str) -> Result<Rewritten, Error> {
        let file = self.place.file.clone().unwrap_or_else(|| self.place.dir.join(FILE));
        let failed = |source| Error::Rewriting { file: file.clone(), source };
        // What a link leads to is changed, not the link.
        let at = match file.canonicalize() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => file.clone(),
            found => found.map_err(failed)?,
        };
        let (text, mode, owner) = match fs::read_to_string(&at) {
            Ok(text) => {
                let found = at.metadata().map_err(failed)?;
                let owner = rustix::process::geteuid().is_root().then(|| Owner::of(&found));
                (text, found.mode() & 0o7777, owner)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                (String::new(), 0o666, Owner::of_new_in(parent(&at)))
            }
            Err(e) => return Err(failed(e)),
        };
        let text = with_value(&text, "kubernetes", key, value).map_err(|source| Error::Editing {
            file: file.clone(),
            key: key.to_owned(),
            value: value.to_owned(),
            source,
        })?;
        let folder = Folder::open(parent(&at)).map_err(failed)?;
        let name = at.file_name().unwrap_or_default().to_string_lossy();
        folder.replace(&name, text.as_bytes(), mode, owner).map_err(failed)?;
        Ok(Rewritten { file, key: format!("kubernetes.{key}"), value: value.to_owned() })
    }
}

/// Whether cards that are made by that description have this containerd.
fn would_have(
    cluster: &Cluster,
    platform: &Platform,
    version: ContainerdVersion,
    source: ContainerdSource,
) -> bool {
    cluster
        .software(platform)
        .is_ok_and(|software| software.containerd == version && software.containerd_from == source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Overrides;

    fn project(dir: &std::path::Path, text: &str) -> Project {
        let file = dir.join("pibake.toml");
        fs::write(&file, text).unwrap();
        Project::open(Some(&file), &Overrides::default()).unwrap()
    }

    fn made(project: &Project) -> Made {
        project.existing_identity().unwrap().unwrap().made.unwrap()
    }

    const BASE: &str = "# ours\n[base]\nimage = \"sample\"\nplatform = \"24.04\"\n";

    #[test]
    fn cards_to_come_have_what_the_cluster_has() {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform::named("24.04").unwrap();
        let of = |version: &str| MovedOn::Kubernetes(version.parse().unwrap());
        // The version is stated.
        let stated = format!("{BASE}[kubernetes]\nversion = \"1.34\" # for now\n");
        let before = project(dir.path(), &stated);
        before.identity().unwrap();
        before.record(&platform).unwrap();
        let identity = before.identity().unwrap();
        let said = before.move_on(&identity, &platform, of("1.35")).unwrap().unwrap();
        assert_eq!((said.key.as_str(), said.value.as_str()), ("kubernetes.version", "1.35"));
        let text = fs::read_to_string(dir.path().join("pibake.toml")).unwrap();
        assert_eq!(text, stated.replace("1.34", "1.35"));
        let after = Project::open(Some(&said.file), &Overrides::default()).unwrap();
        assert_eq!(made(&after).kubernetes.to_string(), "1.35");
        assert_eq!(after.software(&platform).unwrap().kubernetes.to_string(), "1.35");
        // Once more: there is nothing to write.
        assert_eq!(after.move_on(&after.identity().unwrap(), &platform, of("1.35")).unwrap(), None);
        // It is not stated.
        let silent = project(dir.path(), BASE);
        assert_eq!(silent.move_on(&silent.identity().unwrap(), &platform, of("1.36")).unwrap(), None);
        assert_eq!(silent.software(&platform).unwrap().kubernetes.to_string(), "1.36");
        assert_eq!(fs::read_to_string(dir.path().join("pibake.toml")).unwrap(), BASE);
    }

    #[test]
    fn a_containerd_is_written_where_cards_would_have_another() {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform::named("24.04").unwrap();
        let to =
            |line: (u16, u16), source| MovedOn::Containerd(ContainerdVersion::line(line.0, line.1), source);
        let before = project(dir.path(), &format!("{BASE}[kubernetes]\ncontainerd = \"1.7\"\n"));
        before.identity().unwrap();
        before.record(&platform).unwrap();
        let identity = before.identity().unwrap();
        let said = before.move_on(&identity, &platform, to((2, 2), ContainerdSource::Distribution)).unwrap();
        assert_eq!(said.unwrap().value, "2.2");
        assert_eq!(made(&before).containerd, "2.2");
        // What 24.04 has by itself need not be named.
        let silent = project(dir.path(), BASE);
        assert_eq!(
            silent.move_on(&identity, &platform, to((2, 2), ContainerdSource::Distribution)).unwrap(),
            None
        );
    }

    #[test]
    fn one_upgrade_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path(), BASE);
        let held = project.lock_for_upgrade().unwrap();
        assert!(held.is_some() && project.lock_for_upgrade().unwrap().is_none());
        drop(held);
        assert!(project.lock_for_upgrade().unwrap().is_some());
    }
}

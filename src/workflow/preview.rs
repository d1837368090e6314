//! What would be baked, as far as that is known with what is here: nothing is downloaded, and nothing is made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BaseRequest, Described, Error, Wanted, preload, system};
use crate::bake::{self, Preparation};
use crate::base;
use crate::catalog::Spec;
use crate::cluster::{Node, Platform, Role, Software};
use crate::disk::{FileDevice, ReadAt};
use crate::opened::Opened;
use crate::payload::{Payload, PayloadFile};
use crate::project::{self, Recipes};
use crate::recipe::Recipe;

/// What would be baked for one node, every secret masked.
#[derive(Debug)]
pub struct Preview {
    /// What is taken away or put right before, where the base is here and was in use.
    pub before: Vec<Preparation>,
    /// The node's own changes.
    pub recipe: Recipe,
}

/// What would be baked besides the nodes' recipes.
#[derive(Debug)]
pub struct Preload {
    /// What the nodes of each role get.
    pub payload: Payload,
    /// Bytes that the root file system of the base has free.
    pub free: u64,
}

impl Preload {
    /// Bytes that the nodes of this role need free in the base.
    #[must_use]
    pub fn needed(&self, role: Role) -> u64 {
        let files = self.payload.part(role).map_or(&[][..], |part| part.files.as_slice());
        bake::needed(files.iter().map(PayloadFile::size), preload::BLOCK)
    }
}

impl Described {
    /// What would be preloaded; `None` where nothing is, and where it cannot be told with what is here.
    ///
    /// # Errors
    /// What keeps the nodes from being baked.
    pub fn preload(&self) -> Result<Option<Preload>, Error> {
        let project = &self.project;
        if !project.cluster.image.preload {
            return Ok(None);
        }
        let wanted = self.wanted()?;
        let path = match self.base_path(&wanted) {
            Err(Error::NotHere { .. }) => return Ok(None),
            path => path?,
        };
        match self.fetch(&wanted, &path) {
            Ok(payload) => {
                let device: Arc<dyn ReadAt> = open(&path)?;
                Ok(Some(Preload { payload, free: bake::free(&device)? }))
            }
            Err(Error::Payload(fault)) if fault.is_offline() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// What all nodes need besides their recipes, over the raw base image at `path`.
    pub(super) fn fetch(&self, wanted: &Wanted, path: &Path) -> Result<Payload, Error> {
        let project = &self.project;
        let platform = system::of(&project.cluster, path)?;
        let software = project.software(&platform)?;
        let nodes = &project.cluster.nodes;
        let recipe = |node: &Node| Ok((node.name.to_string(), project.preview(node, &platform)?));
        let recipes: Recipes = nodes.iter().map(recipe).collect::<Result<_, project::Error>>()?;
        let roles: BTreeSet<Role> = nodes.iter().map(|node| node.role).collect();
        let roles: Vec<Role> = roles.into_iter().collect();
        let base = preload::open(path)?;
        preload::fetch(project, &software, &recipes, &roles, &base, &wanted.fetcher(&self.control))
    }

    /// What would be baked for `node`.
    ///
    /// # Errors
    /// [`Error::NotHere`] where only the base can tell, and it is not here; else what keeps the node from being
    /// baked.
    pub fn preview(&self, node: &Node) -> Result<Preview, Error> {
        let (platform, base) = self.platform()?;
        let recipe = self.project.preview(node, &platform)?;
        let before = match base {
            Some(base) => bake::preparations(open(&base)?, &recipe)?,
            None => Vec::new(),
        };
        Ok(Preview { before, recipe })
    }

    /// What will run, where that is known without fetching or unpacking anything large.
    ///
    /// # Errors
    /// [`Error::Project`] where the versions asked for do not go with the platform.
    pub fn software(&self) -> Result<Option<Software>, Error> {
        let cluster = &self.project.cluster;
        let is_here = match &cluster.base.image {
            Spec::Sample => true,
            Spec::Path(path) => Opened::open(path).is_ok(),
            Spec::Release(_) | Spec::Url(_) => false,
        };
        let platform = match cluster.stated_platform() {
            Some(platform) => platform,
            // A cache that cannot be used is none of this question's business.
            None if is_here => match self.platform() {
                Ok((platform, _)) => platform,
                Err(error) => {
                    tracing::info!("what {} holds is not known: {error}", cluster.base.image);
                    return Ok(None);
                }
            },
            None => return Ok(None),
        };
        Ok(Some(self.project.software(&platform)?))
    }

    /// What system the nodes will run, and the raw base image where it had to be looked at. A packed image says
    /// what it holds once it is unpacked into the cache, which a build needs anyway.
    fn platform(&self) -> Result<(Platform, Option<PathBuf>), Error> {
        let cluster = &self.project.cluster;
        let is_file = matches!(cluster.base.image, Spec::Path(_));
        if let Some(platform) = cluster.stated_platform().filter(|_| !is_file) {
            return Ok((platform, None));
        }
        let path = self.base_path(&self.wanted()?)?;
        Ok((system::of(cluster, &path)?, Some(path)))
    }

    /// The base image, as far as it is here.
    fn wanted(&self) -> Result<Wanted, Error> {
        Wanted::locked(&self.project, &BaseRequest::here(), &self.control)
    }

    /// The raw base image on this machine.
    fn base_path(&self, wanted: &Wanted) -> Result<PathBuf, Error> {
        if let Some(path) = wanted.in_place() {
            return Ok(path.to_owned());
        }
        match wanted.obtain(&self.control, None) {
            Ok(base) => Ok(base.path().to_owned()),
            Err(Error::Base(base::Error::Offline { .. })) => {
                Err(Error::NotHere { image: self.project.cluster.base.image.to_string() })
            }
            Err(error) => Err(error),
        }
    }
}

fn open(path: &Path) -> Result<Arc<FileDevice>, Error> {
    let device = FileDevice::open(path);
    Ok(Arc::new(device.map_err(|source| Error::Open { image: path.to_owned(), source })?))
}

//! What would be baked, as far as that is known with what is here: nothing is downloaded, and nothing is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BaseRequest, Described, Error, Wanted, ends, preload, system};
use crate::bake::{self, Preparation, Room, Size};
use crate::base;
use crate::catalog::Spec;
use crate::cluster::{Node, Platform, Role, Software};
use crate::disk::FileDevice;
use crate::image_reader::ImageReader;
use crate::payload::Payload;
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
    /// How large the images become with it, and what is free in them before it is there.
    pub room: Room,
}

impl Preload {
    /// Bytes that the nodes of this role need free for it.
    #[must_use]
    pub fn needed(&self, role: Role) -> u64 {
        preload::needed(&self.payload, role)
    }
}

impl Described {
    /// What would be preloaded; `None` where nothing is, and where it cannot be told with what is here.
    ///
    /// # Errors
    /// What keeps the nodes from being baked.
    pub fn preload(&self) -> Result<Option<Preload>, Error> {
        if !self.project.cluster.image.preload {
            return Ok(None);
        }
        let wanted = self.wanted()?;
        let path = match self.base_path(&wanted) {
            Err(Error::NotHere { .. }) => return Ok(None),
            path => path?,
        };
        match self.fetch(&wanted, &path) {
            Ok(payload) => {
                let room = bake::room(open(&path)?, preload::size(self.size(), &payload))?;
                Ok(Some(Preload { payload, room }))
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
        let base = preload::open(path)?;
        preload::fetch(project, &software, &recipes, &base, &wanted.fetcher(&self.control))
    }

    /// What would be baked for `node`.
    ///
    /// # Errors
    /// [`Error::NotHere`] where only the base can tell, and it is not here; else what keeps the node from being
    /// baked.
    pub fn preview(&self, node: &Node) -> Result<Preview, Error> {
        let (platform, base) = self.platform()?;
        self.project.cluster.check_boards(&platform, &[node])?;
        let recipe = self.project.preview(node, &platform)?;
        self.warn_of_support(&platform)?;
        let (cluster, now) = (&self.project.cluster, self.project.now());
        ends::keys(cluster, [&recipe], now).into_iter().for_each(|warning| self.control.warn(warning));
        let before = match base {
            Some(base) => {
                bake::check_base(open(&base)?, &recipe)?;
                bake::preparations(open(&base)?, &recipe)?
            }
            None => Vec::new(),
        };
        Ok(Preview { before, recipe })
    }

    /// What will run, where that is known without fetching or unpacking anything large.
    ///
    /// # Errors
    /// [`Error::Open`] for a path at which nothing is, [`Error::Project`] where the versions asked for do not go with
    /// the platform, [`Error::Unfit`] where one of the boards does not.
    pub fn software(&self) -> Result<Option<Software>, Error> {
        let cluster = &self.project.cluster;
        // whoever mistypes a path hears it before everything else is looked at
        if let Spec::Path(path) = &cluster.base.image
            && let Err(source) = std::fs::metadata(path)
        {
            return Err(Error::Open { image: path.clone(), source });
        }
        let platform = match cluster.stated_platform() {
            Some(platform) => platform,
            // A cache that cannot be used is none of this question's business.
            None if self.is_base_here() => match self.platform() {
                Ok((platform, _)) => platform,
                Err(error) => {
                    tracing::info!("what {} holds is not known: {error}", cluster.base.image);
                    return Ok(None);
                }
            },
            None => return Ok(None),
        };
        let nodes: Vec<&Node> = cluster.nodes.iter().collect();
        cluster.check_boards(&platform, &nodes)?;
        let software = self.project.software(&platform)?;
        self.warn_of_support(&platform)?;
        Ok(Some(software))
    }

    /// How large the images become and what there is room for in them, where that is known without fetching or
    /// unpacking anything large.
    ///
    /// # Errors
    /// [`Error::Bake`] where they cannot be as large as they were asked for.
    pub fn room(&self) -> Result<Option<Room>, Error> {
        if !self.is_base_here() {
            return Ok(None);
        }
        let size = self.size();
        let path = self.wanted().and_then(|wanted| self.base_path(&wanted));
        match path.and_then(|path| Ok(bake::room(open(&path)?, size)?)) {
            Ok(room) => Ok(Some(room)),
            // What is wrong with the base alone is said where something is made of it.
            Err(error) if size == Size::default() || !matches!(error, Error::Bake(_)) => {
                tracing::info!("what {} has room for is not known: {error}", self.project.cluster.base.image);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_base_here(&self) -> bool {
        match &self.project.cluster.base.image {
            Spec::Sample => true,
            Spec::Path(path) => ImageReader::open(path).is_ok(),
            Spec::Release(_) | Spec::Url(_) => false,
        }
    }

    /// What system the nodes will run, and the raw base image where it had to be looked at. A packed image says
    /// what it holds once it is unpacked into the cache, which a build needs anyway.
    pub(super) fn platform(&self) -> Result<(Platform, Option<PathBuf>), Error> {
        let cluster = &self.project.cluster;
        let is_file = matches!(cluster.base.image, Spec::Path(_));
        if let Some(platform) = cluster.stated_platform().filter(|_| !is_file) {
            return Ok((platform, None));
        }
        let path = self.base_path(&self.wanted()?)?;
        Ok((system::of(cluster, &path)?, Some(path)))
    }

    /// The base image, as far as it is here.
    pub(super) fn wanted(&self) -> Result<Wanted, Error> {
        Wanted::locked(&self.project, &BaseRequest::here(), &self.control)
    }

    /// The raw base image on this machine.
    pub(super) fn base_path(&self, wanted: &Wanted) -> Result<PathBuf, Error> {
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

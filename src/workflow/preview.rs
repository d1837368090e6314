//! What would be baked, as far as that is known with what is here: nothing is downloaded, and nothing is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BaseRequest, Described, Error, Wanted, ends, system};
use crate::bake::{self, Preparation};
use crate::base;
use crate::catalog::Spec;
use crate::cluster::{Node, Platform, Software};
use crate::disk::FileDevice;
use crate::opened::Opened;
use crate::recipe::Recipe;

/// What would be baked for one node, every secret masked.
#[derive(Debug)]
pub struct Preview {
    /// What is taken away or put right before, where the base is here and was in use.
    pub before: Vec<Preparation>,
    /// The node's own changes.
    pub recipe: Recipe,
}

impl Described {
    /// What would be baked for `node`.
    ///
    /// # Errors
    /// [`Error::NotHere`] where only the base can tell, and it is not here; else what keeps the node from being
    /// baked.
    pub fn preview(&self, node: &Node) -> Result<Preview, Error> {
        let (platform, base) = self.platform()?;
        let recipe = self.project.preview(node, &platform)?;
        self.warn_of_support(&platform)?;
        let (cluster, now) = (&self.project.cluster, self.project.now());
        ends::keys(cluster, [&recipe], now).into_iter().for_each(|warning| self.control.warn(warning));
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
        let software = self.project.software(&platform)?;
        self.warn_of_support(&platform)?;
        Ok(Some(software))
    }

    /// What system the nodes will run, and the raw base image where it had to be looked at. A packed image says
    /// what it holds once it is unpacked into the cache, which a build needs anyway.
    fn platform(&self) -> Result<(Platform, Option<PathBuf>), Error> {
        let cluster = &self.project.cluster;
        let is_file = matches!(cluster.base.image, Spec::Path(_));
        if let Some(platform) = cluster.stated_platform().filter(|_| !is_file) {
            return Ok((platform, None));
        }
        let wanted = Wanted::new(&cluster.base, &BaseRequest::here(), &self.control)?;
        let path = match wanted.in_place() {
            Some(path) => path.to_owned(),
            None => match wanted.obtain(&self.control, None) {
                Ok(base) => base.path().to_owned(),
                Err(Error::Base(base::Error::Offline { .. })) => {
                    return Err(Error::NotHere { image: cluster.base.image.to_string() });
                }
                Err(error) => return Err(error),
            },
        };
        Ok((system::of(cluster, &path)?, Some(path)))
    }
}

fn open(path: &Path) -> Result<Arc<FileDevice>, Error> {
    let device = FileDevice::open(path);
    Ok(Arc::new(device.map_err(|source| Error::Open { image: path.to_owned(), source })?))
}

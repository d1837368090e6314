//! A description that was read.

use std::path::Path;

use super::{Control, Error, Notice, Warning};
use crate::bake::Size;
use crate::cluster::{ImageSize, Node, Overrides, Platform};
use crate::io::surroundings;
use crate::project::Project;

/// A description that was read. What is probably not meant has been told.
#[derive(Debug)]
pub struct Described {
    /// The description and the secrets beside it.
    pub project: Project,
    pub(super) control: Control,
}

/// Opens the description in `config`, or the nearest one, with `overrides` over it, and tells which it is: for what
/// makes no nodes.
///
/// # Errors
/// [`Error::Project`]
pub fn project(config: Option<&Path>, overrides: &Overrides, control: &Control) -> Result<Project, Error> {
    let project = Project::open(config, overrides)?.waiting(control.waiting());
    control.tell(&Notice::Description(project.place.file.clone()));
    Ok(project)
}

impl Described {
    /// Opens the description in `config`, or the nearest one, with `overrides` over it; tells which it is,
    /// and what is probably not meant. No secret is made yet.
    ///
    /// # Errors
    /// [`Error::Project`]
    pub fn open(config: Option<&Path>, overrides: &Overrides, control: Control) -> Result<Self, Error> {
        let project = project(config, overrides, &control)?;
        // Nothing is chosen for the user here: the same description gives the same cards wherever
        // it is built.
        for warning in project.warnings(&surroundings()) {
            control.warn(Warning::Project(warning));
        }
        Ok(Self { project, control })
    }

    /// Tells what of nodes over an image of `platform` gets no security fixes any more.
    pub(super) fn warn_of_support(&self, platform: &Platform) -> Result<(), Error> {
        if let Some(out) = self.project.out_of_support(platform)? {
            self.control.warn(Warning::OutOfSupport(out));
        }
        Ok(())
    }

    /// How large the nodes' images become.
    pub(super) fn size(&self) -> Size {
        Size { image: self.project.cluster.image.size.map(ImageSize::bytes), free: 0 }
    }

    /// The nodes at these places in the cluster's list.
    pub(super) fn nodes_at(&self, places: &[usize]) -> Vec<&Node> {
        places.iter().filter_map(|place| self.project.cluster.nodes.get(*place)).collect()
    }
}

//! The nodes of a description that cards are made for.

use std::path::Path;

use super::described::Described;
use super::prepared::Prepared;
use super::{Error, NodeSelector, Notice, Wanted, Warning, ends, founding, system};
use crate::base::ImageObserver;
use crate::cluster::{Bootloader, Node, Platform};
use crate::project::{Project, Recipes};

/// Nodes that cards are made for, of a cluster that is here or begins with them.
#[derive(Debug)]
pub struct Chosen {
    described: Described,
    /// Places in the cluster's list of nodes, in its order.
    chosen: Vec<usize>,
    /// Whether the first recipes make a new cluster; told, and false, after that.
    begins: bool,
    /// Whether the control plane was named, whose card has an empty cluster on it.
    begins_anew: bool,
    /// What was made before the base was there, since the description states the platform.
    early: Option<(Platform, Recipes)>,
}

impl Described {
    /// Chooses the nodes that cards are made for: all where none is named. Whoever names the control plane
    /// begins the cluster anew, since all that it knew is lost with its card. `new_cluster`: that a cluster is
    /// founded was asked for.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`]; [`Error::NoCluster`] where workers would join a cluster that is not here,
    /// [`Error::ClusterExists`] where a new one would take its place.
    pub fn choose(self, named: &[NodeSelector], new_cluster: bool) -> Result<Chosen, Error> {
        let Self { project, control } = self;
        let nodes = named.iter().map(|selector| selector.find(&project.cluster));
        let nodes: Vec<&Node> = nodes.collect::<Result<_, _>>()?;
        let begins_anew = nodes.iter().any(|node| node.is_control_plane());
        let is_chosen = |node: &Node| named.is_empty() || nodes.iter().any(|n| n.number == node.number);
        let all = project.cluster.nodes.iter().enumerate();
        let chosen = all.filter(|(_, node)| is_chosen(node)).map(|(place, _)| place).collect();
        let project = if begins_anew { project.begin_anew() } else { project };
        if begins_anew && let Some(fixed) = project.changed()? {
            control.warn(Warning::BeginsAnew(fixed));
        }
        let mut chosen =
            Chosen { described: Self { project, control }, chosen, begins: false, begins_anew, early: None };
        chosen.begins = founding::begins(chosen.project(), &chosen.nodes(), new_cluster)?;
        Ok(chosen)
    }

    /// Chooses the control plane, whose card is to go on with the copy of etcd at `path`.
    ///
    /// # Errors
    /// [`Error::Project`] where it is not a whole copy of this cluster.
    pub fn restore(self, path: &Path) -> Result<Chosen, Error> {
        let Self { project, control } = self;
        let project = project.restoring(path)?;
        let nodes = project.cluster.nodes.iter();
        let chosen = nodes.enumerate().filter(|(_, node)| node.is_control_plane()).map(|(place, _)| place);
        let chosen = chosen.collect();
        Ok(Chosen {
            described: Self { project, control },
            chosen,
            begins: false,
            begins_anew: false,
            early: None,
        })
    }
}

impl Chosen {
    /// The description and the secrets beside it.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.described.project
    }

    /// The nodes, by number.
    #[must_use]
    pub fn nodes(&self) -> Vec<&Node> {
        self.described.nodes_at(&self.chosen)
    }

    /// Says what is lost where the card of a control plane that may be in use is made again.
    ///
    /// # Errors
    /// [`Error::Project`]
    pub fn warn_of_loss(&self) -> Result<(), Error> {
        let made = self.project().existing_identity()?.is_some_and(|identity| identity.made.is_some());
        if self.begins_anew && made {
            self.described.control.warn(Warning::Empties);
        }
        Ok(())
    }

    /// Refuses what cannot be built, as far as that is known without the base image. Where the description
    /// states the platform this makes the recipes, and with them the secrets where there are none yet.
    ///
    /// # Errors
    /// [`Error::Project`]
    pub fn refuse_early(&mut self) -> Result<(), Error> {
        let stated = self.project().cluster.stated_platform();
        if let Some(platform) = stated.filter(|_| self.early.is_none()) {
            self.early = Some((platform, self.recipes(&platform)?));
        }
        Ok(())
    }

    /// Gets the base and makes each node's recipe for it. What can be refused before is refused before; a base
    /// that no node of this cluster can be made from is refused then. `observer` writes the base elsewhere while
    /// it is decoded.
    ///
    /// # Errors
    /// [`Error`]
    pub fn prepare(
        mut self,
        wanted: &Wanted,
        observer: Option<&mut dyn ImageObserver>,
    ) -> Result<Prepared, Error> {
        self.refuse_early()?;
        let base = wanted.obtain(&self.described.control, observer)?;
        if !self.project().cluster.image.preload {
            wanted.settle(&base, None, &self.described.control)?;
        }
        let platform = system::of(&self.project().cluster, base.path())?;
        let recipes = match self.early.take() {
            Some((stated, recipes)) if stated == platform => recipes,
            _ => self.recipes(&platform)?,
        };
        let prepared = Prepared::new(self.described, self.chosen, base, platform, recipes)?;
        prepared.preload(wanted)
    }

    /// Makes all nodes' recipes, and says so where a cluster begins with them, and of what is in them where its time
    /// is over, or soon; and what the boards need that is not on a card.
    fn recipes(&mut self, platform: &Platform) -> Result<Recipes, Error> {
        let nodes = self.nodes();
        self.project().cluster.check_boards(platform, &nodes)?;
        self.described.warn_of_support(platform)?;
        for needed in Bootloader::needed(platform, &nodes) {
            self.described.control.tell(&Notice::Bootloader(needed));
        }
        let (project, control) = (&self.described.project, &self.described.control);
        let recipes = project.recipes(platform)?;
        let keys = ends::keys(&project.cluster, recipes.values(), project.now());
        let authority = ends::authority(&project.identity()?, project.now());
        keys.into_iter().chain(authority).for_each(|warning| control.warn(warning));
        if std::mem::take(&mut self.begins) {
            let state = project.store().dir();
            let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
            control.tell(&Notice::Created { cluster: project.cluster.name.clone(), state });
        }
        Ok(recipes)
    }
}

//! Nodes that can be baked: the base is here, and each has its recipe.

use std::collections::{BTreeMap, BTreeSet};

use super::described::Described;
use super::preload::{self, Laying};
use super::{Error, Wanted, Warning};
use crate::bake::{self, Clock, Proof, Shared};
use crate::base::Base;
use crate::cluster::{Node, Platform, Role, Software};
use crate::disk::Patch;
use crate::payload::Payload;
use crate::project::{Project, Recipes};
use crate::recipe::Recipe;

/// A base that was verified and fits, and the recipe of each node over it.
#[derive(Debug)]
pub struct Prepared {
    described: Described,
    chosen: Vec<usize>,
    base: Base,
    platform: Platform,
    software: Software,
    recipes: Recipes,
    /// What the nodes of each role have besides their recipes.
    shared: BTreeMap<Role, Shared>,
    /// What that is, where something is preloaded.
    payload: Option<Payload>,
    /// The time of every change. An editor wants a clock that lives as long as the program, so this one is never
    /// freed; a run has one.
    clock: &'static Clock,
}

impl Prepared {
    /// Refuses a base that belongs to a cluster, is too large or lacks what a board needs, before anything is written,
    /// and tells of one that was in use.
    pub(super) fn new(
        described: Described,
        chosen: Vec<usize>,
        base: Base,
        platform: Platform,
        recipes: Recipes,
    ) -> Result<Self, Error> {
        let software = described.project.software(&platform)?;
        let clock = Box::leak(Box::new(Clock::new(described.project.build_time())));
        let shared = BTreeMap::new();
        let prepared =
            Self { described, chosen, base, platform, software, recipes, shared, payload: None, clock };
        // once, and not of every node
        bake::room(prepared.base.device()?, prepared.described.size())?;
        let mut boards = BTreeSet::new();
        for node in prepared.nodes() {
            // a role may bring files of its own
            if node.board.is_some() && boards.insert((node.board, node.role)) {
                bake::check_base(prepared.base.device()?, prepared.recipe(node.name.as_str())?)?;
            }
        }
        if let Some(recipe) = prepared.recipes.values().next() {
            let before = bake::preparations(prepared.base.device()?, recipe)?;
            let used: Vec<_> = before.iter().filter(|preparation| preparation.was_there).collect();
            if let [first, more @ ..] = used.as_slice() {
                let first = (first.change.path.to_string(), first.what.to_string());
                prepared.described.control.warn(Warning::BaseInUse { first, more: more.len() });
            }
        }
        Ok(prepared)
    }

    /// Fetches what is preloaded, where the description wants that, and lays it into the base.
    pub(super) fn preload(mut self, wanted: &Wanted) -> Result<Self, Error> {
        if !self.described.project.cluster.image.preload {
            return Ok(self);
        }
        // of all roles, so that a card is the same whichever others are made with it
        let payload = self.described.fetch(wanted, self.base.path())?;
        let control = &self.described.control;
        wanted.settle(&self.base, Some(&payload), control)?;
        let roles = self.nodes().into_iter().map(|node| node.role).collect();
        let size = preload::size(self.described.size(), &payload);
        let laying =
            Laying { payload: &payload, size, base: &self.base, cache: wanted.cache(), clock: self.clock };
        self.shared = laying.lay(&roles, control)?;
        self.payload = Some(payload);
        Ok(self)
    }

    /// The description and the secrets beside it.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.described.project
    }

    /// The nodes that cards are made for, by number.
    #[must_use]
    pub fn nodes(&self) -> Vec<&Node> {
        self.described.nodes_at(&self.chosen)
    }

    /// What the nodes are made from.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// What is preloaded, where something is.
    pub(super) fn payload(&self) -> Option<&Payload> {
        self.payload.as_ref()
    }

    /// What the nodes of a role have over the base besides their recipes, where something is preloaded.
    pub fn shared(&self) -> impl Iterator<Item = (Role, &Patch)> {
        self.shared.iter().map(|(role, shared)| (*role, shared.patch()))
    }

    /// What runs on every node.
    #[must_use]
    pub fn software(&self) -> &Software {
        &self.software
    }

    /// Bakes the node of this name; gives what changes over the base, read back, and what must be true of
    /// whatever it is copied to.
    ///
    /// # Errors
    /// [`Error::Bake`]; [`Error::Base`] where the base is no longer the one that was verified.
    pub fn bake(&self, node: &str) -> Result<(Patch, Proof), Error> {
        let recipe = self.recipe(node)?;
        tracing::info!(node, changes = recipe.changes.len(), "baking");
        let role = self.nodes().into_iter().find(|n| n.name.as_str() == node).map(|node| node.role);
        let nothing = Shared::default();
        let shared = role.and_then(|role| self.shared.get(&role)).unwrap_or(&nothing);
        Ok(bake::bake(self.base.device()?, shared, recipe, self.described.size(), self.clock)?)
    }

    fn recipe(&self, node: &str) -> Result<&Recipe, Error> {
        self.recipes.get(node).ok_or_else(|| Error::NoRecipe { node: node.to_owned() })
    }

    /// Writes down what the cluster is made with, where that is not known yet. To be called before the first card or
    /// image is written.
    ///
    /// # Errors
    /// [`Error::Project`]
    pub fn record(&self) -> Result<(), Error> {
        Ok(self.project().record(&self.platform)?)
    }

    /// Writes it down anew where the control plane, whose card or image stands now by one of these names, was made anew.
    ///
    /// # Errors
    /// [`Error::Project`]
    pub fn record_anew<'n>(&self, stand: impl IntoIterator<Item = &'n str>) -> Result<(), Error> {
        let nodes = self.nodes();
        let is_control_plane =
            |name: &str| nodes.iter().any(|node| node.name.as_str() == name && node.is_control_plane());
        if stand.into_iter().any(is_control_plane) {
            self.project().record_anew(&self.platform)?;
        }
        Ok(())
    }

    /// That the base was the same all the time, once all that is made from it has been read.
    ///
    /// # Errors
    /// [`Error::Base`]
    pub fn finish(&self) -> Result<(), Error> {
        Ok(self.base.unchanged()?)
    }
}

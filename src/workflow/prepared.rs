//! Nodes that can be baked: the base is here, and each has its recipe.

use super::described::Described;
use super::{Error, Warning};
use crate::bake::{self, Clock, Proof};
use crate::base::Base;
use crate::cluster::{Node, Platform, Software};
use crate::disk::Patch;
use crate::project::{Project, Recipes};
use crate::recipe::Recipe;

/// A base that was verified and fits, and the recipe of each node over it.
#[derive(Debug)]
pub struct Prepared {
    described: Described,
    chosen: Vec<usize>,
    base: Base,
    software: Software,
    recipes: Recipes,
    /// The time of every change. An editor wants a clock that lives as long as the program, so this one is never
    /// freed; a run has one.
    clock: &'static Clock,
}

impl Prepared {
    /// Refuses a base that belongs to a cluster or is too large, before anything is written, and tells of one that
    /// was in use.
    pub(super) fn new(
        described: Described,
        chosen: Vec<usize>,
        base: Base,
        platform: Platform,
        recipes: Recipes,
    ) -> Result<Self, Error> {
        let software = described.project.software(&platform)?;
        let clock = Box::leak(Box::new(Clock::new(described.project.build_time())));
        let prepared = Self { described, chosen, base, software, recipes, clock };
        // once, and not of every node
        bake::room(prepared.base.device()?, prepared.described.size())?;
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
        Ok(bake::bake(self.base.device()?, recipe, self.described.size(), self.clock)?)
    }

    fn recipe(&self, node: &str) -> Result<&Recipe, Error> {
        self.recipes.get(node).ok_or_else(|| Error::NoRecipe { node: node.to_owned() })
    }

    /// That the base was the same all the time, once all that is made from it has been read.
    ///
    /// # Errors
    /// [`Error::Base`]
    pub fn finish(&self) -> Result<(), Error> {
        Ok(self.base.unchanged()?)
    }
}

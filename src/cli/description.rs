//! The flags that change a description, and what is read with it.

use std::path::PathBuf;

use clap::Args;

use super::base_flags::BaseFlags;
use super::session::Session;
use crate::cluster::{Overrides, Passwords, Software};
use crate::error::Failure;
use crate::workflow::{BaseRequest, Chosen, Described, NodeSelector, Store, Wanted};

/// Shared by every command that reads the description.
#[derive(Debug, Args)]
pub(super) struct Description {
    /// How many nodes the cluster has
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// The image to make nodes from: a release (20.04.5), `sample`, a path or a URL
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
}

/// Shared by every command that shows or makes what is on a card.
#[derive(Debug, Args)]
pub(super) struct CardFlags {
    #[command(flatten)]
    description: Description,
    /// Bake packages and container images in, so that nodes need no internet
    #[arg(long)]
    preload: bool,
}

/// Shared by every command that makes nodes.
#[derive(Debug, Args)]
pub(super) struct NodeFlags {
    #[command(flatten)]
    card: CardFlags,
    /// Make a new cluster also where no card of its control plane is asked for; refused where there is one
    #[arg(long)]
    new_cluster: bool,
    /// Accept nothing but what pibake.lock has
    #[arg(long)]
    locked: bool,
    /// Take everything from this folder, which pibake vendor made, and never use the network
    #[arg(long, value_name = "DIR")]
    vendor: Option<PathBuf>,
    #[command(flatten)]
    base_flags: BaseFlags,
}

impl NodeFlags {
    /// Opens the description and chooses the nodes that are named in it: all where none is.
    pub(super) fn choose(&self, named: &[NodeSelector], session: &Session) -> Result<Chosen, Failure> {
        Ok(self.card.open(session)?.choose(named, self.new_cluster)?)
    }

    /// The base image that these nodes are made from, not fetched yet.
    pub(super) fn wanted(&self, chosen: &Chosen, session: &Session) -> Result<Wanted, Failure> {
        let store = self.vendor.clone().map_or(Store::Cache, Store::From);
        let request = BaseRequest { locked: self.locked, store, ..self.base_flags.request(session.offline) };
        Ok(Wanted::locked(chosen.project(), &request, &session.control)?)
    }
}

impl CardFlags {
    /// Opens the description of the cluster with these flags over it.
    pub(super) fn open(&self, session: &Session) -> Result<Described, Failure> {
        self.description.open_with(self.preload, session)
    }
}

impl Description {
    /// Opens the description of the cluster with these flags over it.
    pub(super) fn open(&self, session: &Session) -> Result<Described, Failure> {
        self.open_with(false, session)
    }

    fn open_with(&self, preload: bool, session: &Session) -> Result<Described, Failure> {
        let passwords = Passwords::from_environment().map_err(|e| Failure::usage(e.to_string()))?;
        let overrides = Overrides { nodes: self.nodes, base: self.base.clone(), preload, passwords };
        Ok(Described::open(session.config.as_deref(), &overrides, session.control.clone())?)
    }
}

/// The versions that go onto a card, in one line for people.
pub(super) fn versions(base: &str, software: &Software) -> String {
    format!(
        "base image {base}, Kubernetes {}, containerd {}, pibake {}\n",
        software.kubernetes,
        software.containerd,
        env!("CARGO_PKG_VERSION")
    )
}

//! The flags that change a description, and what is read with it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::base_flags::BaseFlags;
use super::session::Session;
use crate::base::Patience;
use crate::cluster::{ImageSize, Overrides, Passwords, Software};
use crate::error::Failure;
use crate::project::Project;
use crate::workflow::{self, BaseRequest, Chosen, Described, NodeSelector, Store, Wanted};

/// Shared by every command that reads the description. Those that make no nodes tell nothing of how it describes them.
#[derive(Debug, Args)]
pub(super) struct ClusterFlags {
    /// How many nodes the cluster has
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
}

/// Shared by every command to which it matters what nodes are made of.
#[derive(Debug, Args)]
pub(super) struct Description {
    #[command(flatten)]
    cluster: ClusterFlags,
    /// The image to make nodes from: a release (24.04.5, or 24.04 for its newest), `sample`, a path or a URL
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Bake packages and container images in, so that nodes need no internet
    #[arg(long)]
    preload: bool,
}

/// Shared by every command that shows or makes what is on a card.
#[derive(Debug, Args)]
pub(super) struct CardFlags {
    #[command(flatten)]
    description: Description,
    /// How large the images are: 8G, 7500M, 8GB [default: as large as the base, or as --preload needs]
    #[arg(long, value_name = "SIZE")]
    image_size: Option<ImageSize>,
}

/// Shared by every command that makes nodes.
#[derive(Debug, Args)]
pub(super) struct NodeFlags {
    #[command(flatten)]
    card: CardFlags,
    /// Create a new cluster even if its control plane is not among the nodes; refused where there is a cluster
    #[arg(long, help_heading = "Advanced")]
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

    /// Opens the description and chooses the control plane, to go on with the copy of etcd at `path`.
    pub(super) fn restore(&self, path: &Path, session: &Session) -> Result<Chosen, Failure> {
        if self.new_cluster {
            return Err(Failure::usage("--new-cluster: a copy is restored into the cluster that it is of"));
        }
        Ok(self.card.open(session)?.restore(path)?)
    }

    /// How long a bad network is put up with.
    pub(super) fn patience(&self) -> Patience {
        self.base_flags.patience()
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
        self.description.open_as(self.image_size, session)
    }
}

impl ClusterFlags {
    /// Opens the description of the cluster with these flags over it.
    pub(super) fn open(&self, session: &Session) -> Result<Project, Failure> {
        let overrides = with_passwords(Overrides { nodes: self.nodes, ..Overrides::default() })?;
        Ok(workflow::project(session.config.as_deref(), &overrides, &session.control)?)
    }
}

impl Description {
    /// Opens the description of the cluster with these flags over it.
    pub(super) fn open(&self, session: &Session) -> Result<Described, Failure> {
        self.open_as(None, session)
    }

    fn open_as(&self, image_size: Option<ImageSize>, session: &Session) -> Result<Described, Failure> {
        let overrides = with_passwords(Overrides {
            nodes: self.cluster.nodes,
            base: self.base.clone(),
            image_size,
            preload: self.preload,
            ..Overrides::default()
        })?;
        Ok(Described::open(session.config.as_deref(), &overrides, session.control.clone())?)
    }
}

fn with_passwords(overrides: Overrides) -> Result<Overrides, Failure> {
    let passwords = Passwords::from_environment().map_err(|e| Failure::usage(e.to_string()))?;
    Ok(Overrides { passwords, ..overrides })
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

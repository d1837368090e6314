//! The flags that change a description, and what is read with it.

use std::path::Path;

use clap::Args;

use crate::cluster::{Overrides, Passwords, Software};
use crate::error::Failure;
use crate::workflow::{Control, Described};

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

/// For every command that makes the secrets of a cluster where there are none yet.
#[derive(Debug, Args)]
pub(super) struct Founding {
    /// Make a new cluster also where no card of its control plane is asked for; refused where there is one
    #[arg(long)]
    pub new_cluster: bool,
}

impl Description {
    /// Opens the description of the cluster with these flags over it.
    pub(super) fn open(&self, config: Option<&Path>, control: Control) -> Result<Described, Failure> {
        let passwords = Passwords::from_environment().map_err(|e| Failure::usage(e.to_string()))?;
        let overrides = Overrides { nodes: self.nodes, base: self.base.clone(), passwords };
        Ok(Described::open(config, &overrides, control)?)
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

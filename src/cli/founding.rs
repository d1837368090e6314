//! When a build makes a new cluster, and that it says so.

use clap::Args;

use super::exit::{Refused, Usage};
use crate::cluster::Node;
use crate::error::Failure;
use crate::project::Project;
use crate::ui::Ui;

/// The built-in base image.
const SAMPLE: &str = "sample";

/// For every command that makes the secrets of a cluster where there are none yet.
#[derive(Debug, Args)]
pub struct Founding {
    /// Make a new cluster also where no card of its control plane is asked for; refused where there is one
    #[arg(long)]
    new_cluster: bool,
}

/// Whether the secrets are made now.
#[derive(Debug, Clone, Copy)]
pub struct New(bool);

impl Founding {
    /// That it is meant if cards of `nodes` would begin a new cluster: a worker's card of one cluster
    /// can never join another, and that the secrets are not here mostly means another folder.
    pub fn check(&self, project: &Project, nodes: &[&Node]) -> Result<New, Failure> {
        let state = project.store().dir().display();
        if !project.is_new()? {
            if self.new_cluster {
                let text = format!(
                    "--new-cluster: there is a cluster in {state} already: move that away first, and keep it as \
                     long as cards of it are in use"
                );
                return Err(Refused(text).into());
            }
            return Ok(New(false));
        }
        // A card of the sample never boots: none is lost, unless nodes are being counted up.
        let is_trial = project.cluster.base.image == SAMPLE && !project.is_resized;
        if !self.new_cluster && !is_trial && !nodes.iter().any(|node| node.is_control_plane()) {
            let names = nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
            let text = format!(
                "there is no {state}, so there is no cluster yet that {names} could join: run this in the cluster's \
                 folder, or put .pibake back from a copy; for a new cluster build the control plane as well, or add \
                 --new-cluster"
            );
            return Err(Usage(text).into());
        }
        project.check_folder()?;
        Ok(New(true))
    }
}

impl New {
    /// Says that a cluster was made, once its secrets are there.
    pub fn tell(self, project: &Project, ui: &Ui) {
        if self.0 {
            tell(project, ui);
        }
    }
}

/// Says that a cluster was made.
pub fn tell(project: &Project, ui: &Ui) {
    let (name, dir) = (&project.cluster.name, project.store().dir());
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    ui.progress().note(&format!(
        "created cluster {name:?} in {}: keep a copy of it, later cards and kubectl need its keys",
        dir.display()
    ));
}

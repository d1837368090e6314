//! `pibake upgrade`: another Kubernetes, another containerd, or newer packages, on one node after the other.
//!
//! Each node carries out by itself what it is told (`overlays/common/usr/lib/pibake/upgrade`), so that neither a lost
//! connection nor a power cut leaves half of it. What is here asks the nodes what they run, says whether one version
//! can follow on the other, and goes from node to node. Nothing of it is kept: run again, it asks again, and what is
//! done already is not to be done.

mod carry;
mod follow;
mod order;
mod patience;
mod plan;
mod reports;
mod shown;
mod skew;
mod state;
mod what;

use std::time::Duration;

use clap::Args;

use super::description::ClusterFlags;
use super::remote::Way;
use super::session::Session;
use super::talk::Until;
use crate::cluster::{ContainerdVersion, KubernetesVersion};
use crate::error::Failure;

use carry::Carrier;
use plan::Plan;
use state::Asked;
use what::What;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake upgrade --kubernetes 1.35 --plan  what would be done, node by node\n  pibake upgrade --kubernetes 1.35         the next minor version; or 1.34.2, another release of this one\n  pibake upgrade --containerd 2.2          another line of containerd\n  pibake upgrade --system                  newer packages, and restarts, one node at a time\n\nStops at the first failure, with the cluster serving; the same command goes on where it stopped."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    what: WhatFlags,
    /// With --system: restart each node in any case
    #[arg(long, requires = "system")]
    restart: bool,
    /// Show the steps, and do nothing
    #[arg(long)]
    plan: bool,
    /// How long one thing may take on a node: until its pods are gone, it is Ready, or it answers again
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = patience::patience)]
    patience: Duration,
    /// Also delete pods that nothing will start again, since no controller has them
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhatFlags {
    /// Upgrade Kubernetes to this version: the next minor one, or a release of the present one
    #[arg(long, value_name = "VERSION")]
    kubernetes: Option<KubernetesVersion>,
    /// Upgrade containerd to this line, or to a release of it
    #[arg(long, value_name = "LINE")]
    containerd: Option<ContainerdVersion>,
    /// Upgrade the packages of the system, and restart nodes where that asks for it
    #[arg(long)]
    system: bool,
}

impl Arguments {
    fn what(&self) -> What {
        match (self.what.kubernetes, self.what.containerd) {
            (Some(version), _) => What::Kubernetes(version),
            (_, Some(version)) => What::Containerd(version),
            _ => What::System { restart: self.restart },
        }
    }
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let reached = arguments.way.open(&arguments.cluster, session)?;
    let what = arguments.what();
    let _lock = match reached.project.lock_for_upgrade()? {
        Some(lock) => lock,
        None => {
            return Err(Failure::refused(
                "another pibake is upgrading this cluster: wait until it is through, or end it with Ctrl-C",
            ));
        }
    };
    session.progress().note("asking the nodes what they run");
    let until = Until::cancelled(session.control.cancel()).within(arguments.patience);
    let asked = Asked::of(&reached, what, until)?;
    let mut plan = Plan::of(&reached, what, &asked)?;
    if arguments.plan {
        return session.result(&plan.document(true), || shown::plan(&plan));
    }
    let carrier =
        Carrier { reached: &reached, session, what, patience: arguments.patience, force: arguments.force };
    let done = carrier.carry_out(&mut plan, &asked);
    session.result(&plan.document(false), || shown::done(&plan))?;
    done.map_err(|failure| with_way_on(failure, &plan))
}

/// What was done until then, and how to go on.
fn with_way_on(failure: Failure, plan: &Plan) -> Failure {
    let (done, left) = (plan.done(), plan.left());
    let done = if done.is_empty() { "none".to_owned() } else { done.join(", ") };
    Failure::new(
        failure.class(),
        format!("{failure}. Done: {done}; left: {}. To go on: {}", left.join(", "), plan.what.command()),
    )
}

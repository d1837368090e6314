//! `pibake restore`: an image of the control plane that goes on with a copy of etcd.

use std::path::PathBuf;

use clap::Args;

use super::description::NodeFlags;
use super::session::Session;
use super::written::{To, report, write};
use crate::error::Failure;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake restore backups/20261126T131227Z          images/node-1.img, which goes on with that copy\n  pibake restore backups/20261126T131227Z -o card  the same, into another folder\n\nWrite the image with pibake flash DEVICE --image FILE. Its first boot restores the copy instead of \
                  beginning an empty cluster, and the other nodes come back by themselves."
)]
pub(super) struct Arguments {
    /// The copy: a folder that pibake backup made, or the etcd.tar in it
    #[arg(value_name = "SNAPSHOT")]
    snapshot: PathBuf,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    flags: NodeFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let chosen = arguments.flags.restore(&arguments.snapshot, session)?;
    if let Some(snapshot) = chosen.project().snapshot() {
        session.progress().note(&format!(
            "the copy was made on {}, under Kubernetes {}: what was done in the cluster after that is not in it",
            snapshot.made, snapshot.kubernetes
        ));
    }
    let (prepared, written) = write(chosen, &arguments.to, &arguments.flags, session)?;
    report(&prepared, &written, session)
}

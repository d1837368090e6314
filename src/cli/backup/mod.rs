//! `pibake backup`: a copy of etcd, fetched from the control plane, and of the secrets without which it is nothing.

mod copied_store;
mod fetch;
mod heading;
mod place;

use std::path::PathBuf;

use clap::Args;

use super::description::ClusterFlags;
use super::json::{self, BackedUp};
use super::remote::Way;
use super::session::Session;
use crate::error::Failure;
use crate::workflow::NodeSelector;

use fetch::fetch;
use place::Place;

/// Where copies go unless told otherwise, beside the description.
const FOLDER: &str = "backups";

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake backup                       the newest copy, to backups/ beside pibake.toml\n  pibake backup --to /mnt/nas/pibake  somewhere else\n\nA copy holds every secret of the cluster: keep it where you would keep .pibake."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    way: Way,
    /// Where to keep copies, each in a folder of its own [default: backups, beside pibake.toml]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Take the newest copy that this node has fetched from the control plane, by number or name: where that is lost
    #[arg(long, value_name = "N")]
    from: Option<NodeSelector>,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let reached = arguments.way.open(&arguments.cluster, session)?;
    let cluster = &reached.project.cluster;
    let node = match &arguments.from {
        Some(selector) => selector.find(cluster)?,
        None => reached.first()?,
    };
    let dir = arguments.to.clone().unwrap_or_else(|| reached.project.place.dir.join(FOLDER));
    let place = Place::open(&dir, &session.control)?;
    let (path, bytes) = fetch(&reached, node, &place, &session.control)?;
    let (text, base64) = json::text(&path);
    session.result(&BackedUp { path: text, path_base64: base64, etcd_bytes: bytes }, || {
        format!("{} has a copy of etcd ({bytes} bytes) and of .pibake\n", path.display())
    })
}

//! `pibake build`: one image per node.

use clap::Args;

use super::description::NodeFlags;
use super::next::{self, Reach};
use super::session::Session;
use super::written::{To, is_sample, report, write};
use crate::error::Failure;
use crate::workflow::NodeSelector;

#[derive(Debug, Args)]
#[command(
    long_about = "Write one image per node.\n\nThe base image is downloaded, verified and cached; each node's image is \
                  that and what its node needs, read back by an independent reader. An image is there under its name \
                  only when it is whole.",
    after_help = "Examples:\n  \
                  pibake build                                  all nodes, into images/\n  \
                  pibake build --node 2 --format zst -o out     one node, compressed\n  \
                  pibake build --base sample --nodes 2          a trial without a download"
)]
pub(super) struct Arguments {
    /// Build this node alone, by number or name; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<NodeSelector>,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    flags: NodeFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let chosen = arguments.flags.choose(&arguments.node, session)?;
    chosen.warn_of_loss()?;
    let (prepared, written) = write(chosen, &arguments.to, &arguments.flags, session)?;
    report(&prepared, &written, session)?;
    let reach = Reach::of(prepared.project(), &prepared.nodes());
    if let (Some(reach), Some(first)) = (reach, written.first().filter(|_| !is_sample(&prepared))) {
        next::tell(&reach.after_build(&first.path, arguments.to.format), session);
    }
    Ok(())
}

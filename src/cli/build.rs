//! `pibake build`: one image per node.

use clap::Args;

use super::description::NodeFlags;
use super::session::Session;
use super::written::{To, report, write};
use crate::error::Failure;
use crate::workflow::NodeSelector;

#[derive(Debug, Args)]
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
    report(&prepared, &written, session)
}

//! Nodes that are in a registry, to be written to cards.

use super::arguments::{Arguments, Asked, selector};
use super::report;
use crate::cli::fleets::content;
use crate::cli::session::Session;
use crate::error::Failure;
use crate::fleet::{Fleet, ListedNode, Ready, StationKey};
use crate::sink::card::{Flash, Outcome};

/// What was ordered of a fleet, and what of it is here.
pub(super) struct Ordered<'f> {
    fleet: &'f Fleet<'f>,
    pub(super) ready: Ready<'f>,
}

impl<'f> Ordered<'f> {
    /// Fetches and decrypts what the nodes have alone, before anything is asked or written.
    pub(super) fn prepare(
        fleet: &'f Fleet<'f>,
        key: &StationKey,
        arguments: &Arguments,
    ) -> Result<Self, Failure> {
        let nodes = arguments.devices.iter().map(|asked| node_of(fleet, asked, arguments));
        let ready = fleet.prepare(&nodes.collect::<Result<Vec<_>, Failure>>()?, key)?;
        Ok(Self { fleet, ready })
    }

    /// The node that a card is to become.
    pub(super) fn node(&self, asked: &Asked, arguments: &Arguments) -> Result<&'f ListedNode, Failure> {
        node_of(self.fleet, asked, arguments)
    }

    /// Writes the cards: the base while it comes, and then what makes nodes of it.
    pub(super) fn write(mut self, mut flash: Flash, session: &Session) -> Result<Vec<Outcome>, Failure> {
        let control = &session.control;
        let base = self.fleet.base(Some(flash.observer()));
        let fetched = base.and_then(|base| self.ready.fetch(&base).map(|()| base));
        let base = match fetched {
            Ok(base) => base,
            Err(fault) => return report::give_up(flash, fault.into(), control),
        };
        let contents = |name: &str| content(&self.ready, name, &base);
        Ok(flash.finish(base.path(), &contents, control.progress()))
    }
}

/// The node of `fleet` that a card is to become, as it was typed.
fn node_of<'f>(
    fleet: &'f Fleet<'f>,
    asked: &Asked,
    arguments: &Arguments,
) -> Result<&'f ListedNode, Failure> {
    let node = match (fleet.name().node(), &asked.node, &arguments.node) {
        (Some(node), None, None) if arguments.devices.len() == 1 => node.to_owned(),
        _ => selector(asked, arguments)?.to_string(),
    };
    Ok(fleet.node(&node)?)
}

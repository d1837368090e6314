//! What came of a station's work.

use crate::cli::json::{StationCard, Stationed, Taken};
use crate::cli::session::Session;
use crate::error::{ErrorClass, Failure};
use crate::fleet::{Claim, Fleet};
use crate::ui::Table;

/// What was done, and what was not.
#[derive(Default)]
pub(super) struct Done {
    pub cards: Vec<StationCard>,
    /// Nodes that have no card.
    pub left: Vec<String>,
    /// Nodes that somebody made before, or another station is making.
    pub taken: Vec<Claim>,
}

impl Done {
    /// Says so; an error where the work was broken off.
    pub(super) fn report(self, fleet: &Fleet<'_>, session: &Session) -> Result<(), Failure> {
        let taken = |claim: &Claim| Taken {
            node: claim.node.clone(),
            state: claim.state.as_str().to_owned(),
            station: claim.station.clone(),
            serial: claim.serial,
            time: claim.time.clone(),
            card: claim.card.clone(),
        };
        let document = Stationed {
            fleet: fleet.name().to_string(),
            serial: fleet.listing().serial,
            taken: self.taken.iter().map(taken).collect(),
            cards: self.cards,
            left: self.left,
        };
        session.result(&document, || {
            let mut table = Table::new(["NODE", "CARD", "STATE"]);
            for card in &document.cards {
                let serial = card.drive_serial.clone().unwrap_or_else(|| card.drive.clone());
                let state = if card.done { "written" } else { "failed" };
                table.row([card.node.clone(), serial, state.to_owned()]);
            }
            for Taken { node, state, serial, time, card, .. } in &document.taken {
                let other = serial.filter(|serial| *serial != document.serial);
                let other = other.map_or_else(String::new, |serial| format!(", number {serial}"));
                table.row([node.clone(), card.clone(), format!("{state} before, {time}{other}")]);
            }
            let left = match document.left.as_slice() {
                [] => String::new(),
                names => format!("without a card: {}\n", names.join(", ")),
            };
            format!("{table}{left}")
        })?;
        match session.control.cancel().is_cancelled() {
            true => Err(Failure::new(ErrorClass::Cancelled, "cancelled")),
            false => Ok(()),
        }
    }
}

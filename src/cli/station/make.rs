//! One card, from the moment when it was put in: a node is taken for it, and it is written as `flash` does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::nodes::{Nodes, Turn};
use super::tell::News;
use super::whose::whose;
use crate::base::Base;
use crate::cli::baked::baked;
use crate::cli::fleets::content;
use crate::cli::readers::Readers;
use crate::cli::stranger::stranger;
use crate::disk::ioctl::reread_partitions;
use crate::drives::{Drive, Purpose};
use crate::error::{ErrorClass, Failure, one_line};
use crate::fleet::{Claim, Claims, Fleet, ListedNode, Ready, State, Untold};
use crate::project;
use crate::sink::card::{Card, DriveCard, Flash, Options, Outcome, Target, as_device};
use crate::workflow::Control;

/// How often a node may go to another station at the moment when this one wants it, until it is taken for that one's: a
/// station that died then would be waited for without end.
const MOST_LOST: u32 = 10;

/// How long it is waited until such a node is asked for again.
const LATER: Duration = Duration::from_secs(1);

/// What cards are made with.
pub(super) struct Maker<'a> {
    pub fleet: &'a Fleet<'a>,
    pub claims: &'a Claims<'a>,
    pub ready: &'a Ready<'a>,
    pub base: &'a Base,
    pub readers: &'a Readers<'a>,
    pub nodes: &'a Nodes,
    /// What the drives are to be that are plugged in: disks where any of the nodes starts from one.
    pub purpose: Purpose,
    pub untold: &'a Untold,
    /// Whether nodes were named, which are made whoever has them.
    pub is_meant: bool,
    /// Whether cards do not count that were made from another index.
    pub again: bool,
    pub control: &'a Control,
}

/// What became of a drive that something was put into.
pub(super) enum Came {
    /// A card that was written, or not.
    Ended(Box<Ended>),
    /// It stays as it is, which was said.
    Left,
    /// There is no node for it now.
    NoNode,
}

/// A card that was written, or not.
pub(super) struct Ended {
    pub node: Arc<ListedNode>,
    pub drive: Drive,
    /// What it is called by those who cannot see the reader: its model and serial number.
    pub card: String,
    pub time: String,
    pub outcome: Outcome,
}

impl Maker<'_> {
    /// Makes a card of the next node. What becomes of a node that was taken goes to `news` in any case.
    pub(super) fn make(&self, drive: &Drive, news: &Sender<News>) -> Result<Came, Failure> {
        let progress = self.control.progress();
        let held = self.readers.safe(&drive.path, self.purpose);
        let held = held.and_then(|safe| self.readers.hold(&drive.path, &safe, self.purpose));
        let (drive, card) = match held {
            Ok(held) => held,
            Err(failure) => {
                progress.note(&format!("{failure}; take it out"));
                return Ok(Came::Left);
            }
        };
        let (card, shown) = (Arc::new(card), drive.path.display().to_string());
        if let Some(node) = self.made_here(&card) {
            progress.note(&format!("{shown} is {node}, made just now: it stays as it is; take it out"));
            return Ok(Came::Left);
        }
        let Some(turn) = self.turn(&shown, news)? else { return Ok(Came::NoNode) };
        let node = Arc::clone(&turn.node);
        progress.note(&format!("{shown} becomes {}", node.name));
        let written = catch_unwind(AssertUnwindSafe(|| self.write(&node, &shown, &card)));
        let outcome = written.ok().flatten();
        let words: Vec<_> = [&drive.model, &drive.serial].into_iter().flatten().cloned().collect();
        let words = if words.is_empty() { shown } else { words.join(" ") };
        let (state, result) = match outcome.as_ref().map(|outcome| &outcome.result) {
            Some(Ok(_)) => (State::Written, "written and read back".to_owned()),
            Some(Err(fault)) => (State::Free, one_line(fault)),
            None => (State::Free, "it ended without a result".to_owned()),
        };
        // of a clock that cannot be read nothing depends any more
        let time = now().unwrap_or_default();
        let claim = Claim { card: words.clone(), result, ..self.claims.claim(&node, state, &time) };
        self.tell(turn, claim, news);
        match outcome {
            Some(outcome) => Ok(Came::Ended(Box::new(Ended { node, drive, card: words, time, outcome }))),
            None => Err(lost(&format!("writing {}", node.name))),
        }
    }

    /// The node that the card is, where it was made in this run.
    fn made_here(&self, card: &Arc<DriveCard>) -> Option<String> {
        let device = as_device(&(Arc::clone(card) as Arc<dyn Card>));
        let found = stranger(device, |card| baked(card).ok().flatten())?;
        let is_ours = found.ca_hash.as_deref() == Some(self.fleet.listing().fleet.as_str());
        (is_ours && self.nodes.was_made(&found.node)).then_some(found.node)
    }

    /// Takes a node for the card that is in `reader`; `None` where there is none left.
    fn turn(&self, reader: &str, news: &Sender<News>) -> Result<Option<Turn>, Failure> {
        let (cancel, mut is_said) = (self.control.cancel(), false);
        loop {
            let time = now()?;
            let Some(turn) = self.nodes.next(cancel) else { return Ok(None) };
            let node = &turn.node;
            match self.take(node, &time) {
                Ok(None) => return Ok(Some(turn)),
                Ok(Some(claim)) if claim.state == State::Bid && turn.lost < MOST_LOST => {
                    self.nodes.later(turn);
                    let more = u64::from(getrandom::u32().unwrap_or_default()) % 1000;
                    // that it was cancelled is seen by the next look for a node
                    let _ = cancel.sleep(LATER + Duration::from_millis(more));
                }
                Ok(Some(claim)) => {
                    self.control.progress().note(&whose(&claim));
                    self.nodes.is_taken(claim);
                }
                Err(failure) => {
                    // perhaps the registry knows of it, and only the answer was lost
                    let result = "it was not begun".to_owned();
                    let claim = Claim { result, ..self.claims.claim(node, State::Free, &time) };
                    let class = failure.class();
                    if class == ErrorClass::Network && !is_said {
                        let text = format!("{failure}; {reader} waits until the registry can be reached");
                        self.control.progress().note(&text);
                        is_said = true;
                    }
                    self.tell(turn, claim, news);
                    match class {
                        ErrorClass::Network => {}
                        ErrorClass::Cancelled => return Ok(None),
                        _ => return Err(failure),
                    }
                }
            }
        }
    }

    fn take(&self, node: &ListedNode, time: &str) -> Result<Option<Claim>, Failure> {
        if !self.claims.is_current()? {
            let text = format!(
                "{} was pushed again since this run began: begin another one, so that cards are made of what is there now",
                self.fleet.name()
            );
            return Err(Failure::new(ErrorClass::Verification, text));
        }
        if self.is_meant {
            self.claims.seize(node, time)?;
            return Ok(None);
        }
        Ok(self.claims.take(node, time, self.again)?)
    }

    /// Has the registry told what became of a node, and has it be the next one again where it has no card.
    fn tell(&self, turn: Turn, claim: Claim, news: &Sender<News>) {
        if claim.state == State::Written {
            self.nodes.is_made(&claim.node);
            // in case this run ends before the registry knows
            if let Err(fault) = self.untold.add(&self.claims.place(), &claim) {
                self.control.progress().warn(&one_line(&fault));
            }
        } else {
            self.nodes.returns();
        }
        // whoever tells it is there until all cards have ended
        let _ = news.send(News { turn, claim });
    }

    /// Writes a card, as `flash` does.
    fn write(&self, node: &ListedNode, shown: &str, card: &Arc<DriveCard>) -> Option<Outcome> {
        let card_name = shown.to_owned();
        let target = Target { card_name, node: node.name.clone(), card: Arc::clone(card) as _ };
        let options = Options { verify: true, full: false, wipe: false };
        let flash = Flash::new(vec![target], options, self.control.cancel());
        let contents = |name: &str| content(self.ready, name, self.base);
        let outcome = flash.finish(self.base.path(), &contents, self.control.progress()).into_iter().next();
        // Only root may; udev does the same when the drive is closed.
        if let Err(e) = reread_partitions(card.file()) {
            tracing::debug!("{shown}: re-reading the partition table: {e}");
        }
        outcome
    }
}

/// A thread ended without a result: a fault in pibake.
pub(super) fn lost(doing: &str) -> Failure {
    let text = format!("{doing}: a worker thread ended without a result; please report this");
    Failure::new(ErrorClass::Internal, text)
}

/// What this machine's clock says.
pub(super) fn now() -> Result<String, Failure> {
    let seconds = project::clock()?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    Ok(time.unwrap_or_else(|| seconds.to_string()))
}

//! What became of nodes, told to the registry: by a thread of its own, so that no card waits for a bad line.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::nodes::{Nodes, Turn};
use super::whose::whose;
use crate::error::{ErrorClass, Failure};
use crate::fleet::{self, Claim, Claims, State, Untold};
use crate::progress::Progress;

/// The wait after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// After so long without news it is looked for what other stations made, lest this one wait for cards that nobody needs.
const LOOK: Duration = Duration::from_secs(30);

/// What became of a node.
pub(super) struct News {
    pub turn: Turn,
    pub claim: Claim,
}

/// Who tells it.
pub(super) struct Teller<'a> {
    pub claims: &'a Claims<'a>,
    pub untold: &'a Untold,
    pub nodes: &'a Nodes,
    /// Whether nodes are made whoever has them, and whether cards do not count that were made from another index.
    pub is_meant: bool,
    pub again: bool,
    pub progress: &'a dyn Progress,
}

impl Teller<'_> {
    /// Tells all news, in their order, until there is nobody any more who could have some. What cannot be told is tried
    /// again later, and once more at the end.
    pub(super) fn work(&self, news: &Receiver<News>) -> Result<(), Failure> {
        let mut left = VecDeque::new();
        let (mut pause, mut is_down) = (FIRST, false);
        loop {
            let next = news.recv_timeout(if left.is_empty() { LOOK } else { pause });
            if left.is_empty() && matches!(next, Err(RecvTimeoutError::Timeout)) {
                self.look();
            }
            let is_end = matches!(next, Err(RecvTimeoutError::Disconnected));
            left.extend(next);
            left.extend(news.try_iter());
            match self.tell(&mut left) {
                Ok(()) if is_end => return Ok(()),
                Ok(()) => (pause, is_down) = (FIRST, false),
                Err(fault) if is_end => return Err(untold(fault, &left)),
                Err(fault) => {
                    let failure = untold(fault, &left);
                    if failure.class() != ErrorClass::Network {
                        // nothing comes of waiting, and nobody would hear of further cards
                        self.nodes.close();
                    }
                    if !is_down {
                        self.progress.note(&format!("{failure}; trying again"));
                    }
                    (pause, is_down) = ((pause * 2).min(LONGEST), true);
                }
            }
        }
    }

    /// Looks what other stations made of the nodes that wait for a card.
    fn look(&self) {
        let waiting = self.nodes.waiting();
        if self.is_meant || waiting.is_empty() {
            return;
        }
        // who cannot be asked now is asked when the next card is put in
        let taken = self.claims.taken(waiting.iter().map(|node| &**node), self.again).unwrap_or_default();
        for claim in taken.iter().filter(|claim| claim.state == State::Written) {
            if self.nodes.was_made_elsewhere(claim) {
                self.progress.note(&whose(claim));
            }
        }
    }

    fn tell(&self, left: &mut VecDeque<News>) -> fleet::Result<()> {
        while let Some(news) = left.front() {
            self.claims.put(&news.claim)?;
            if news.claim.state == State::Written {
                self.untold.told(&self.claims.place(), &news.claim.node)?;
            }
            let Some(News { turn, claim }) = left.pop_front() else { break };
            if claim.state == State::Free {
                self.nodes.is_back(turn);
            }
        }
        Ok(())
    }
}

/// What the registry does not know.
fn untold(fault: fleet::Error, left: &VecDeque<News>) -> Failure {
    let names: Vec<&str> = left.iter().map(|news| news.claim.node.as_str()).collect();
    Failure::from(fault).while_doing(format!("telling the registry what became of {}", names.join(", ")))
}

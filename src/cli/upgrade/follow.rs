//! A node is told what to do, and watched while it does it, over lost connections and restarts.

use std::time::{Duration, Instant};

use super::order::Order;
use super::reports::{Heard, Report, Reports};
use crate::cli::remote::{Answer, Reached, other_key};
use crate::cli::talk::Until;
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};
use crate::io::{CancelToken, Cancelled};
use crate::ui::human_duration;

/// Nobody is asked for a passphrase: nodes are asked many times, and several at once.
pub(super) const OPTIONS: [&str; 2] = ["-o", "BatchMode=yes"];
/// Between two attempts to reach a node.
const PAUSE: Duration = Duration::from_secs(5);

/// Why an order was not carried out.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The node says so, and does nothing any more.
    Said(String),
    /// Nobody knows; the node may still be at work.
    Lost(Failure),
}

/// Whom to reach, and for how long to try.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) reached: &'a Reached,
    pub(super) cancel: &'a CancelToken,
    pub(super) patience: Duration,
}

impl Watch<'_> {
    /// Has a command run on a node, over and over while the node cannot be reached; so it must be one that may be begun
    /// again. What it prints is handed on line by line. Time starts over with each step that is begun, and with nothing
    /// else that is said: a node that only talks is given no more of it.
    pub(super) fn run(
        &self,
        node: &Node,
        script: &str,
        input: &[u8],
        mut line: impl FnMut(&str) -> Heard,
    ) -> Result<(), Stopped> {
        let until = Until::cancelled(self.cancel);
        let (mut begun, mut is_stuck) = (Instant::now(), false);
        loop {
            let answer = self.reached.follow(node, &OPTIONS, script, input, until, |text| match line(text) {
                Heard::Part => true,
                Heard::Step(_) => {
                    begun = Instant::now();
                    true
                }
                Heard::Nothing => {
                    is_stuck = begun.elapsed() >= self.patience;
                    !is_stuck
                }
                Heard::End => false,
            });
            self.cancel.check().map_err(|gone| Stopped::Lost(gone.into()))?;
            let why = match answer.map_err(Stopped::Lost)? {
                Answer::Said(_) if is_stuck => {
                    return Err(self.lost("it talks, and gets no further".to_owned()));
                }
                Answer::Said(_) => return Ok(()),
                Answer::Failed(why) => return Err(Stopped::Said(why)),
                Answer::Cancelled => return Err(Stopped::Lost(Cancelled.into())),
                Answer::Unreachable(why) => why,
            };
            if let Some(failure) = other_key(node, &why) {
                return Err(Stopped::Lost(failure));
            }
            if begun.elapsed() >= self.patience {
                return Err(self.lost(format!("it cannot be reached by SSH any more: {why}")));
            }
            self.cancel.sleep(PAUSE).map_err(|gone| Stopped::Lost(gone.into()))?;
        }
    }

    fn lost(&self, why: String) -> Stopped {
        let text = format!("{why} (--patience {})", human_duration(self.patience));
        Stopped::Lost(Failure::new(ErrorClass::Network, text))
    }

    /// Has a node carry out an order; `step` is told of each step that it begins.
    pub(super) fn carry_out(
        &self,
        node: &Node,
        order: &Order,
        mut step: impl FnMut(&str),
    ) -> Result<Report, Stopped> {
        self.run(node, "sudo -n /usr/lib/pibake/upgrade begin", order.text.as_bytes(), |_| Heard::Nothing)?;
        let mut reports = Reports::default();
        let script = format!("sudo -n /usr/lib/pibake/upgrade follow {}", order.id);
        self.run(node, &script, b"", |line| {
            let heard = reports.add(line);
            if let Heard::Step(begun) = &heard {
                step(begun);
            }
            heard
        })?;
        reports.end().map_err(Stopped::Said)
    }
}

//! A node is told what to do, and watched while it does it, over lost connections and restarts.

use std::time::{Duration, Instant};

use super::order::Order;
use crate::cli::remote::{Answer, Reached, other_key};
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};
use crate::io::{CancelToken, assignment};

/// A connection that carries nothing any more ends within a minute.
pub(super) const OPTIONS: [&str; 6] =
    ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"];
/// Between two attempts to reach a node.
const PAUSE: Duration = Duration::from_secs(5);

/// How an order ended that was carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// What runs now, each as the kubelet tells the cluster of it.
    pub(super) kubelet: String,
    pub(super) runtime: String,
    pub(super) boot: String,
}

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
    /// again. What it prints is handed on line by line.
    pub(super) fn run(
        &self,
        node: &Node,
        script: &str,
        input: &[u8],
        mut line: impl FnMut(&str),
    ) -> Result<String, Stopped> {
        let mut heard = Instant::now();
        loop {
            let mut all = String::new();
            let answer = self.reached.follow(node, &OPTIONS, script, input, self.cancel, |text| {
                heard = Instant::now();
                all.push_str(text);
                all.push('\n');
                line(text);
            });
            self.cancel.check().map_err(|gone| Stopped::Lost(gone.into()))?;
            let why = match answer.map_err(Stopped::Lost)? {
                Answer::Said(_) => return Ok(all),
                Answer::Failed(why) => return Err(Stopped::Said(why)),
                Answer::Unreachable(why) => why,
            };
            if let Some(failure) = other_key(node, &why) {
                return Err(Stopped::Lost(failure));
            }
            if heard.elapsed() >= self.patience {
                return Err(Stopped::Lost(Failure::new(
                    ErrorClass::Network,
                    format!("it cannot be reached by SSH any more: {why}"),
                )));
            }
            self.cancel.sleep(PAUSE).map_err(|gone| Stopped::Lost(gone.into()))?;
        }
    }

    /// Has a node carry out an order; `step` is told of each step that it begins.
    pub(super) fn carry_out(
        &self,
        node: &Node,
        order: &Order,
        mut step: impl FnMut(&str),
    ) -> Result<Report, Stopped> {
        self.run(node, "sudo -n /usr/lib/pibake/upgrade begin", order.text.as_bytes(), |_| {})?;
        let mut reports = Reports::default();
        let script = format!("sudo -n /usr/lib/pibake/upgrade follow {}", order.id);
        self.run(node, &script, b"", |line| {
            if let Some(begun) = reports.add(line) {
                step(&begun);
            }
        })?;
        reports.end()
    }
}

/// What `upgrade follow` prints: blocks of lines, with an empty line behind each.
#[derive(Debug, Default)]
struct Reports {
    block: String,
    last: String,
    step: String,
}

impl Reports {
    /// Takes a line; the step that is under way, where it is another one than before.
    fn add(&mut self, line: &str) -> Option<String> {
        if !line.is_empty() {
            self.block.push_str(line);
            self.block.push('\n');
            return None;
        }
        self.last = std::mem::take(&mut self.block);
        let step = assignment(&self.last, "step").filter(|step| !step.is_empty() && *step != self.step)?;
        self.step = step.to_owned();
        Some(self.step.clone())
    }

    fn end(self) -> Result<Report, Stopped> {
        let value = |key| assignment(&self.last, key).unwrap_or_default().to_owned();
        match value("state").as_str() {
            "done" => {
                Ok(Report { kubelet: value("kubelet"), runtime: value("runtime"), boot: value("boot") })
            }
            "failed" => Err(Stopped::Said(value("message"))),
            _ => {
                Err(Stopped::Said("it does not say how it went: see journalctl -u pibake-upgrade".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Vec<String>, Result<Report, String>) {
        let mut reports = Reports::default();
        let steps = text.lines().filter_map(|line| reports.add(line)).collect();
        let end = reports.end().map_err(|stopped| match stopped {
            Stopped::Said(why) => why,
            Stopped::Lost(failure) => failure.to_string(),
        });
        (steps, end)
    }

    #[test]
    fn the_steps_are_told_and_the_end() {
        let begun = "id=7\nstate=working\nstep=\nmessage=\n\nid=7\nstate=working\nstep=repository\nmessage=\n\n\
                     id=7\nstate=working\nstep=repository\nmessage=\n\nid=7\nstate=working\nstep=kubelet\nmessage=\n\n";
        let done =
            "id=7\nstate=done\nstep=\nmessage=\nkubelet=v1.35.0\nruntime=containerd://2.2.1\nboot=0b\n\n";
        let (steps, end) = told(&format!("{begun}{done}"));
        assert_eq!(steps, ["repository", "kubelet"]);
        let report = end.unwrap();
        assert_eq!((report.kubelet.as_str(), report.boot.as_str()), ("v1.35.0", "0b"));
        let failed = "state=failed\nstep=kubelet\nmessage=kubelet does not run\n\n";
        assert_eq!(told(&format!("{begun}{failed}")).1.unwrap_err(), "kubelet does not run");
        // Cut off in the middle of a block.
        assert!(
            told(&format!("{begun}state=done\nkubelet=v1")).1.unwrap_err().starts_with("it does not say")
        );
    }
}

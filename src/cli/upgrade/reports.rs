//! What `upgrade follow` prints on a node: blocks of lines, with an empty line behind each.
//!
//! A node is taken at its word no further than it must be. What it says it runs goes to the control plane, where a shell
//! reads it; so whoever has a worker must not choose these words.

use std::collections::BTreeSet;

use crate::cli::shortened::{SENTENCE_MAX, WORD_MAX, shortened};
use crate::cluster::KubernetesVersion;
use crate::io::assignment;

/// Longest block, in bytes; those of a node have some 300.
const BLOCK_MAX: usize = 1 << 14;
/// More steps than any order has.
const STEPS_MAX: usize = 16;
/// Longest name of what runs containers with its version, in bytes.
const RUNTIME_MAX: usize = 128;

/// How an order ended that was carried out: what runs now, each as the kubelet tells the cluster of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) kubelet: KubernetesVersion,
    pub(super) runtime: String,
    boot: String,
}

impl Report {
    /// Of a block's lines; `None` where what runs is none of what it can be.
    fn read(block: &str) -> Option<Self> {
        let value = |key| assignment(block, key).unwrap_or_default();
        let kubelet: KubernetesVersion = value("kubelet").strip_prefix('v')?.parse().ok()?;
        let (runtime, boot) = (value("runtime"), value("boot"));
        // containerd://2.2.1-0ubuntu1~24.04.1
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:/+~_-".contains(&byte);
        let is_runtime = (1..=RUNTIME_MAX).contains(&runtime.len()) && runtime.bytes().all(is_plain);
        (kubelet.patch.is_some() && is_runtime && is_uuid(boot)).then(|| Self {
            kubelet,
            runtime: runtime.to_owned(),
            boot: boot.to_owned(),
        })
    }

    /// The same as `cordon await` takes it, a word each.
    pub(super) fn words(&self) -> [String; 3] {
        let Self { kubelet, runtime, boot } = self;
        [format!("kubelet=v{kubelet}"), format!("runtime={runtime}"), format!("boot={boot}")]
    }
}

/// As the kernel names a start (random(4), boot_id).
fn is_uuid(text: &str) -> bool {
    let is_digit = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_digit)
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is part of a whole that is still to come.
    Part,
    /// This step is begun, for the first time.
    Step(String),
    /// Nothing that was not known before.
    Nothing,
    /// The order is over.
    End,
}

/// Reads the lines one by one.
#[derive(Debug, Default)]
pub(super) struct Reports {
    block: String,
    last: String,
    steps: BTreeSet<String>,
}

impl Reports {
    /// Takes a line.
    pub(super) fn add(&mut self, line: &str) -> Heard {
        // One that the connection was cut off in has no end.
        if line.starts_with("format=") {
            self.block.clear();
        }
        if !line.is_empty() {
            if self.block.len() + line.len() > BLOCK_MAX {
                return Heard::Nothing;
            }
            self.block.push_str(line);
            self.block.push('\n');
            return Heard::Part;
        }
        self.last = std::mem::take(&mut self.block);
        if ["done", "failed"].contains(&assignment(&self.last, "state").unwrap_or_default()) {
            return Heard::End;
        }
        let step = shortened(assignment(&self.last, "step").unwrap_or_default(), WORD_MAX);
        // Each is begun once, so that no node gets time without end by going round in circles.
        if step.is_empty() || self.steps.len() >= STEPS_MAX || !self.steps.insert(step.clone()) {
            return Heard::Nothing;
        }
        Heard::Step(step)
    }

    /// How it went; otherwise why it did not go well.
    pub(super) fn end(self) -> Result<Report, String> {
        let value = |key| assignment(&self.last, key).unwrap_or_default();
        match value("state") {
            "done" => Report::read(&self.last).ok_or_else(|| {
                "it is done by its own words, and says nothing sensible of what it runs now: see journalctl -u \
                 pibake-upgrade there"
                    .to_owned()
            }),
            "failed" => Err(shortened(value("message"), SENTENCE_MAX)),
            _ => Err("it does not say how it went: see journalctl -u pibake-upgrade".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "0b6d1a52-7f53-4c0e-9d4e-0d6a5b2f9c11";

    fn told(text: &str) -> (Vec<String>, Result<Report, String>) {
        let mut reports = Reports::default();
        let step = |heard| if let Heard::Step(step) = heard { Some(step) } else { None };
        let steps = text.lines().filter_map(|line| step(reports.add(line))).collect();
        (steps, reports.end())
    }

    fn done(kubelet: &str, runtime: &str, boot: &str) -> String {
        format!("id=7\nstate=done\nstep=\nmessage=\nkubelet={kubelet}\nruntime={runtime}\nboot={boot}\n\n")
    }

    #[test]
    fn the_steps_are_told_and_the_end() {
        let begun = "id=7\nstate=working\nstep=\nmessage=\n\nid=7\nstate=working\nstep=repository\nmessage=\n\n\
                     id=7\nstate=working\nstep=repository\nmessage=\n\nid=7\nstate=working\nstep=kubelet\nmessage=\n\n";
        let (steps, end) = told(&format!("{begun}{}", done("v1.35.0", "containerd://2.2.1", BOOT)));
        assert_eq!(steps, ["repository", "kubelet"]);
        assert_eq!(
            end.unwrap().words().join(" "),
            format!("kubelet=v1.35.0 runtime=containerd://2.2.1 boot={BOOT}")
        );
        let failed = "state=failed\nstep=kubelet\nmessage=kubelet does not run\n\n";
        assert_eq!(told(&format!("{begun}{failed}")).1.unwrap_err(), "kubelet does not run");
        // Cut off in the middle of a block.
        assert!(
            told(&format!("{begun}state=done\nkubelet=v1")).1.unwrap_err().starts_with("it does not say")
        );
    }

    #[test]
    fn nothing_that_a_shell_would_read_is_what_a_node_runs() {
        let good = ["v1.35.0", "containerd://2.2.1-0ubuntu1~24.04.1+b1", BOOT];
        assert!(told(&done(good[0], good[1], good[2])).1.is_ok());
        let long = "x".repeat(RUNTIME_MAX + 1);
        for (place, bad) in [
            (0, "v1.35.0; sudo -n sh /tmp/x"),
            (0, "v1.35.0 x"),
            (0, "v1.35.0\u{85}"),
            (0, "1.35.0"),
            (0, "v1.35"),
            (0, "v2.0.0"),
            (0, ""),
            (1, "containerd://2.2.1;x"),
            (1, "containerd://$(x)"),
            (1, "containerd://`x`"),
            (1, "containerd://2.2.1 x"),
            (1, "containerd://2.2.1'x"),
            (1, "containerd://\u{fc}"),
            (1, ""),
            (1, long.as_str()),
            (2, "$(x)"),
            (2, "0b"),
            (2, "0b6d1a52-7f53-4c0e-9d4e-0d6a5b2f9c11;"),
            (2, "0b6d1a52-7f53-4c0e-9d4e-0d6a5b2f9c1;"),
            (2, "0b6d1a5277f53-4c0e-9d4e-0d6a5b2f9c11"),
            (2, ""),
        ] {
            let mut words = good;
            words[place] = bad;
            let why = told(&done(words[0], words[1], words[2])).1.unwrap_err();
            assert!(why.contains("says nothing sensible"), "{bad:?}: {why}");
        }
    }

    #[test]
    fn a_node_that_goes_round_in_circles_says_nothing_new() {
        let mut reports = Reports::default();
        let mut block = |step: &str| [format!("step={step}"), String::new()].map(|line| reports.add(&line));
        assert_eq!(block("a"), [Heard::Part, Heard::Step("a".to_owned())]);
        assert_eq!(block("b"), [Heard::Part, Heard::Step("b".to_owned())]);
        assert_eq!(block("a"), [Heard::Part, Heard::Nothing]);
        let new = (0..100).filter(|n| block(&format!("step-{n}"))[1] != Heard::Nothing).count();
        assert_eq!(new, STEPS_MAX - 2);
        assert_eq!(block(&"x".repeat(BLOCK_MAX)), [Heard::Nothing, Heard::Nothing]);
        reports.add("state=working");
        // Another connection.
        reports.add("format=1");
        assert_eq!([reports.add("state=done"), reports.add("")], [Heard::Part, Heard::End]);
        let failed = told(&format!("state=failed\nmessage={}\n\n", "x".repeat(1 << 13)));
        assert!(failed.1.unwrap_err().len() < SENTENCE_MAX + 10);
    }
}

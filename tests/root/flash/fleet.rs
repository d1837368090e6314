//! Cards of nodes that are in a registry.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Output};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use libtest_mimic::Failed;
use support::registry::Registry;

use super::work::{CARD, Work, assert_same, failed, said, succeeded};
use crate::loops::{Drive, Loop};

/// A machine that has no description, but keys of its own.
struct Station(Work);

impl Station {
    fn run(&self, arguments: &[&str], answers: &str) -> Output {
        let mut command = self.0.command(arguments);
        let mut child = command.env("XDG_CONFIG_HOME", self.0.path().join("config")).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn flash(&self, cards: &[&Loop], arguments: &[&str]) -> Output {
        let answers: String = cards.iter().map(|card| card.answer()).collect();
        self.run(&[&["flash", "--allow-fixed"], arguments].concat(), &answers)
    }

    fn field(&self, words: &[&str], field: &str) -> String {
        let out = self.run(&[&["--json"], words].concat(), "");
        succeeded(&out);
        let document: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        document[field].as_str().unwrap().to_owned()
    }
}

/// A station at work: its reader is a link, which leads to the card that is in it.
struct AtWork {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl AtWork {
    fn begin(station: &Station, words: &[&str], answer: &str) -> Self {
        let slot = station.0.path().join("slot");
        let words = [&["station", "--allow-fixed", "--reader", slot.to_str().unwrap()], words].concat();
        let mut command = station.0.command(&words);
        command.env("XDG_CONFIG_HOME", station.0.path().join("config"));
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
        let out = child.stdout.take().unwrap();
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                drop(to.send(line));
            }
        });
        Self { child, lines, seen: String::new() }
    }

    /// Waits until it says this.
    fn until(&mut self, words: &str) {
        while !self.seen.contains(words) {
            match self.lines.recv_timeout(Duration::from_secs(120)) {
                Ok(line) => self.seen += &format!("{line}\n"),
                Err(e) => {
                    let _ = self.child.kill();
                    let mut said = String::new();
                    let err = self.child.stderr.as_mut().unwrap();
                    std::io::Read::read_to_string(err, &mut said).unwrap();
                    panic!("{words:?} is not said ({e}): {}{said}", self.seen);
                }
            }
        }
    }

    fn end(mut self) -> Output {
        drop(self.child.stdin.take());
        self.child.wait_with_output().unwrap()
    }
}

/// Puts a card into the reader.
fn put_in(station: &Station, card: &Loop) {
    let slot = station.0.path().join("slot");
    let _ = std::fs::remove_file(&slot);
    std::os::unix::fs::symlink(card.device(), slot).unwrap();
}

pub fn one_after_the_other() -> Result<(), Failed> {
    let (registry, owner) = (Registry::open(), Station(Work::new()));
    let [station, other] = [(); 2].map(|()| Station(Work::new()));
    let name = format!("oci://{}/home", registry.host());
    let keys = [&station, &other].map(|station| station.field(&["key"], "public"));
    let words = ["push", &name, "--base", "sample", "--nodes", "2"];
    let words = [&words[..], &["--recipient", &keys[0], "--recipient", &keys[1]]].concat();
    let signed = owner.field(&words, "key");
    succeeded(&owner.run(&["build", "--base", "sample", "--nodes", "2"], ""));
    for station in [&station, &other] {
        station.field(&["key", "--trust", &signed], "public");
    }

    let new = |name: &str| Loop::new(station.0.path(), name, CARD, 512);
    // what is in the reader when it asks stays as it is
    let before = new("before");
    put_in(&station, &before);
    let mut work = AtWork::begin(&station, &[&name], "2\n");
    std::thread::sleep(Duration::from_secs(5));
    // both there from the beginning: a device that is used again at once is no card that was taken out
    for (node, card) in ["node-1", "node-2"].map(|node| (node, new(node))) {
        put_in(&station, &card);
        work.until(&format!("{node} of kubernetes"));
        assert_same(&card, &owner.0.image(node));
    }
    let out = work.end();
    succeeded(&out);
    assert!(before.is_as_before());

    // the other one sees that there is nothing to do, and is asked nothing
    let out = other.run(&["--json", "station", &name], "");
    succeeded(&out);
    let done: serde_json::Value = serde_json::from_slice(&out.stdout)?;
    let taken = done["taken"].as_array().unwrap();
    assert!(taken.len() == 2 && taken.iter().all(|one| one["state"] == "written"), "{done}");
    assert!(taken.iter().all(|one| one["station"] == keys[0].as_str()), "{done}");
    // unless it is told which one is wanted once more
    let mut work = AtWork::begin(&other, &[&name, "--node", "2"], "1\n");
    std::thread::sleep(Duration::from_secs(5));
    let again = Loop::new(other.0.path(), "again", CARD, 512);
    put_in(&other, &again);
    work.until("node-2 of kubernetes");
    succeeded(&work.end());
    assert_same(&again, &owner.0.image("node-2"));
    // another answer is none
    let out = station.run(&["station", &name, "--node", "1"], "yes\n");
    succeeded(&out);
    assert!(said(&out).contains("without a card: node-1"), "{}", said(&out));
    Ok(())
}

pub fn from_a_registry() -> Result<(), Failed> {
    let (registry, owner, station) = (Registry::open(), Station(Work::new()), Station(Work::new()));
    let name = format!("oci://{}/home", registry.host());
    let key = station.field(&["key"], "public");
    let words = ["push", &name, "--base", "sample", "--nodes", "3", "--recipient", &key];
    let signed = owner.field(&words, "key");
    succeeded(&owner.run(&["build", "--base", "sample", "--nodes", "3"], ""));

    let [a, b] = ["a", "b"].map(|card| Loop::new(station.0.path(), card, CARD, 512));
    let cards = [format!("{}=2", a.name()), format!("{}=node-3", b.name())];
    let [first, second] = cards.each_ref().map(String::as_str);
    // nothing is asked of who is not believed
    failed(&station.flash(&[&a, &b], &["--from", &name, first, second]), 2, "no key is trusted here");
    assert!(a.is_as_before() && b.is_as_before());
    // two at once, while the base comes
    let out = station.flash(&[&a, &b], &["--from", &name, first, second, "--trust", &signed]);
    succeeded(&out);
    assert!(said(&out).contains("node-2") && said(&out).contains("node-3"), "{}", said(&out));
    assert_same(&a, &owner.0.image("node-2"));
    assert_same(&b, &owner.0.image("node-3"));
    // and from the cache, when the registry is gone
    drop(registry);
    let again = Loop::new(station.0.path(), "again", CARD, 512);
    let words = ["--offline", "--from", &name, "--trust", &signed, again.name(), "--node", "2"];
    succeeded(&station.flash(&[&again], &words));
    assert_same(&again, &owner.0.image("node-2"));
    Ok(())
}

//! Cards of nodes that are in a registry.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::Failed;
use support::registry::Registry;

use super::work::{CARD, Work, assert_same, failed, said, succeeded};
use crate::loops::{Drive, Loop};

/// A machine that has no description, but keys of its own.
pub struct Station(pub Work);

impl Station {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(arguments);
        command.env("XDG_CONFIG_HOME", self.path().join("config"));
        command
    }

    pub fn run(&self, arguments: &[&str], answers: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn flash(&self, cards: &[&Loop], arguments: &[&str]) -> Output {
        let answers: String = cards.iter().map(|card| card.answer()).collect();
        self.run(&[&["flash", "--allow-fixed"], arguments].concat(), &answers)
    }

    /// What a run that succeeds says, as a document.
    pub fn document(&self, words: &[&str]) -> serde_json::Value {
        let out = self.run(&[&["--json"], words].concat(), "");
        succeeded(&out);
        serde_json::from_slice(&out.stdout).unwrap()
    }

    pub fn field(&self, words: &[&str], field: &str) -> String {
        self.document(words)[field].as_str().unwrap().to_owned()
    }
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

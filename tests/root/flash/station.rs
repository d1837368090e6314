//! Stations at work: cards that are put in and pulled out, several stations, and a registry that does not answer.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use support::registry::Registry;
use support::tool;

use super::fleet::Station;
use super::work::{CARD, Work, assert_same, said, succeeded};
use crate::disk::{Disk, Faults};
use crate::loops::{Drive, Loop};

/// How long something may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster in a registry, and stations that may make its cards.
struct Shop {
    registry: Registry,
    owner: Station,
    stations: Vec<Station>,
    name: String,
    keys: Vec<String>,
}

impl Shop {
    fn new(nodes: &str, stations: usize) -> Self {
        let (registry, owner) = (Registry::open(), Station(Work::new()));
        let stations: Vec<_> = (0..stations).map(|_| Station(Work::new())).collect();
        let name = format!("oci://{}/home", registry.host());
        let keys: Vec<_> = stations.iter().map(|station| station.field(&["key"], "public")).collect();
        let shop = Self { registry, owner, stations, name, keys };
        let signed = shop.push(nodes);
        succeeded(&shop.owner.run(&["build", "--base", "sample", "--nodes", nodes], ""));
        for station in &shop.stations {
            station.field(&["key", "--trust", &signed], "public");
        }
        shop
    }

    /// Puts the cluster there once more. Gives what it is signed with.
    fn push(&self, nodes: &str) -> String {
        let recipients = self.keys.iter().flat_map(|key| ["--recipient", key.as_str()]);
        let words = ["push", &self.name, "--base", "sample", "--nodes", nodes];
        self.owner.field(&words.into_iter().chain(recipients).collect::<Vec<_>>(), "key")
    }

    fn card(&self, name: &str) -> Loop {
        Loop::new(self.owner.path(), name, CARD, 512)
    }

    fn assert_is(&self, card: &dyn Drive, node: &str) {
        assert_same(card, &self.owner.0.image(node));
    }

    /// What a station finds that is asked for nothing.
    fn found(&self, station: usize) -> Value {
        self.stations[station].document(&["station", &self.name])
    }
}

/// One of what a program prints, as far as it came; what is not ASCII is a question mark.
#[derive(Default)]
struct Printed {
    text: String,
    /// How much of it was looked at.
    seen: usize,
}

impl Printed {
    fn find(&mut self, words: &str) -> bool {
        let found = self.text[self.seen..].find(words);
        self.seen = found.map_or(self.seen, |at| self.seen + at + words.len());
        found.is_some()
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// A station at work: its readers are links, which lead to the cards that are in them.
struct AtWork<'a> {
    station: &'a Station,
    child: Child,
    input: Option<ChildStdin>,
    printed: Receiver<(Stream, Vec<u8>)>,
    out: Printed,
    err: Printed,
}

impl<'a> AtWork<'a> {
    fn begin(station: &'a Station, words: &[&str]) -> Self {
        Self::with_readers(station, 1, words)
    }

    fn with_readers(station: &'a Station, count: usize, words: &[&str]) -> Self {
        let slots: Vec<_> = (0..count).map(|reader| slot(station, reader)).collect();
        // a device of the run before may be one of this run's by now, and would count as there from the beginning
        slots.iter().for_each(|slot| _ = std::fs::remove_file(slot));
        let readers = slots.iter().flat_map(|slot| ["--reader", slot.to_str().unwrap()]);
        let words: Vec<_> =
            ["station", "--allow-fixed"].into_iter().chain(readers).chain(words.iter().copied()).collect();
        let program = station.command(&words);
        // whoever runs the tests may ignore it
        let mut command = tool("env", "coreutils");
        command.arg("--default-signal=HUP").arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(station.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, printed) = channel();
        follow(Stream::Out, child.stdout.take().unwrap(), to.clone());
        follow(Stream::Err, child.stderr.take().unwrap(), to);
        let input = child.stdin.take();
        Self { station, child, input, printed, out: Printed::default(), err: Printed::default() }
    }

    /// Waits for the question, and answers it.
    fn answer(&mut self, count: usize) {
        self.until_said(&format!("Type {count} to begin: "));
        self.input.as_mut().unwrap().write_all(format!("{count}\n").as_bytes()).unwrap();
        self.until_said(&format!("waiting for {count} card"));
    }

    /// Waits until it says this to people, after what was waited for before.
    fn until_said(&mut self, words: &str) {
        self.until(Stream::Err, words);
    }

    /// Waits until it shows this label.
    fn until_shown(&mut self, words: &str) {
        self.until(Stream::Out, words);
    }

    fn until(&mut self, stream: Stream, words: &str) {
        loop {
            let printed = match stream {
                Stream::Out => &mut self.out,
                Stream::Err => &mut self.err,
            };
            if printed.find(words) {
                return;
            }
            match self.printed.recv_timeout(PATIENCE) {
                Ok(piece) => self.take(piece),
                Err(e) => {
                    let _ = self.child.kill();
                    panic!("{words:?} is not said ({e}):\n{}\n{}", self.out.text, self.err.text);
                }
            }
        }
    }

    fn take(&mut self, (stream, bytes): (Stream, Vec<u8>)) {
        let text = bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' });
        match stream {
            Stream::Out => self.out.text.extend(text),
            Stream::Err => self.err.text.extend(text),
        }
    }

    /// Puts a card into its reader, in the place of the one before.
    fn put_in(&self, card: &dyn Drive) {
        self.put_into(0, card);
    }

    fn put_into(&self, reader: usize, card: &dyn Drive) {
        let slot = slot(self.station, reader);
        let _ = std::fs::remove_file(&slot);
        symlink(card.device(), slot).unwrap();
    }

    /// Which node this card becomes, as was said.
    fn node_of(&self, card: &dyn Drive) -> String {
        let words = format!("{} becomes ", card.name());
        let (_, rest) = self.err.text.split_once(&words).unwrap_or_else(|| panic!("{}", self.err.text));
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// Waits for its end. Gives the exit code, and what it printed for programs and for people.
    fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.input.take());
        while let Ok(piece) = self.printed.recv_timeout(PATIENCE) {
            self.take(piece);
        }
        let status = self.child.wait().unwrap();
        (status.code(), std::mem::take(&mut self.out.text), std::mem::take(&mut self.err.text))
    }

    /// The same where it printed a document.
    fn end_with_document(self, code: i32) -> Value {
        let (ended, out, err) = self.end();
        assert_eq!(ended, Some(code), "{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{err}"))
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn slot(station: &Station, reader: usize) -> PathBuf {
    station.path().join(format!("slot-{reader}"))
}

fn follow(stream: Stream, mut from: impl Read + Send + 'static, to: Sender<(Stream, Vec<u8>)>) {
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if to.send((stream, piece[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn all(list: &Value, field: &str) -> Vec<String> {
    let mut all: Vec<_> =
        list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

pub fn one_after_the_other() -> Result<(), Failed> {
    let shop = Shop::new("2", 2);
    let [station, other] = &shop.stations[..] else { unreachable!() };
    // what is in the reader when it asks stays as it is
    let before = shop.card("before");
    let mut work = AtWork::begin(station, &[&shop.name]);
    work.put_in(&before);
    work.answer(2);
    // both there from the beginning: a device that is used again at once is no card that was taken out
    for (node, card) in ["node-1", "node-2"].map(|node| (node, shop.card(node))) {
        work.put_in(&card);
        work.until_shown(&format!("{node} of kubernetes"));
        shop.assert_is(&card, node);
    }
    let (code, out, err) = work.end();
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(before.is_as_before());

    // the other one sees that there is nothing to do, and is asked nothing
    let done = shop.found(1);
    let taken = done["taken"].as_array().unwrap();
    assert!(taken.len() == 2 && taken.iter().all(|one| one["state"] == "written"), "{done}");
    assert!(taken.iter().all(|one| one["station"] == shop.keys[0].as_str()), "{done}");
    // unless it is told which one is wanted once more
    let mut work = AtWork::begin(other, &[&shop.name, "--node", "2"]);
    work.answer(1);
    let again = shop.card("again");
    work.put_in(&again);
    work.until_shown("node-2 of kubernetes");
    assert_eq!(work.end().0, Some(0));
    shop.assert_is(&again, "node-2");
    // another answer is none
    let out = station.run(&["station", &shop.name, "--node", "1"], "yes\n");
    succeeded(&out);
    assert!(said(&out).contains("without a card: node-1"), "{}", said(&out));
    // cards stay what they are when the cluster is pushed again, and are made anew where that is wanted
    shop.push("2");
    assert_eq!((&shop.found(0)["left"], all(&shop.found(0)["taken"], "node").len()), (&json!([]), 3));
    let anew = station.document(&["station", &shop.name, "--again"]);
    assert_eq!((&anew["left"], &anew["taken"]), (&json!(["node-1", "node-2"]), &json!([])));
    Ok(())
}

pub fn in_batches() -> Result<(), Failed> {
    let shop = Shop::new("3", 1);
    let [first, second, between, third] = ["1", "2", "between", "3"].map(|name| shop.card(name));
    let mut work = AtWork::begin(&shop.stations[0], &["--json", "--batch", "2", &shop.name]);
    work.answer(2);
    for (card, node) in [(&first, "node-1"), (&second, "node-2")] {
        work.put_in(card);
        work.until_said(&format!("{} becomes {node}", card.name()));
    }
    // it asks again; who puts a card in meanwhile does not mean the next node
    work.until_said("The next 1 card of");
    work.put_in(&between);
    work.answer(1);
    std::thread::sleep(Duration::from_secs(4));
    // nor is a card overwritten that was made just now
    work.put_in(&first);
    work.until_said(&format!("{} is node-1, made just now: it stays as it is", first.name()));
    work.put_in(&third);
    work.until_said(&format!("{} becomes node-3", third.name()));
    let done = work.end_with_document(0);
    assert!(between.is_as_before());
    for (card, node) in [(&first, "node-1"), (&second, "node-2"), (&third, "node-3")] {
        shop.assert_is(card, node);
        let said = done["cards"].as_array().unwrap().iter().find(|said| said["node"] == node).unwrap();
        let wanted = json!([card.name(), true, "written", null]);
        assert_eq!(json!([said["drive"], said["done"], said["head"], said["error"]]), wanted, "{done}");
    }
    assert_eq!((&done["left"], &done["taken"], &done["error"]), (&json!([]), &json!([]), &Value::Null));
    Ok(())
}

/// As docs/fleets.md has it: five cards at a time, and the rest the next morning.
pub fn with_five_readers() -> Result<(), Failed> {
    let shop = Shop::new("7", 1);
    let words = ["--batch", "5", &shop.name];
    let mut work = AtWork::with_readers(&shop.stations[0], 5, &words);
    work.answer(5);
    let cards: Vec<_> = (0..5).map(|n| shop.card(&n.to_string())).collect();
    cards.iter().enumerate().for_each(|(reader, card)| work.put_into(reader, card));
    work.until_said("The next 2 cards of");
    for card in &cards {
        let node = work.node_of(card);
        shop.assert_is(card, &node);
    }
    let (_, out, err) = work.end();
    for node in 1..=5 {
        let label = format!("node-{node} of kubernetes");
        assert_eq!(out.matches(&label).count(), 1, "{label}: {out}\n{err}");
    }
    assert_eq!(shop.found(0)["left"], json!(["node-6", "node-7"]));

    let mut work = AtWork::with_readers(&shop.stations[0], 5, &words);
    work.answer(2);
    let cards = ["5", "6"].map(|name| shop.card(name));
    cards.iter().enumerate().for_each(|(reader, card)| work.put_into(reader + 3, card));
    cards.iter().for_each(|_| work.until_shown(" of kubernetes"));
    for card in &cards {
        let node = work.node_of(card);
        shop.assert_is(card, &node);
    }
    assert_eq!(work.end().0, Some(0));
    assert_eq!(shop.found(0)["left"], json!([]));
    Ok(())
}

pub fn a_reader_is_pulled_out() -> Result<(), Failed> {
    let shop = Shop::new("1", 1);
    let disk = Disk::new(CARD, Faults::default());
    let mut work = AtWork::begin(&shop.stations[0], &[&shop.name]);
    work.answer(1);
    disk.chip().refit(Faults::default());
    work.put_in(&disk);
    work.until_said(&format!("{} becomes node-1", disk.name()));
    disk.chip().wait_for(60);
    disk.pull_out();
    work.until_said("was it pulled out?");
    work.until_said("node-1 is the next one again");
    let card = shop.card("card");
    work.put_in(&card);
    work.until_shown("node-1 of kubernetes");
    shop.assert_is(&card, "node-1");
    let (code, out, err) = work.end();
    assert!(code == Some(0) && out.contains("failed") && out.contains("written"), "{out}\n{err}");
    Ok(())
}

/// Ctrl-C, and a terminal that is closed, while a card is written.
pub fn stopped() -> Result<(), Failed> {
    let shop = Shop::new("2", 2);
    for signal in [Signal::INT, Signal::HUP] {
        let disk = Disk::new(CARD, Faults::default());
        let mut work = AtWork::begin(&shop.stations[0], &["--json", &shop.name]);
        work.answer(2);
        let kills = Some((120, Pid::from_child(&work.child), signal));
        disk.chip().refit(Faults { kills, ..Faults::default() });
        work.put_in(&disk);
        work.until_said(&format!("{} becomes node-1", disk.name()));
        let done = work.end_with_document(1);
        assert_eq!(done["error"]["class"], "cancelled", "{signal:?}: {done}");
        let card = &done["cards"][0];
        assert_eq!((&card["done"], &card["error"]["class"]), (&json!(false), &json!("cancelled")), "{done}");
        assert_eq!(done["left"], json!(["node-1", "node-2"]), "{signal:?}: {done}");
        assert!(disk.is_blank(), "{signal:?}");
        // others find both free
        let found = shop.found(1);
        assert_eq!(
            (&found["left"], &found["taken"]),
            (&json!(["node-1", "node-2"]), &json!([])),
            "{signal:?}"
        );
    }
    Ok(())
}

pub fn the_line_breaks() -> Result<(), Failed> {
    let shop = Shop::new("3", 2);
    let [first, second, third] = ["1", "2", "3"].map(|name| shop.card(name));
    let mut work = AtWork::begin(&shop.stations[0], &["--network-timeout", "1", &shop.name]);
    work.answer(3);
    work.put_in(&first);
    work.until_said(&format!("{} becomes node-1", first.name()));
    shop.registry.freeze();
    // what was begun is finished
    work.until_shown("node-1 of kubernetes");
    shop.assert_is(&first, "node-1");
    work.until_said("telling the registry what became of node-1");
    // what was not waits
    work.put_in(&second);
    work.until_said(&format!("{} waits until the registry can be reached", second.name()));
    assert!(second.is_as_before());
    shop.registry.thaw();
    // node-2, unless it is still being given back, in case the registry has heard who wants it
    work.until_said(&format!("{} becomes node-", second.name()));
    work.until_shown(" of kubernetes");
    let node = work.node_of(&second);
    shop.assert_is(&second, &node);
    let last = if node == "node-2" { "node-3" } else { "node-2" };
    // and where it does not come back before the end, the next run tells it
    work.put_in(&third);
    work.until_said(&format!("{} becomes {last}", third.name()));
    shop.registry.freeze();
    work.until_shown(&format!("{last} of kubernetes"));
    let (code, out, err) = work.end();
    let untold = format!("telling the registry what became of {last}");
    assert!(code == Some(1) && err.contains(&untold), "{out}\n{err}");
    shop.registry.thaw();
    for station in [0, 1] {
        let found = shop.found(station);
        assert_eq!(all(&found["taken"], "node"), ["node-1", "node-2", "node-3"], "{found}");
        assert_eq!(all(&found["taken"], "state"), ["written"; 3], "{found}");
    }
    Ok(())
}

pub fn two_at_once() -> Result<(), Failed> {
    let shop = Shop::new("4", 2);
    let mut works: Vec<_> = shop.stations.iter().map(|one| AtWork::begin(one, &[&shop.name])).collect();
    works.iter_mut().for_each(|work| work.answer(4));
    let cards = [["a1", "a2"], ["b1", "b2"]].map(|names| names.map(|name| shop.card(name)));
    for round in 0..2 {
        for (work, cards) in works.iter().zip(&cards) {
            work.put_in(&cards[round]);
        }
        works.iter_mut().for_each(|work| work.until_shown(" of kubernetes"));
    }
    let mut nodes = Vec::new();
    for (work, cards) in works.iter().zip(&cards) {
        for card in cards {
            let node = work.node_of(card);
            shop.assert_is(card, &node);
            nodes.push(node);
        }
    }
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-2", "node-3", "node-4"]);
    // nothing is left for one more, which stays as it is; and whoever waits for none hears of it as well
    let more = shop.card("more");
    works[0].put_in(&more);
    for work in works {
        let (code, out, err) = work.end();
        assert_eq!(code, Some(0), "{out}\n{err}");
    }
    assert!(more.is_as_before());
    Ok(())
}

//! A transfer that is cut off is taken up where it was, and never put together of two files.

use std::process::{Child, Stdio};
use std::sync::Arc;

use support::fetching::{Machine, Outcome, image, sha256, until, xz};
use support::http::{Fault, File, Gate, Server};

const PATH: &str = "/some.img.xz";

/// A server with one image and a machine that knows its digest.
struct Case {
    server: Server,
    machine: Machine,
    raw: Vec<u8>,
    packed: Vec<u8>,
    half: u64,
}

impl Case {
    fn new(seed: u8) -> Self {
        let raw = image(seed);
        let packed = xz(&raw);
        let half = packed.len() as u64 / 2;
        let case = Self { server: Server::start(), machine: Machine::new(), raw, packed, half };
        case.server.put(PATH, File::new(&case.packed));
        case
    }

    /// Changes how the server tells of the image.
    fn told(self, change: impl FnOnce(&mut File)) -> Self {
        let mut file = File::new(&self.packed);
        change(&mut file);
        self.server.put(PATH, file);
        self
    }

    fn arguments(&self) -> [String; 3] {
        [self.server.url(PATH), "--sha256".to_owned(), sha256(&self.packed)]
    }

    /// Fetches and panics unless that went well; what was said meanwhile.
    fn fetch(&self) -> String {
        let arguments = self.arguments();
        let outcome = self.machine.fetch(&arguments.each_ref().map(String::as_str));
        outcome.good();
        self.machine.assert_cached(&self.packed, &self.raw);
        outcome.stderr
    }

    /// Fetches until half of it is here, and is killed.
    fn killed_at_half(&self) {
        let gate = Gate::new();
        self.server.fail(PATH, &[Fault::Hold(self.half, Arc::clone(&gate))]);
        let mut child = self.start();
        until("half is on the disk", || self.machine.partial() == self.half);
        child.kill().unwrap();
        child.wait().unwrap();
        gate.open();
        assert!(!self.machine.cached(&self.packed).exists());
    }

    fn start(&self) -> Child {
        self.machine.command(&["fetch", "-q"]).args(self.arguments()).spawn().unwrap()
    }

    fn ranges(&self) -> Vec<(Option<String>, Option<String>)> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        self.server.seen(PATH).iter().map(|s| (own(s.range().0), own(s.range().1))).collect()
    }

    fn etag(&self) -> Option<String> {
        File::new(&self.packed).etag
    }

    fn rest_range(&self) -> Option<String> {
        Some(format!("bytes={}-", self.half))
    }
}

#[test]
fn cut_at_half_and_taken_up_in_the_same_run() {
    let case = Case::new(20);
    case.server.fail(PATH, &[Fault::Cut(case.half)]);
    let said = case.fetch();
    assert!(said.contains("the download was cut off") && said.contains("trying again in 0."), "{said}");
    assert_eq!(case.ranges(), [(None, None), (case.rest_range(), case.etag())]);
}

#[test]
fn cut_again_and_again() {
    let case = Case::new(21);
    let tenths = (1..9).map(|_| Fault::Cut(case.packed.len() as u64 / 10)).collect::<Vec<_>>();
    case.server.fail(PATH, &tenths[..4]);
    case.fetch();
    // each time the rest alone: no byte came twice
    let tenth = case.packed.len() / 10;
    let from = |n: usize| Some(format!("bytes={}-", n * tenth));
    assert_eq!(
        case.ranges().into_iter().map(|(range, _)| range).collect::<Vec<_>>(),
        [None, from(1), from(2), from(3), from(4)]
    );
}

#[test]
fn killed_and_taken_up_by_the_next_run() {
    let case = Case::new(22);
    case.killed_at_half();
    let said = case.fetch();
    assert!(said.contains("resuming an earlier download"), "{said}");
    assert_eq!(case.ranges(), [(None, None), (case.rest_range(), case.etag())]);
}

#[test]
fn what_names_the_version_may_be_a_date_or_nothing() {
    let date = File::new(b"").modified;
    let case = Case::new(23).told(|f| f.etag = None);
    case.killed_at_half();
    case.fetch();
    assert_eq!(case.ranges()[1..], [(case.rest_range(), date.clone())]);

    // RFC 9110 lets a part leave the date out: that If-Range held says all there is to say
    let case = Case::new(24).told(|f| (f.etag, f.terse) = (None, true));
    case.server.fail(PATH, &[Fault::Cut(case.half)]);
    case.fetch();
    assert_eq!(case.ranges()[1..], [(case.rest_range(), date.clone())]);

    // a weak tag is of no use for parts: RFC 9110 13.1.5
    let case = Case::new(25).told(|f| f.etag = Some("W/\"weak\"".to_owned()));
    case.killed_at_half();
    case.fetch();
    assert_eq!(case.ranges()[1..], [(case.rest_range(), date)]);

    // nothing names it: the digest will tell
    let case = Case::new(26).told(|f| (f.etag, f.modified) = (None, None));
    case.killed_at_half();
    case.fetch();
    assert_eq!(case.ranges()[1..], [(case.rest_range(), None)]);
}

#[test]
fn a_server_that_sends_no_parts() {
    let case = Case::new(27).told(|f| f.ranges = false);
    case.server.fail(PATH, &[Fault::Cut(case.half)]);
    let said = case.fetch();
    assert!(said.contains("it sends all of it again"), "{said}");
    assert_eq!(case.ranges(), [(None, None), (case.rest_range(), case.etag())]);

    let case = Case::new(28).told(|f| f.ranges = false);
    case.killed_at_half();
    case.fetch();
    assert_eq!(case.ranges(), [(None, None), (case.rest_range(), case.etag())]);
    // and names no version either
    let case = Case::new(29).told(|f| (f.ranges, f.etag, f.modified) = (false, None, None));
    case.server.fail(PATH, &[Fault::Cut(case.half)]);
    case.fetch();
    // and tells no length: that the connection ended early cannot be known but by the content
    let case = Case::new(30).told(|f| (f.ranges, f.length) = (false, false));
    case.fetch();
}

#[test]
fn another_file_on_the_server_since() {
    let (old, mut case) = (Case::new(31), Case::new(32));
    // killed when half of the old file was here
    case.server = old.server;
    case.machine = old.machine;
    let arguments = case.arguments();
    let gate = Gate::new();
    case.server.fail(PATH, &[Fault::Hold(old.half, Arc::clone(&gate))]);
    let mut child = case.start();
    until("half is on the disk", || case.machine.partial() == old.half);
    child.kill().unwrap();
    child.wait().unwrap();
    gate.open();
    case.server.put(PATH, File::new(&case.packed));
    case.fetch();
    // If-Range did not hold, so the whole file came at once
    assert_eq!(
        case.ranges(),
        [(None, None), (Some(format!("bytes={}-", old.half)), File::new(&old.packed).etag)]
    );

    // changed while the connection was lost
    let machine = Machine::new();
    case.server.put(PATH, File::new(&old.packed));
    case.server.fail(PATH, &[Fault::Cut(old.half)]);
    let mut command = machine.command(&["fetch", "--json"]);
    let child = command.args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("half is on the disk", || machine.partial() == old.half);
    case.server.put(PATH, File::new(&case.packed));
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.good();
    assert!(
        outcome.stderr.contains("the file on the server changed; restarting from the beginning"),
        "{}",
        outcome.stderr
    );
    machine.assert_cached(&case.packed, &case.raw);
    let from_half = Some(format!("bytes={}-", old.half));
    assert_eq!(case.ranges()[2..], [(None, None), (from_half, File::new(&old.packed).etag), (None, None)]);
}

#[test]
fn a_cache_that_sends_parts_of_whatever_it_has() {
    let (old, case) = (Case::new(33), Case::new(34));
    case.killed_at_half();
    // half of the right file is here; the rest of another one is offered
    let mut file = File::new(&old.packed);
    file.deaf = true;
    case.server.put(PATH, file);
    let arguments = case.arguments();
    let outcome = case.machine.fetch(&arguments.each_ref().map(String::as_str));
    outcome.bad(3, "its SHA-256 is");
    let ranges = case.ranges();
    assert_eq!(ranges[1], (case.rest_range(), case.etag()));
    assert_eq!(ranges[2], (None, None), "the part of another version is not put behind the first");
    case.machine.assert_nothing_kept();

    // the same, and nothing names a version: only the digest can tell
    let case = Case::new(35).told(|f| (f.etag, f.modified) = (None, None));
    case.killed_at_half();
    let mut file = File::new(&case.packed);
    (file.etag, file.modified, file.deaf) = (None, None, true);
    let mut other = case.packed.clone();
    let last = other.len() - 100_000;
    other[last..].fill(7);
    file.bytes = Arc::new(other);
    case.server.put(PATH, file);
    let arguments = case.arguments();
    let outcome = case.machine.fetch(&arguments.each_ref().map(String::as_str));
    outcome.bad(3, "its SHA-256 is");
    assert!(outcome.stderr.contains("put together of several transfers"), "{}", outcome.stderr);
    case.machine.assert_nothing_kept();
}

#[test]
fn without_a_digest_only_named_versions_are_put_together() {
    // nothing names the version and no digest is known: it begins anew
    let case = Case::new(36).told(|f| (f.etag, f.modified) = (None, None));
    case.server.fail(PATH, &[Fault::Cut(case.half)]);
    let url = case.server.url(PATH);
    let outcome = case.machine.fetch(&[&url, "--insecure-base"]);
    outcome.good();
    assert!(outcome.stderr.contains("restarting from the beginning"), "{}", outcome.stderr);
    case.machine.assert_cached(&case.packed, &case.raw);
    assert_eq!(case.ranges()[2], (None, None));
    // a server that cuts it off at the same place every time is given up
    let machine = Machine::new();
    case.server.fail(PATH, &vec![Fault::Cut(case.half); 12]);
    machine.fetch(&[&url, "--insecure-base"]).bad(1, "the file on the server changes all the time");
    assert_eq!(machine.names("images"), [""; 0]);
    // where a tag names it, it is taken up
    let case = Case::new(37);
    case.server.fail(PATH, &[Fault::Cut(case.half)]);
    case.machine.fetch(&[&case.server.url(PATH), "--insecure-base"]).good();
    assert_eq!(case.ranges()[1], (case.rest_range(), case.etag()));
}

#[test]
fn all_of_it_was_here_already() {
    // killed between the last byte and the end
    let case = Case::new(38);
    let gate = Gate::new();
    let all = case.packed.len() as u64;
    let mut file = File::new(&case.packed);
    file.length = false;
    case.server.put(PATH, file);
    case.server.fail(PATH, &[Fault::Hold(all, Arc::clone(&gate))]);
    let mut child = case.start();
    until("all is on the disk", || case.machine.partial() == all);
    child.kill().unwrap();
    child.wait().unwrap();
    gate.open();
    case.fetch();
    assert_eq!(case.ranges(), [(None, None), (Some(format!("bytes={all}-")), case.etag())]);
}

#[test]
fn damage_to_what_is_kept_is_noticed() {
    let case = Case::new(39);
    case.killed_at_half();
    let name = case.machine.names("downloads").into_iter().find(|n| n.ends_with(".part")).unwrap();
    let part = case.machine.cache().join("downloads").join(name);
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&part, &bytes).unwrap();
    let said = case.fetch();
    assert!(said.contains("restarting from the beginning"), "{said}");
    assert_eq!(case.ranges().last(), Some(&(None, None)));
    // more than there can be
    let case = Case::new(40);
    case.killed_at_half();
    let name = case.machine.names("downloads").into_iter().find(|n| n.ends_with(".part")).unwrap();
    let part = case.machine.cache().join("downloads").join(name);
    std::fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(9 << 20).unwrap();
    case.fetch();
    assert_eq!(case.ranges()[1], (None, None));
}

/// Ctrl-C; panics unless the program ends soon, and says why.
fn interrupt(child: Child) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    let asked = std::time::Instant::now();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.bad(1, "error: cancelled");
    assert!(asked.elapsed() < std::time::Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn interrupted_by_its_user() {
    let case = Case::new(41);
    let start = |command: &str| {
        let mut command =
            case.machine.command(&[command, "--base"][..if command == "fetch" { 1 } else { 2 }]);
        command.args(case.arguments()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let slowly = Fault::Drip(case.packed.len().div_ceil(100), std::time::Duration::from_millis(100));
    for command in ["fetch", "build"] {
        let before = case.machine.partial();
        case.server.fail(PATH, std::slice::from_ref(&slowly));
        let child = start(command);
        until("some of it is on the disk", || case.machine.partial() > before);
        interrupt(child);
        assert!(case.machine.partial() > before);
        assert_eq!(case.machine.names("images"), [""; 0], "what is half goes at once");
        let images = std::fs::read_dir(case.machine.path().join("images"));
        let mut names = images.into_iter().flatten().map(|entry| entry.unwrap().file_name());
        assert!(names.all(|name| name == ".gitignore"), "an image was left");
    }
    // while it waits for a server that wants to be left alone for a minute
    case.server.fail(PATH, &[Fault::Status(503, vec![("Retry-After", "60".to_owned())])]);
    let requests = case.server.seen(PATH).len();
    let child = start("fetch");
    until("the server was asked", || case.server.seen(PATH).len() > requests);
    std::thread::sleep(std::time::Duration::from_millis(200));
    interrupt(child);
    // while a server is silent: for half a minute, by default, each time
    for bytes in [0, case.packed.len() as u64 / 2] {
        let requests = case.server.seen(PATH).len();
        case.server.fail(PATH, &[Fault::Stall(bytes)]);
        let child = start("fetch");
        until("the server was asked", || case.server.seen(PATH).len() > requests);
        std::thread::sleep(std::time::Duration::from_millis(200));
        interrupt(child);
    }
    // while it waits for another one that works on the same image
    case.server.fail(PATH, &[slowly]);
    let mut first = start("fetch");
    let before = case.machine.partial();
    until("the first one works", || case.machine.partial() > before);
    let second = start("fetch");
    std::thread::sleep(std::time::Duration::from_millis(500));
    interrupt(second);
    first.kill().unwrap();
    first.wait().unwrap();
    case.fetch();
}

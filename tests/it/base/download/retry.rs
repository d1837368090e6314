//! What passes is waited for, what does not is said at once.

use std::time::{Duration, Instant};

use support::fetching::{Machine, Outcome, image, sha256, xz};
use support::http::{Fault, File, Server};

const PATH: &str = "/some.img.xz";

struct Case {
    server: Server,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Case {
    fn new(seed: u8) -> Self {
        let raw = image(seed);
        let case = Self { server: Server::start(), packed: xz(&raw), raw };
        case.server.put(PATH, File::new(&case.packed));
        case
    }

    fn fetch(&self, machine: &Machine, options: &[&str]) -> Outcome {
        let (url, digest) = (self.server.url(PATH), sha256(&self.packed));
        machine.fetch(&[&[&*url, "--sha256", &digest], options].concat())
    }
}

#[test]
fn a_busy_server_is_asked_again_and_again_later() {
    let case = Case::new(50);
    let busy = Fault::Status(503, vec![]);
    case.server.fail(PATH, &[busy.clone(), Fault::Refuse, busy]);
    let machine = Machine::new();
    let outcome = case.fetch(&machine, &[]);
    outcome.good();
    machine.assert_cached(&case.packed, &case.raw);
    assert_eq!(outcome.stderr.matches("trying again in").count(), 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("503 Service Unavailable; trying again"), "{}", outcome.stderr);
    let at: Vec<Instant> = case.server.seen(PATH).iter().map(|s| s.at).collect();
    let waits: Vec<Duration> = at.windows(2).map(|w| w[1] - w[0]).collect();
    for (wait, shortest) in waits.iter().zip([250, 500, 1000]) {
        assert!(*wait >= Duration::from_millis(shortest), "{waits:?} should double from 250..500 ms on");
    }
}

#[test]
fn retry_after_is_heeded() {
    let case = Case::new(51);
    let header = |value: String| Fault::Status(503, vec![("Retry-After", value)]);
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(4));
    case.server.fail(PATH, &[header("2".to_owned()), header(date)]);
    let started = Instant::now();
    let machine = Machine::new();
    case.fetch(&machine, &[]).good();
    let at: Vec<Instant> = case.server.seen(PATH).iter().map(|s| s.at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(2), "asked after {:?}", at[1] - at[0]);
    assert!(started.elapsed() >= Duration::from_secs(3), "the date was not waited for");
    assert_eq!(at.len(), 3);
}

#[test]
fn it_ends() {
    let case = Case::new(52);
    case.server.fail(PATH, &vec![Fault::Status(503, vec![]); 9]);
    let machine = Machine::new();
    case.fetch(&machine, &["--network-tries", "2"])
        .bad(1, "the server says 503 Service Unavailable; try again later");
    assert_eq!(case.server.seen(PATH).len(), 2);
    machine.assert_nothing_kept();
    // also while it comes: what came is kept
    let case = Case::new(53);
    let half = case.packed.len() as u64 / 2;
    case.server.fail(PATH, &[Fault::Cut(half), Fault::Refuse, Fault::Refuse]);
    let outcome = case.fetch(&machine, &["--network-tries", "3"]);
    outcome.bad(1, "(tried 3 times)");
    assert_eq!(machine.partial(), half);
    case.fetch(&machine, &["--network-tries", "1"]).good();
    assert_eq!(case.server.seen(PATH).last().unwrap().range().0, Some(&*format!("bytes={half}-")));
    case.fetch(&machine, &["--network-tries", "0"]).code_is(2);
}

#[test]
fn nobody_listens() {
    let machine = Machine::new();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/x.img.xz");
    let outcome = machine.fetch(&[&url, "--sha256", &sha256(b"x"), "--network-tries", "2"]);
    outcome.bad(1, "onnection refused");
    assert!(outcome.stderr.contains("(tried 2 times)"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("check that 127.0.0.1 can be reached from here"), "{}", outcome.stderr);
    // a name that nobody has, by RFC 6761
    let outcome =
        machine.fetch(&["http://pibake.invalid/x.img", "--sha256", &sha256(b"x"), "--network-tries", "1"]);
    outcome.bad(1, "fetching http://pibake.invalid/x.img: ");
    assert!(outcome.stderr.contains("the name pibake.invalid cannot be looked up"), "{}", outcome.stderr);
    machine.assert_nothing_kept();
}

#[test]
fn a_connection_that_falls_silent() {
    let case = Case::new(54);
    let half = case.packed.len() as u64 / 2;
    case.server.fail(PATH, &[Fault::Stall(half)]);
    let machine = Machine::new();
    let started = Instant::now();
    let outcome = case.fetch(&machine, &["--network-timeout", "1"]);
    outcome.good();
    assert!(outcome.stderr.contains("it did not answer in time; trying again"), "{}", outcome.stderr);
    assert!((1..8).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    machine.assert_cached(&case.packed, &case.raw);
    assert_eq!(case.server.seen(PATH)[1].range().0, Some(&*format!("bytes={half}-")));
    // silent before it says a word
    case.server.fail("/SHA256SUMS", &[Fault::Stall(0)]);
    case.server.put("/SHA256SUMS", File::new(b"a list that never comes"));
    let outcome = machine.fetch(&[&case.server.url(PATH), "--network-timeout", "1", "--network-tries", "1"]);
    outcome.bad(1, "it did not answer in time");
}

#[test]
fn a_slow_connection_is_none_that_fell_silent() {
    let case = Case::new(55);
    let pieces = 12;
    let size = case.packed.len().div_ceil(pieces);
    case.server.fail(PATH, &[Fault::Drip(size, Duration::from_millis(150))]);
    let machine = Machine::new();
    let started = Instant::now();
    case.fetch(&machine, &["--network-timeout", "1"]).good();
    // the limit is that of a silence, not of the whole
    assert!(started.elapsed() > Duration::from_millis(1700), "{:?}", started.elapsed());
    assert_eq!(case.server.seen(PATH).len(), 1);
}

//! What is seen where stderr is no terminal.

use std::time::Duration;

use support::fetching::{Machine, image, sha256, xz};
use support::http::{Fault, File, Server};

const PATH: &str = "/some.img.xz";

#[test]
fn rate_and_time_left_are_told_in_plain_lines() {
    let (server, machine) = (Server::start(), Machine::new());
    let packed = xz(&image(70));
    server.put(PATH, File::new(&packed));
    // six seconds: a line comes after five
    server.fail(PATH, &[Fault::Drip(packed.len().div_ceil(12), Duration::from_millis(500))]);
    let outcome = machine.fetch(&[&server.url(PATH), "--sha256", &sha256(&packed)]);
    outcome.good();
    let line = outcome.stderr.lines().find(|l| l.contains(" %)")).unwrap_or_default();
    assert!(line.starts_with("downloading some.img.xz: "), "{}", outcome.stderr);
    assert!(line.contains("/s, ") && line.ends_with(" left"), "{line}");
    let done = outcome.stderr.lines().last().unwrap_or_default();
    assert!(done.starts_with("downloading some.img.xz: done in "), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains('\r') && !outcome.stderr.contains('\u{1b}'), "{:?}", outcome.stderr);
}

#[test]
fn quiet_is_quiet_and_verbose_tells_more() {
    let server = Server::start();
    let packed = xz(&image(71));
    server.put(PATH, File::new(&packed));
    let (url, digest) = (server.url(PATH), sha256(&packed));
    let said = |flag: &str| {
        server.fail(PATH, &[Fault::Cut(1000)]);
        let outcome = Machine::new().run(&["fetch", &url, "--sha256", &digest, flag]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stderr
    };
    assert_eq!(said("--quiet"), "");
    let (plain, one, two, three) = (said("--json"), said("-v"), said("-vv"), said("-vvv"));
    assert!(plain.contains("the download was cut off") && !plain.contains("INFO"), "{plain}");
    assert!(one.contains("INFO") && one.contains("put into the cache") && !one.contains("DEBUG"), "{one}");
    assert!(two.contains("DEBUG") && two.contains("status=206"), "{two}");
    assert!(three.contains("TRACE") && three.contains("content-range"), "{three}");
    Machine::new().run(&["-q", "-v", "fetch", "sample"]).code_is(2);
}

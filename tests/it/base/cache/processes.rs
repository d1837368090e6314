//! Several processes at once, and such that are killed.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::fetching::{Machine, Outcome, image, sha256, until, xz};
use support::http::{Fault, File, Gate, Server};

const PATH: &str = "/some.img.xz";

fn start(machine: &Machine, arguments: &[&str]) -> Child {
    let mut command = machine.command(&[&["fetch", "--json"], arguments].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Outcome {
    Outcome::of(child.wait_with_output().unwrap())
}

/// Reads what a program says until it says this.
fn says(child: &mut Child, wanted: &str) {
    let mut said = String::new();
    let mut byte = [0];
    while !said.ends_with(wanted) {
        let stderr = child.stderr.as_mut().unwrap();
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "it ended and said: {said}");
        said.push(char::from(byte[0]));
    }
}

#[test]
fn several_at_once_share_one_download() {
    let (server, raw) = (Server::start(), image(130));
    let packed = xz(&raw);
    server.put(PATH, File::new(&packed));
    let (url, digest) = (server.url(PATH), sha256(&packed));
    for arguments in [&[&*url, "--sha256", &digest][..], &[&*url, "--insecure-base"]] {
        let before = server.seen(PATH).len();
        let (machine, gate) = (Machine::new(), Gate::new());
        server.fail(PATH, &[Fault::Hold(packed.len() as u64 / 2, Arc::clone(&gate))]);
        let first = start(&machine, arguments);
        gate.reached();
        // Silence would be taken for work, also by whoever wants to hear of errors alone.
        let more = [&[][..], &[], &["--quiet"]];
        let mut others = more.map(|more| start(&machine, &[arguments, more].concat()));
        for other in &mut others {
            says(other, "another pibake is preparing");
        }
        gate.open();
        end(first).good();
        for other in others {
            end(other).good();
        }
        machine.assert_cached(&packed, &raw);
        let whole =
            server.seen(PATH)[before..].iter().filter(|s| s.header("if-none-match").is_none()).count();
        assert_eq!(whole, 1, "the image was downloaded more than once");
    }
}

#[test]
fn who_waits_goes_on_where_a_killed_one_was() {
    let (server, raw, machine) = (Server::start(), image(131), Machine::new());
    let packed = xz(&raw);
    let half = packed.len() as u64 / 2;
    server.put(PATH, File::new(&packed));
    let (url, digest) = (server.url(PATH), sha256(&packed));
    let arguments = [&*url, "--sha256", &digest];
    let gate = Gate::new();
    server.fail(PATH, &[Fault::Hold(half, Arc::clone(&gate))]);
    let mut first = start(&machine, &arguments);
    until("half is on the disk", || machine.partial() == half);
    let second = start(&machine, &arguments);
    std::thread::sleep(Duration::from_millis(300));
    first.kill().unwrap();
    first.wait().unwrap();
    gate.open();
    end(second).good();
    machine.assert_cached(&packed, &raw);
    assert_eq!(server.seen(PATH)[1].range().0, Some(&*format!("bytes={half}-")));
}

/// Numbers that differ from run to run: no moment is spared for ever.
fn random(below: Duration) -> Duration {
    below.mul_f64(rand::random::<f64>())
}

/// Kills a run again and again, at random moments of the time that a whole one takes; then panics
/// unless the next one succeeds. What is under a final name in between is whole.
fn killed_again_and_again(
    machine: &Machine,
    arguments: &[&str],
    packed: &[u8],
    raw: &[u8],
    begin: &dyn Fn(),
) {
    begin();
    let started = Instant::now();
    end(start(machine, arguments)).good();
    let whole_run = started.elapsed();
    let forget = || {
        for path in [machine.cached(packed), machine.cached(packed).with_extension("json")] {
            std::fs::remove_file(path).unwrap();
        }
    };
    forget();
    let mut in_the_middle = 0;
    for _ in 0..25 {
        begin();
        let mut child = start(machine, arguments);
        std::thread::sleep(random(whole_run));
        child.kill().unwrap();
        child.wait().unwrap();
        let (image, entry) = (machine.cached(packed), machine.cached(packed).with_extension("json"));
        if entry.exists() {
            assert!(std::fs::read(&image).unwrap() == raw, "vouched for, and not whole");
            machine.fetch(&[&["--offline", "--check"], arguments].concat()).good();
            forget();
        } else if machine.names("images").iter().any(|n| n.ends_with(".tmp")) || machine.partial() > 0 {
            in_the_middle += 1;
        }
    }
    assert!(in_the_middle > 0, "no run was killed in its middle: this test shows nothing");
    end(start(machine, arguments)).good();
    machine.assert_cached(packed, raw);
    let left = machine.lasting("images");
    assert_eq!(left.len(), 2, "something was left behind: {left:?}");
}

#[test]
fn killed_at_any_moment_of_a_download() {
    let (server, raw, machine) = (Server::start(), image(132), Machine::new());
    let packed = xz(&raw);
    server.put(PATH, File::new(&packed));
    let (url, digest) = (server.url(PATH), sha256(&packed));
    let slowly = || server.fail(PATH, &[Fault::Drip(packed.len().div_ceil(20), Duration::from_millis(10))]);
    killed_again_and_again(&machine, &[&url, "--sha256", &digest], &packed, &raw, &slowly);
}

#[test]
fn killed_at_any_moment_of_unpacking() {
    let (machine, noise) = (Machine::new(), image(133));
    // enough that it takes a while
    let raw = noise.iter().copied().cycle().take(24 << 20).collect::<Vec<u8>>();
    let packed = xz(&raw);
    let path = machine.put("some.img.xz", &packed);
    killed_again_and_again(&machine, &[&path], &packed, &raw, &|| ());
}

#[test]
fn a_build_sees_a_restarted_download_from_its_beginning() {
    let sample = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/base/sample.img.xz")).unwrap();
    let (server, machine) = (Server::start(), Machine::new().env("SOURCE_DATE_EPOCH", "1700000000"));
    let path = machine.put("sample.img.xz", &sample);
    server.put(PATH, File::new(&sample));
    let arguments = ["build", "--nodes", "1", "--base"];
    machine.run(&[&arguments[..], &[&path, "-o", "one"]].concat()).code_is(0);
    std::fs::remove_dir_all(machine.cache()).unwrap();
    // half of another file comes first, then the server has the right one
    let mut other = File::new(&sample);
    let mut bytes = sample.clone();
    let last = bytes.len() - 1000;
    bytes[last..].fill(1);
    (other.bytes, other.etag) = (Arc::new(bytes), Some("\"other\"".to_owned()));
    server.put(PATH, other);
    server.fail(PATH, &[Fault::Cut(sample.len() as u64 / 2)]);
    let mut command = machine.command(&arguments);
    let url = server.url(PATH);
    command.args([&*url, "--sha256", &sha256(&sample), "-o", "two"]).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    until("half is on the disk", || machine.partial() > 0);
    server.put(PATH, File::new(&sample));
    let outcome = end(child);
    outcome.code_is(0);
    assert!(outcome.stderr.contains("restarting from the beginning"), "{}", outcome.stderr);
    let read = |dir: &str| std::fs::read(machine.path().join(dir).join("node-1.img")).unwrap();
    assert!(read("one") == read("two"), "the images differ");
}

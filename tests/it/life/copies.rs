//! Encrypted copies of etcd on their way from node-1 to another node: both baked programs, with a socket between them
//! as systemd makes one.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use support::tool_path;

use super::machine::{Machine, Ran};

/// The port of pibake-copies.socket.
const PORT: u16 = 6440;

/// How many pairs there were.
static NUMBER: AtomicU8 = AtomicU8::new(0);

struct Pair {
    first: Machine,
    worker: Machine,
    address: String,
    ends: Arc<AtomicBool>,
    server: Option<thread::JoinHandle<()>>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect((self.address.as_str(), PORT));
        let _ = self.server.take().map(thread::JoinHandle::join);
    }
}

/// The programs and their library as they lie on a node.
fn install(machine: &Machine, role: &str) {
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/overlays");
    machine.shell(&format!(
        "mkdir -p $D/program; cp -r '{tree}'/common/usr/lib/pibake/. '{tree}'/{role}/usr/lib/pibake/. $D/program/"
    ));
}

impl Pair {
    fn new() -> Self {
        tool_path("curl", "curl");
        let first = Machine::control_plane(3650, 365);
        install(&first, "control-plane");
        let worker = Machine::worker(365);
        install(&worker, "worker");
        for real in ["cp", "mv", "rm", "curl"] {
            fs::remove_file(worker.path("bin").join(real)).unwrap();
        }
        // An address of this test's own, so that the port is free.
        let (pid, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let address = format!("127.{}.{}.{}", 78 + number, (pid >> 8) & 0xff, pid & 0xff);
        let env = worker.read("etc/pibake/node.env").replace("10.0.0.1:6443", &format!("{address}:6443"));
        worker.put("etc/pibake/node.env", &env);
        let listener = TcpListener::bind((address.as_str(), PORT)).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let (program, root) = (first.path("program/hand-out"), first.path("root"));
        let is_over = Arc::clone(&ends);
        let server = thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let stream = OwnedFd::from(stream.unwrap());
                let mut hand_out = Command::new(tool_path("dash", "dash"));
                hand_out.arg(&program).env("PIBAKE_ROOT", &root);
                hand_out.stdin(Stdio::from(stream.try_clone().unwrap())).stdout(Stdio::from(stream));
                hand_out.status().unwrap();
            }
        });
        Self { first, worker, address, ends, server: Some(server) }
    }

    fn offer(&self, name: &str, content: &[u8]) {
        let dir = self.first.path("root/var/lib/pibake/sealed");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), content).unwrap();
    }

    fn fetch(&self) -> Ran {
        self.worker.run_program(&self.worker.path("program/fetch-copy"))
    }

    fn copies(&self) -> Vec<String> {
        let dir = self.worker.path("root/var/lib/pibake/copies");
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn the_newest_copies_are_on_another_node_too() {
    let pair = Pair::new();
    let ran = pair.fetch();
    assert!(
        ran.code == Some(1) && ran.said.contains("the control plane does not hand one out"),
        "{}",
        ran.said
    );
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for day in 1..=5 {
        pair.offer(&format!("2026110{day}T000000Z.tar.gpg"), &content);
        // The second time there is nothing to do.
        for said in [format!("fetched 2026110{day}T000000Z.tar.gpg\n"), String::new()] {
            let ran = pair.fetch();
            assert_eq!((ran.code, ran.said), (Some(0), said));
        }
    }
    let kept = [3, 4, 5].map(|day| format!("2026110{day}T000000Z.tar.gpg"));
    assert_eq!(pair.copies(), kept);
    let file = pair.worker.path("root/var/lib/pibake/copies").join(&kept[2]);
    assert!(fs::read(&file).unwrap() == content);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_not_the_copy_that_was_offered_is_not_kept() {
    let pair = Pair::new();
    pair.offer("20261101T000000Z.tar.gpg", b"a copy");
    assert_eq!(pair.fetch().code, Some(0));
    let good = pair.copies();
    let refused = |why: &str| {
        let ran = pair.fetch();
        assert!(ran.code == Some(1) && ran.said.contains(why), "{why}: {:?} {}", ran.code, ran.said);
        assert_eq!(pair.copies(), good, "{why}");
    };
    // A name that would lead elsewhere, and one that no node gives.
    for name in ["x.tar.gpg", "20261102T000000Z;x.tar.gpg"] {
        pair.offer(name, b"another");
        refused("what the control plane offers is not one");
    }
    pair.offer("20261102T000000Z.tar.gpg", b"another");
    support::put_program(
        &pair.worker.path("bin/df"),
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available'\necho '/dev/x 100 90 10'\n",
    );
    refused("not enough free space");
    fs::remove_file(pair.worker.path("bin/df")).unwrap();
    // A line that is cut off in the middle.
    let cat = "#!/bin/sh\nexec head -c 3 \"$1\"\n";
    support::put_program(&pair.first.path("program/cat"), cat);
    let script = pair.first.path("program/hand-out");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, text.replace("exec cat", "exec \"$(dirname \"$0\")/cat\"")).unwrap();
    refused("it did not come to its end");
    // Another one than was offered, of the same size.
    support::put_program(&pair.first.path("program/cat"), "#!/bin/sh\ntr a b <\"$1\"\n");
    refused("it is not the one that was offered");
    fs::write(&script, text).unwrap();
    assert_eq!(pair.fetch().code, Some(0));
    // A node whose first boot is not over asks nobody.
    fs::remove_file(pair.worker.path("root/var/lib/pibake/first-boot/complete")).unwrap();
    pair.offer("20261103T000000Z.tar.gpg", b"another");
    assert_eq!((pair.fetch().code, pair.copies().len()), (Some(0), 2));
}

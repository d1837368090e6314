//! A cache on a disk that is too small, or fills up meanwhile.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use support::fetching::{Machine, Outcome, image, sha256, until, xz};
use support::http::{Fault, File, Gate, Server};
use support::tool_path;

const PATH: &str = "/some.img.xz";
const MIB: u64 = 1 << 20;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("base::too_little_room_is_found_before", too_little_room_is_found_before),
        trial("base::a_disk_that_fills_up_while_unpacking", a_disk_that_fills_up_while_unpacking),
        trial("base::a_disk_that_fills_up_while_downloading", a_disk_that_fills_up_while_downloading),
    ]
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        test();
        Ok(())
    })
}

/// Runs `pibake fetch`, then makes room, lists what was left, and runs it once more.
const SCRIPT: &str = r#"
cache=$1 small=$2 large=$3 work=$4
shift 4
mount -t tmpfs -o "size=$small" tmpfs "$cache"
"$@" >"$work/1.out" 2>"$work/1.err"
echo $? >"$work/1.code"
rm -f "$cache/filler"
(cd "$cache/pibake" && find images downloads -type f -printf '%p %s\n' | sort) >"$work/left"
mount -o "remount,size=$large" "$cache"
"$@" >"$work/2.out" 2>"$work/2.err"
echo $? >"$work/2.code"
"#;

/// A machine whose cache lies on a small disk of its own, which nobody else sees and which is gone
/// with the last process that runs there.
struct Small {
    machine: Machine,
}

impl Small {
    fn new() -> Self {
        let machine = Machine::new();
        std::fs::create_dir(machine.path().join("cache")).unwrap();
        Self { machine }
    }

    fn start(&self, (small, large): (u64, u64), arguments: &[&str]) -> Child {
        let fetch = self.machine.command(&[&["fetch", "--json"], arguments].concat());
        let mut command = Command::new(tool_path("unshare", "util-linux"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]);
        command.arg(self.machine.path().join("cache")).args([small.to_string(), large.to_string()]);
        command.arg(self.machine.path()).arg(fetch.get_program()).args(fetch.get_args());
        command.envs(fetch.get_envs().filter_map(|(n, v)| Some((n, v?)))).stdin(Stdio::null());
        command.current_dir(self.machine.path());
        command.spawn().unwrap()
    }

    /// The first run, what it left, and the second run, which had room.
    fn end(&self, mut child: Child) -> (Outcome, String, Outcome) {
        assert!(child.wait().unwrap().success());
        let read = |name: &str| std::fs::read_to_string(self.machine.path().join(name)).unwrap();
        let outcome = |n: u8| Outcome {
            code: read(&format!("{n}.code")).trim().parse().unwrap(),
            stdout: read(&format!("{n}.out")),
            stderr: read(&format!("{n}.err")),
        };
        (outcome(1), read("left"), outcome(2))
    }
}

fn too_little_room_is_found_before() {
    let (server, packed) = (Server::start(), xz(&image(140)));
    server.put(PATH, File::new(&packed));
    let digest = sha256(&packed);
    let small = Small::new();
    let url = server.url(PATH);
    let sizes = (packed.len() as u64 + MIB / 4, 16 * MIB);
    let (first, left, second) = small.end(small.start(sizes, &[&url, "--sha256", &digest]));
    first.bad(1, "not enough free space in");
    assert!(
        first.stderr.contains("available, about") && first.stderr.contains("free some"),
        "{}",
        first.stderr
    );
    assert_eq!(left, "");
    second.good();

    // of a release it is known before how large it is
    let small = Small::new();
    let mirror = server.url("/mirror");
    small.machine.put("pibake.toml", format!("[base]\nmirror = {mirror:?}\n").as_bytes());
    let name = "/mirror/20.04.5/release/ubuntu-20.04.5-preinstalled-server-arm64+raspi.img.xz";
    server.put(name, File::new(&packed));
    let (first, left, _) = small.end(small.start((64 * MIB, 65 * MIB), &["--sha256", &digest]));
    first.bad(1, "64.0 MiB available, about 3.2 GiB needed");
    assert_eq!(left, "");

    // and of a local .xz by its index
    let small = Small::new();
    let path = small.machine.put("some.img.xz", &packed);
    let (first, left, second) = small.end(small.start((MIB, 4 * MIB), &[&path]));
    first.bad(1, "available, about 2.0 MiB needed");
    assert_eq!(left, "");
    second.good();
}

fn a_disk_that_fills_up_while_unpacking() {
    let mut raw = image(141);
    // packs to almost nothing
    raw.resize(30 << 20, b'x');
    let (server, packed) = (Server::start(), xz(&raw));
    server.put(PATH, File::new(&packed));
    let small = Small::new();
    let (url, digest) = (server.url(PATH), sha256(&packed));
    let sizes = (8 * MIB, 64 * MIB);
    let (first, left, second) = small.end(small.start(sizes, &[&url, "--sha256", &digest]));
    first.bad(1, "not enough free space in");
    assert!(!left.contains("images/"), "{left}");
    assert_eq!(second.good()["bytes"], raw.len());
    // what had come was not fetched twice
    let came = left.lines().find_map(|l| l.split_once(".part ")).map(|(_, size)| size.to_owned());
    let came: usize = came.expect("the download is kept").parse().unwrap();
    let seen = server.seen(PATH);
    if came < packed.len() {
        assert_eq!(seen[1].range().0, Some(&*format!("bytes={came}-")));
    } else {
        assert_eq!(seen.len(), 1);
    }
}

fn a_disk_that_fills_up_while_downloading() {
    let mut raw = image(142);
    for seed in 143..149 {
        raw.extend(image(seed));
    }
    let (server, packed) = (Server::start(), xz(&raw));
    let (size, half) = (packed.len() as u64, packed.len() as u64 / 2);
    server.put(PATH, File::new(&packed));
    let gate = Gate::new();
    server.fail(PATH, &[Fault::Hold(half, Arc::clone(&gate))]);
    let small = Small::new();
    let (url, digest) = (server.url(PATH), sha256(&packed));
    let total = 2 * size + raw.len() as u64;
    let child = small.start((total, total + MIB), &[&url, "--sha256", &digest]);
    gate.reached();
    // its mounts are seen through the process alone
    let there = |path: &str| {
        let cache = small.machine.path().join("cache").join(path);
        std::path::PathBuf::from(format!("/proc/{}/root{}", child.id(), cache.display()))
    };
    let part = there(&format!("pibake/downloads/{digest}.part"));
    until("half is on the disk", || std::fs::metadata(&part).is_ok_and(|m| m.len() == half));
    let filler = std::fs::File::create(there("filler")).unwrap();
    // what is not written to the image yet goes on until nothing is left
    until("the disk is full", || {
        let room = rustix::fs::fstatvfs(&filler).unwrap();
        let some = (room.f_bavail * room.f_frsize).clamp(1, MIB) as usize;
        std::io::Write::write_all(&mut &filler, &vec![1; some]).is_err()
    });
    // as long as it is open it takes its room
    drop(filler);
    gate.open();
    let (first, left, second) = small.end(child);
    first.bad(1, "not enough free space in");
    assert!(!left.contains("images/") && left.contains(".part "), "{left}");
    second.good();
    let range = server.seen(PATH)[1].range().0.unwrap().to_owned();
    let from: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!(from >= half, "{range}: what had come was fetched again");
}

//! `make bench`: pibake as a whole process beside what people would do without it, in one run on
//! one machine. How to read the table: docs/performance.md.
//!
//! Every figure is a ratio to a peer that ran in turn with it, so that other load and a slow disk
//! meet both; nothing here fails because a machine is slow.

mod bake;
mod base;
mod cards;
mod copies;
mod downloads;
mod fleets;
mod grow;
mod kernel;
mod limits;
mod loops;
mod memory;
mod mounted;
mod packed;
mod payload;
mod peers;
mod process;
mod report;
mod work;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use report::Report;
use work::Work;

/// A part of the benchmark: its name, what it measures, and itself.
type Part = (&'static str, &'static str, fn(&Work, &mut Report));

const PARTS: [Part; 12] = [
    ("first", "the first build of four images, from the .xz", copies::first),
    ("later", "a later build of four images, from the cache", copies::later),
    ("reflink", "the same where files can share blocks (XFS; needs root)", copies::reflink),
    ("bake", "one node, from recipe to checked overlay", bake::bake),
    ("grow", "the root file system made to fill a card of 16 GiB", grow::grow),
    ("downloads", "forty packages from loopback", downloads::downloads),
    ("payload", "four images with 400 MB preloaded", payload::payload),
    ("cards", "one card beside other programs, several at once (loop devices; needs root)", cards::cards),
    ("packed", "one card from the .xz, in no cache (loop devices; needs root)", packed::packed),
    ("fleets", "a cluster in a registry on loopback: push, pull, flash", fleets::fleets),
    ("scale", "a thousand nodes in one registry, twenty stations", fleets::scale),
    ("memory", "peak memory, by the size of the image and the number of nodes", memory::memory),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == process::MEASURE) {
        return process::measure(&arguments[1..]);
    }
    // cargo bench says so to every harness
    arguments.retain(|a| a != "--bench");
    let json = arguments.iter().any(|a| a == "--json");
    let rounds = arguments.iter().find_map(|a| a.strip_prefix("--rounds=")).map(str::parse);
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let unknown = names.iter().find(|name| !PARTS.iter().any(|(part, ..)| part == **name));
    let flags = |a: &&String| a.starts_with("--") && *a != "--json" && !a.starts_with("--rounds=");
    let rounds = match (rounds, unknown.copied().or_else(|| arguments.iter().find(flags))) {
        (None, None) => 5,
        (Some(Ok(n @ 1..)), None) => n,
        (Some(_), None) => return usage("--rounds= takes a number from 1 on"),
        (_, Some(what)) => return usage(&format!("there is no part {what:?}")),
    };

    if rustix::process::geteuid().is_root() && std::env::var_os(IN_NAMESPACE).is_none() {
        enter_namespace();
    }
    process::end_on_signals();
    let work = Work::new(rounds);
    let mut report = Report::new(rounds);
    for (name, what, run) in PARTS {
        if names.is_empty() || names.iter().any(|n| *n == name) {
            eprintln!("== {name}: {what}");
            process::go_on();
            run(&work, &mut report);
        }
    }
    let path = work.dir().join("results.json");
    let text = report.json();
    std::fs::write(&path, &text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if json {
        println!("{text}");
    } else {
        println!("{report}\nAs JSON: {}", path.display());
    }
    ExitCode::SUCCESS
}

/// Set where the benchmark is in a mount namespace of its own.
const IN_NAMESPACE: &str = "PIBAKE_BENCH_MOUNT_APART";

/// Begins anew in a mount namespace of its own: what is mounted there is gone when the benchmark
/// ends, also when it is killed.
fn enter_namespace() -> ! {
    let program = std::env::current_exe().expect("the path of this program");
    let mut unshare = Command::new(support::tool_path("unshare", "util-linux"));
    unshare.args(["--mount", "--propagation", "private", "--"]).arg(program);
    let failed = unshare.args(std::env::args_os().skip(1)).env(IN_NAMESPACE, "1").exec();
    panic!("unshare: {failed}");
}

fn usage(why: &str) -> ExitCode {
    eprintln!(
        "{why}\nusage: make bench [BENCH='PART... [--rounds=N] [--json]']; all parts without one named"
    );
    for (name, what, _) in PARTS {
        eprintln!("  {name:9} {what}");
    }
    ExitCode::from(2)
}

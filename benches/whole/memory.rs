//! Peak memory of whole builds.

use crate::copies::build;
use crate::process::Run;
use crate::report::{Report, Row};
use crate::work::{Work, clear};

/// The limit in bytes, whatever is built.
const LIMIT: u64 = 256 << 20;

/// Nodes that are built to see whether their number shows.
const MANY: u32 = 40;

pub fn memory(work: &Work, report: &mut Report) {
    let scratch = work.scratch();
    let (ours, cache) = (scratch.path().join("ours"), scratch.path().join("cache"));
    let mut measure = |what: &str, base, nodes, format, cold: bool| {
        let runs: Vec<Run> = (0..work.rounds.min(3))
            .map(|_| {
                clear(&ours);
                if cold {
                    clear(&cache);
                }
                build(&ours, base, &cache, nodes, format)
            })
            .collect();
        clear(&ours);
        report.row(Row::limit_memory(&format!("{what}, {nodes} nodes, {format}"), LIMIT, &runs));
    };
    let (small, large) = (&work.small().packed, &work.large().packed);
    measure("first build, 1 GiB", small, 4, "raw", true);
    measure("later build, 1 GiB", small, 4, "raw", false);
    measure("first build, 1 GiB", small, MANY, "raw", true);
    measure("later build, 1 GiB", small, MANY, "raw", false);
    measure("first build, 3.3 GiB", large, 4, "raw", true);
    measure("later build, 3.3 GiB", large, 4, "raw", false);
    measure("later build, 1 GiB", small, 4, "qcow2", false);
    measure("later build, 1 GiB", small, 4, "zst", false);
    measure("later build, 1 GiB", small, 1, "xz", false);
}

//! A cluster in a registry on loopback: pushed and pulled beside skopeo, flashed beside a flash from the cache; and how
//! much many nodes, many stations and a long index take.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use pibake::fleet::Listing;
use serde_json::{Value, json};
use support::registry::Registry;
use support::{run, tool};

use crate::bake::timed;
use crate::cards::RATE;
use crate::copies::{PIBAKE, in_turn};
use crate::limits::Limits;
use crate::loops::{CARD, Card};
use crate::process::{self, Run};
use crate::report::{Report, Row};
use crate::work::{Work, clear};

/// The targets: at least 0.8 times skopeo's speed; hardly slower than from the cache.
const BESIDE_SKOPEO: f64 = 1.25;
const BESIDE_CACHE: f64 = 1.1;
/// What a node of a second cluster may send, in bytes.
const NODE: f64 = 2e6;
/// The limit of memory in bytes, however many nodes.
const MEMORY: u64 = 256 << 20;

/// Clusters, nodes of each, and stations that pull at once.
const CLUSTERS: u32 = 10;
const NODES: u32 = 100;
const STATIONS: u32 = 20;
/// Entries of the long index.
const LONG: usize = 10_000;

/// A machine that pushes or pulls, with a home of its own, in a folder.
struct Machine {
    home: PathBuf,
    config: PathBuf,
    folder: PathBuf,
}

impl Machine {
    fn new(scratch: &Path, name: &str) -> Self {
        let home = scratch.join(name);
        clear(&home);
        Self { config: home.join("config"), folder: home.clone(), home }
    }

    /// The same one in another folder, where another cluster is described.
    fn within(&self, name: &str) -> Self {
        let folder = self.home.join(name);
        clear(&folder);
        Self { home: self.home.clone(), config: self.config.clone(), folder }
    }

    /// Another one, with the same keys.
    fn beside(&self, name: &str) -> Self {
        let home = self.home.with_file_name(name);
        clear(&home);
        Self { config: self.config.clone(), folder: home.clone(), home }
    }

    fn environment(&self) -> [(&'static str, PathBuf); 3] {
        let cache = self.home.join("cache");
        [("HOME", self.home.clone()), ("XDG_CONFIG_HOME", self.config.clone()), ("XDG_CACHE_HOME", cache)]
    }

    fn run(&self, program: &str, words: &[&str]) -> Run {
        let environment = self.environment();
        let environment: Vec<_> = environment.iter().map(|(name, path)| (*name, path.as_path())).collect();
        process::run(&self.folder, program, words, &environment)
    }

    /// What pibake prints, as a document.
    fn document(&self, words: &[&str]) -> Value {
        let mut command = Command::new(PIBAKE);
        command.arg("--json").args(words).envs(self.environment()).current_dir(&self.folder);
        serde_json::from_str(&run(&mut command)).expect("a document")
    }

    fn field(&self, words: &[&str], field: &str) -> String {
        self.document(words)[field].as_str().expect("a text").to_owned()
    }
}

/// One who pushes, one whose cards these are, and what is pushed.
struct Shop<'a> {
    base: &'a str,
    owner: Machine,
    station: Machine,
    key: String,
}

impl<'a> Shop<'a> {
    fn new(scratch: &Path, base: &'a str) -> Self {
        let (owner, station) = (Machine::new(scratch, "owner"), Machine::new(scratch, "station"));
        let key = station.field(&["key"], "public");
        Self { base, owner, station, key }
    }

    fn push_words<'w>(&'w self, name: &'w str, nodes: &'w str) -> [&'w str; 8] {
        ["push", name, "--base", self.base, "--nodes", nodes, "--recipient", &self.key]
    }

    /// Puts a cluster there that the station trusts; what was sent.
    fn push(&self, name: &str, nodes: &str) -> Value {
        let pushed = self.owner.document(&self.push_words(name, nodes));
        self.station.field(&["key", "--trust", pushed["key"].as_str().expect("a key")], "public");
        pushed
    }
}

pub fn fleets(work: &Work, report: &mut Report) {
    let scratch = work.scratch();
    let base = work.large().raw.to_str().expect("a path in UTF-8");
    let shop = Shop::new(scratch.path(), base);
    let registry = Registry::open();
    let name = fleet(&registry, "home");
    shop.push(&name, "4");
    push(work, &shop, &registry, scratch.path(), report);
    pull(work, &shop, &registry, &name, scratch.path(), report);
    flash(work, &shop, &name, scratch.path(), report);
    let second = shop.owner.within("second");
    let pushed = second.document(&shop.push_words(&fleet(&registry, "lab"), "4"));
    let sent = pushed["sent_bytes"].as_f64().expect("a number") / 4.0;
    report.row(Row::limit_bytes("sent for each node of a second cluster", NODE, sent));
}

fn fleet(registry: &Registry, name: &str) -> String {
    format!("oci://{}/{name}", registry.host())
}

fn image(registry: &Registry) -> String {
    format!("docker://{}/home:latest", registry.host())
}

/// To a registry that has nothing: by pibake from the base and the recipes, by skopeo from files that are packed already.
fn push(work: &Work, shop: &Shop, registry: &Registry, scratch: &Path, report: &mut Report) {
    let packed = format!("dir:{}", scratch.join("packed").display());
    let mut copy = tool("skopeo", "skopeo");
    copy.args(["--insecure-policy", "copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false"]);
    run(copy.args([&image(registry), &packed]));
    let (a, b) = in_turn(
        work,
        || {
            let empty = Registry::open();
            shop.owner.run(PIBAKE, &shop.push_words(&fleet(&empty, "home"), "4"))
        },
        || {
            let empty = Registry::open();
            let to = image(&empty);
            skopeo(&shop.owner, &["--preserve-digests", "--dest-tls-verify=false", &packed, &to])
        },
    );
    report.row(Row::times("push of four nodes", "skopeo copy of what is packed", BESIDE_SKOPEO, &a, &b));
    report.row(Row::limit_memory("push of four nodes, peak memory", MEMORY, &a));
}

fn skopeo(machine: &Machine, words: &[&str]) -> Run {
    let program = support::tool_path("skopeo", "skopeo");
    let program = program.to_str().expect("a path in UTF-8");
    machine.run(program, &[&["--insecure-policy", "copy", "-q", "--all"], words].concat())
}

/// One node's image by pibake, on a machine that has nothing; all blobs by skopeo.
fn pull(work: &Work, shop: &Shop, registry: &Registry, name: &str, scratch: &Path, report: &mut Report) {
    let peer = scratch.join("pulled");
    let to = format!("dir:{}", peer.display());
    let from = image(registry);
    let (a, b) = in_turn(
        work,
        || {
            let run = shop.station.run(PIBAKE, &["pull", name, "--node", "1", "-o", "out"]);
            clear(&shop.station.home.join("cache"));
            clear(&shop.station.home.join("out"));
            run
        },
        || {
            clear(&peer);
            let run = skopeo(&shop.station, &["--src-tls-verify=false", &from, &to]);
            let began = Instant::now();
            rustix::fs::syncfs(File::open(&peer).expect("what skopeo made")).expect("syncfs");
            let run = Run { wall: run.wall + began.elapsed().as_secs_f64(), ..run };
            clear(&peer);
            run
        },
    );
    report.row(Row::times(
        "pull of one node, in no cache",
        "skopeo copy of all, sync",
        BESIDE_SKOPEO,
        &a,
        &b,
    ));
    report.row(Row::limit_memory("pull of one node, peak memory", MEMORY, &a));
}

/// A card whose parts come from the registry, beside one whose base is in the cache.
fn flash(work: &Work, shop: &Shop, name: &str, scratch: &Path, report: &mut Report) {
    const WHAT: &str = "one card from a registry, in no cache, written and read back";
    const SLOW: &str = "one card of 80 MB/s from a registry, in no cache, written and read back";
    if !rustix::process::geteuid().is_root() {
        report.skip(WHAT, "loop devices need root");
        return;
    }
    let cards = ["ours", "peer"].map(|name| Card::whole(scratch, name));
    let flash = |machine: &Machine, card: &Card, source: &str, limits: Option<&Limits>| {
        let enter = limits
            .map_or_else(String::new, |limits| format!("echo $$ > '{}'; ", limits.processes().display()));
        let device = card.device.display();
        let digits = CARD % 10_000;
        let script =
            format!("{enter}printf '{digits:04}\\n' | {PIBAKE} flash -q --allow-fixed {source} {device}=1");
        machine.run("/bin/sh", &["-ec", &script])
    };
    let mut pair = |what: &str, target: Option<f64>, limits: Option<&Limits>| {
        let (a, b) = in_turn(
            work,
            || {
                let run = flash(&shop.station, &cards[0], &format!("--from {name}"), limits);
                clear(&shop.station.home.join("cache"));
                run
            },
            || flash(&shop.owner, &cards[1], &format!("--nodes 4 --base {}", shop.base), limits),
        );
        report.row(Row::times(what, "pibake flash from the cache", target, &a, &b));
        report.row(Row::limit_memory(&format!("{what}, peak memory"), MEMORY, &a));
    };
    // unpacking and hashing cost processors what reading a file does not, and such a card hides none of it
    pair(WHAT, None, None);
    match Limits::new(scratch, &cards, RATE) {
        Ok(limits) => pair(SLOW, Some(BESIDE_CACHE), Some(&limits)),
        Err(why) => report.skip(SLOW, &why),
    }
}

/// A thousand nodes in one registry, twenty stations at once, an index of ten thousand nodes.
pub fn scale(work: &Work, report: &mut Report) {
    let scratch = work.scratch();
    let registry = Registry::open();
    let station = Machine::new(scratch.path(), "station");
    let key = station.field(&["key"], "public");
    let nodes = NODES.to_string();
    let owners: Vec<_> = (1..=CLUSTERS)
        .map(|number| (Machine::new(scratch.path(), &format!("owner-{number}")), format!("home-{number}")))
        .collect();
    let pushes: Vec<Run> = owners
        .iter()
        .map(|(owner, name)| {
            let name = fleet(&registry, name);
            let words = ["push", &name, "--base", "sample", "--nodes", &nodes, "--recipient", &key];
            owner.run(PIBAKE, &words)
        })
        .collect();
    let all = pushes.iter().map(|run| run.wall).sum::<f64>();
    report.row(Row::number(&format!("{CLUSTERS} clusters of {NODES} nodes, pushed"), all, "s"));
    report.row(Row::limit_memory("one of them, peak memory", MEMORY, &pushes));
    let stored = size(&registry.data());
    report.row(Row::number("what the registry keeps of them", stored as f64 / 1e6, "MB"));

    let name = fleet(&registry, "home-1");
    let trusted = owners[0]
        .0
        .field(&["push", &name, "--base", "sample", "--nodes", &nodes, "--recipient", &key], "key");
    let began = Instant::now();
    let pulled: Vec<Run> = std::thread::scope(|scope| {
        let stations: Vec<_> = (1..=STATIONS)
            .map(|number| {
                let (station, name, trusted) = (&station, &name, &trusted);
                scope.spawn(move || {
                    let machine = station.beside(&format!("station-{number}"));
                    let words =
                        ["pull", name, "--trust", trusted, "--node", &number.to_string(), "-o", "out"];
                    machine.run(PIBAKE, &words)
                })
            })
            .collect();
        stations.into_iter().map(|station| station.join().expect("a pull")).collect()
    });
    let all = began.elapsed().as_secs_f64();
    report.row(Row::number(&format!("{STATIONS} pulls at once, of one node each"), all, "s"));
    report.row(Row::limit_memory("one of them, peak memory", MEMORY, &pulled));

    let index = long(&registry);
    let read = timed(|| {
        let listing = Listing::read(&index).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(listing.nodes.len(), LONG);
    });
    report.row(Row::number(&format!("an index of {LONG} nodes"), index.len() as f64 / 1e6, "MB"));
    report.row(Row::number("the same, read", read.wall * 1e3, "ms"));
}

/// The index of a cluster, with so many nodes as no cluster has.
fn long(registry: &Registry) -> Vec<u8> {
    let mut inspect = tool("skopeo", "skopeo");
    inspect.args(["inspect", "--raw", "--tls-verify=false"]);
    let text = run(inspect.arg(format!("docker://{}/home-1:latest", registry.host())));
    let mut index: Value = serde_json::from_str(&text).expect("an index");
    let entries = index["manifests"].as_array_mut().expect("a list");
    let is_node = |entry: &Value| entry["annotations"]["vnd.pibake.node"].is_string();
    let like = entries.iter().rfind(|entry| is_node(entry)).expect("a node").clone();
    entries.retain(|entry| !is_node(entry));
    for number in 1..=LONG {
        let mut node = like.clone();
        node["annotations"]["vnd.pibake.node"] = json!(format!("node-{number}"));
        node["annotations"]["vnd.pibake.number"] = json!(number.to_string());
        entries.push(node);
    }
    serde_json::to_vec(&index).expect("JSON")
}

/// What the files below a folder have, in bytes.
fn size(dir: &Path) -> u64 {
    let text = run(tool("du", "coreutils").args(["--summarize", "--bytes"]).arg(dir));
    text.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).expect("a number of bytes")
}

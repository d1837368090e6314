//! Forty packages from a web server on loopback, into the cache, beside curl.

use std::path::Path;

use pibake::apt::{self, Install, Plan};
use pibake::base::{Cache, Digest, Fetcher, Ledger, Patience};
use pibake::io::CancelToken;
use pibake::progress::Silent;
use reqwest::Url;
use support::nginx::Nginx;
use support::tool_path;

use crate::bake::timed;
use crate::copies::in_turn;
use crate::payload::make_files;
use crate::process::shell;
use crate::report::{Report, Row};
use crate::work::{Work, clear};

/// The target, as a share of curl's time: at least 0.8 times its speed.
const TARGET: f64 = 1.25;

/// As many at once as pibake fetches; curl checks no digest.
const CURL: &str = "cd \"$1\"; \"$2\" --parallel --parallel-max 4 --silent --show-error --fail --config \"$3\"; sync \"$1\"/*";

pub fn downloads(work: &Work, report: &mut Report) {
    let scratch = work.scratch();
    let at = |name: &str| scratch.path().join(name);
    let files = make_files(&at("files"));
    let server = Nginx::serve(&at("files"));
    let plan =
        Plan { install: files.iter().map(|file| package(&server, file)).collect(), remove: Vec::new() };
    let config = at("curl.conf");
    let asked: String = plan.install.iter().map(|p| format!("url = \"{}\"\nremote-name\n", p.url)).collect();
    std::fs::write(&config, asked).expect("a list for curl");
    let (ours, peer, curl) = (at("ours"), at("peer"), tool_path("curl", "curl"));
    let get = || {
        clear(&ours);
        let run = timed(|| {
            let fetcher = Fetcher {
                cache: &Cache::open(&ours).expect("a cache"),
                offline: false,
                patience: Patience::default(),
                cancel: CancelToken::default(),
                progress: &Silent,
                ledger: &Ledger::default(),
            };
            let got = apt::files(&fetcher, &plan).expect("all packages");
            assert_eq!(got.len(), files.len());
        });
        clear(&ours);
        run
    };
    let beside = || {
        clear(&peer);
        let run = shell(&peer, CURL, &[&peer, &curl, &config]);
        clear(&peer);
        run
    };
    let (a, b) = in_turn(work, get, beside);
    report.row(Row::times("forty packages of 10 MB, verified", "curl --parallel, sync", TARGET, &a, &b));
}

fn package(server: &Nginx, file: &Path) -> Install {
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
    let bytes = std::fs::read(file).expect("what was made");
    Install {
        package: name.to_owned(),
        replaces: None,
        version: String::from("1"),
        architecture: String::from("all"),
        url: Url::parse(&format!("{}/{name}", server.url())).expect("an address"),
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes),
    }
}

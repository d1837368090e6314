//! The same packages as `apt-get install` would choose.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use pibake::apt::{Pins, Plan, ResolveError, Source, Universe};
use pibake::error::one_line;
use reqwest::Url;
use support::debian::{AptRoot, Simulated, release};
use support::images::put;

use super::world::{Suite, World};

/// As [`Simulated::changes`] has them.
fn changes(plan: &Plan) -> BTreeSet<String> {
    let installed = plan.install.iter().map(|package| match &package.replaces {
        None => format!("install {} {}", package.package, package.version),
        Some(old) => format!("replace {} {old} {}", package.package, package.version),
    });
    let removed = plan.remove.iter().map(|gone| format!("remove {}", gone.package));
    installed.chain(removed).collect()
}

/// Distributions of these suites and this base, once for apt and once for pibake.
struct Both {
    apt: AptRoot,
    universe: Universe,
    pins: Pins,
    _repositories: tempfile::TempDir,
}

impl Both {
    fn new(suites: &[Suite], status: &str, preferences: &str) -> Self {
        let repositories = tempfile::tempdir().unwrap();
        let mut universe = Universe::new("arm64");
        let mut sources = String::new();
        for suite in suites {
            let folder = repositories.path().join(suite.name);
            publish(suite, &folder);
            writeln!(sources, "deb [trusted=yes] file:{} ./", folder.display()).unwrap();
            let source = Source {
                origin: "test".to_owned(),
                label: "test".to_owned(),
                suite: suite.name.to_owned(),
                codename: suite.name.to_owned(),
                root: Some(Url::from_directory_path(&folder).unwrap()),
                not_automatic: suite.not_automatic,
                but_automatic_upgrades: suite.but_automatic_upgrades,
                ..Source::default()
            };
            universe.add_index(suite.packages.as_bytes(), source).unwrap();
        }
        universe.add_status(status.as_bytes()).unwrap();
        let mut pins = Pins::none();
        pins.add(preferences.as_bytes()).unwrap();
        let apt = AptRoot::new("arm64", status, &sources, preferences);
        let out = apt.update();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Self { apt, universe, pins, _repositories: repositories }
    }

    fn stable(packages: &str, status: &str, preferences: &str) -> Self {
        let (not_automatic, but_automatic_upgrades) = (false, false);
        let packages = packages.to_owned();
        Self::new(
            &[Suite { name: "stable", not_automatic, but_automatic_upgrades, packages }],
            status,
            preferences,
        )
    }

    fn ask(&self, requests: &[&str]) -> (Result<Plan, ResolveError>, Simulated) {
        (self.universe.resolve(requests, &self.pins), self.apt.install(requests))
    }
}

fn publish(suite: &Suite, folder: &Path) {
    put(&folder.join("Packages"), &suite.packages);
    let yes = |is: bool| if is { "yes" } else { "no" };
    let fields = [
        ("Origin", "test"),
        ("Label", "test"),
        ("Suite", suite.name),
        ("Codename", suite.name),
        ("NotAutomatic", yes(suite.not_automatic)),
        ("ButAutomaticUpgrades", yes(suite.but_automatic_upgrades)),
    ];
    let text = release(folder, &fields);
    fs::write(folder.join("Release"), text).unwrap();
}

/// What came of a question that apt and pibake were asked.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    /// Of these, how many changed something, and how many changed more than what was asked for.
    changed: usize,
    further: usize,
    both_refuse: usize,
    /// apt searches for a remedy, which pibake does not.
    searched: usize,
    /// apt would change what is on hold, or go back, if it is told so.
    by_force: usize,
}

impl Tally {
    /// Panics where the two disagree.
    fn take(&mut self, requests: &[&str], (ours, apt): (Result<Plan, ResolveError>, Simulated), about: &str) {
        let about = || format!("{about}: {requests:?}\n{ours:?}\n{}", apt.said);
        match (&ours, &apt.changes) {
            (Ok(plan), Some(theirs)) => {
                assert_eq!(&changes(plan), theirs, "{}", about());
                assert_eq!(apt.broken, 0, "{}", about());
                self.same += 1;
                self.changed += usize::from(!theirs.is_empty());
                self.further += usize::from(theirs.len() > requests.len());
            }
            (Err(_), None) => self.both_refuse += 1,
            (Err(ResolveError::Held { name } | ResolveError::Downgrade { name, .. }), Some(theirs)) => {
                let is_it = |change: &String| change.split(' ').nth(1) == Some(name.as_str());
                assert!(theirs.iter().any(is_it), "{}", about());
                self.by_force += 1;
            }
            (Err(ResolveError::Unsatisfiable { .. }), Some(_)) if apt.broken > 0 => self.searched += 1,
            _ => panic!("{}", about()),
        }
    }
}

#[test]
fn made_up_distributions_are_resolved_as_apt_does() {
    let mut tally = Tally::default();
    // 67: a virtual package asked for by its version
    for seed in (0..16).chain([67]) {
        let mut world = World::new(seed);
        let both = Both::new(&world.suites, &world.status, &world.preferences);
        for _ in 0..24 {
            let requests = world.requests();
            let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
            tally.take(&requests, both.ask(&requests), &format!("seed {seed}"));
        }
    }
    println!("{tally:?}");
    // the questions are worth asking
    assert!(tally.changed >= 100 && tally.further >= 60 && tally.both_refuse >= 20, "{tally:?}");
}

/// A stanza as an index has it.
fn package(name: &str, version: &str, more: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: arm64\nMaintainer: the tests <root@localhost>\n{more}\
         Filename: ./{name}_{version}.deb\nSize: 7\nSHA256: {}\nDescription: made up\n\n",
        "ab".repeat(32)
    )
}

/// A stanza as dpkg's status has it.
fn installed(name: &str, version: &str, more: &str) -> String {
    package(name, version, &format!("Status: install ok installed\n{more}"))
}

/// Both give this answer, or refuse.
fn agree(both: &Both, requests: &[&str], expected: Option<&[&str]>) -> Result<Plan, ResolveError> {
    let (ours, apt) = both.ask(requests);
    let expected: Option<BTreeSet<String>> = expected.map(|all| all.iter().map(|&c| c.to_owned()).collect());
    assert_eq!(apt.changes, expected, "{}", apt.said);
    assert_eq!(ours.as_ref().ok().map(changes), expected, "{ours:?}");
    ours
}

#[test]
fn the_ways_to_depend_on_packages_are_taken_as_apt_takes_them() {
    let packages = [
        package("first", "1", "Depends: missing | second, v (>= 2)\n"),
        package("second", "1", ""),
        package("old-provider", "1", "Provides: v (= 1)\n"),
        package("unversioned", "1", "Provides: v\n"),
        package("provider", "1", "Provides: v (= 2)\n"),
        package("any", "1", "Depends: allowed:any, native:arm64\n"),
        package("allowed", "1", "Multi-Arch: allowed\n"),
        package("native", "1", ""),
        package("foreign-only", "1", "Depends: native:armhf\n"),
        package("not-allowed", "1", "Depends: native:any\n"),
        package("recommender", "1", "Recommends: second\nSuggests: provider\n"),
        package("newer", "2", "Breaks: base (<< 2)\n"),
        package("base", "2", ""),
        package("rival", "1", "Conflicts: alone\n"),
        package("alone", "1", ""),
        package("hostile", "1", "Conflicts: base\n"),
        package("phased", "2", "Phased-Update-Percentage: 0\n"),
        package("exact", "1", "Depends: base (= 1)\n"),
    ]
    .concat();
    let status = ["base", "alone", "phased"].map(|name| installed(name, "1", "")).concat();
    let both = Both::stable(&packages, &status, "");
    for (request, expected) in [
        ("first", Some(&["install first 1", "install second 1", "install provider 1"][..])),
        ("any", Some(&["install any 1", "install allowed 1", "install native 1"])),
        ("foreign-only", None),
        ("not-allowed", None),
        ("recommender", Some(&["install recommender 1"])),
        ("newer", Some(&["install newer 2", "replace base 1 2"])),
        ("rival", Some(&["install rival 1", "remove alone"])),
        ("phased", Some(&["replace phased 1 2"])),
        ("base", Some(&["replace base 1 2"])),
        ("base=1", Some(&[])),
        ("exact", Some(&["install exact 1"])),
        ("v", None),
        ("nowhere", None),
        ("base=3", None),
    ] {
        let _ = agree(&both, &[request], expected);
    }
    // apt finds by its search that the base's package can be removed
    let (ours, apt) = both.ask(&["hostile"]);
    assert!(apt.broken > 0 && apt.changes.is_some(), "{}", apt.said);
    let why = one_line(&ours.unwrap_err());
    assert!(why.contains("hostile 1 has Conflicts: base, but 1 is there"), "{why}");
}

#[test]
fn a_version_that_is_asked_for_may_be_a_provided_one() {
    let packages = [
        package("one", "2", "Provides: v (= 5), w (= 7)\n"),
        package("one", "3", "Provides: v (= 6)\n"),
        package("one", "1", "Provides: v (= 5)\n"),
        package("two", "1", "Provides: w (= 7), x\n"),
        package("real", "1", ""),
        package("other", "1", "Provides: real (= 5), y (= 05)\n"),
    ]
    .concat();
    let both = Both::stable(&packages, "", "");
    for (request, expected) in [
        ("v=5", Some(&["install one 1"][..])),
        ("v=6", Some(&["install one 3"])),
        ("v=2", None),
        ("v=5*", None),
        ("w=7", None),
        ("x=1", None),
        ("real=1", Some(&["install real 1"])),
        ("real=5", Some(&["install other 1"])),
        ("y=5", None),
        ("y=05", Some(&["install other 1"])),
    ] {
        let _ = agree(&both, &[request], expected);
    }
}

#[test]
fn which_package_wants_what_is_told() {
    let packages = [
        package("a", "1", "Depends: b\n"),
        package("b", "1", "Depends: c (>= 2) | d\n"),
        package("c", "1", ""),
        package("e", "1", "Depends: f\n"),
        package("f", "1", "Conflicts: g\n"),
        package("g", "1", ""),
        package("h", "1", "Depends: kept (>= 2)\n"),
        package("kept", "2", ""),
        package("i", "1", "Depends: pinned (>= 2)\n"),
        package("pinned", "2", ""),
        package("x", "1", "Provides: v\n"),
        package("y", "1", "Provides: v\n"),
    ]
    .concat();
    let held = installed("kept", "1", "").replace("install ok", "hold ok");
    let both = Both::stable(&packages, &held, "Package: pinned\nPin: version *\nPin-Priority: -1\n");
    for (requests, expected) in [
        (
            &["a"][..],
            "a cannot be installed: a 1 has Depends: b, b 1 has Depends: c (>= 2) | d; of c, there is 1, no repository has d",
        ),
        (&["e", "g"], "e, g cannot be installed: f 1 has Conflicts: g; that is g 1, which is needed, too"),
        (&["h"], "kept is on hold on the base, which keeps 2 away"),
        (&["i"], "i 1 has Depends: pinned (>= 2); pins keep pinned 2 away"),
        (&["pinned"], "there is no version that the pins allow of pinned, only 2"),
        (&["v"], "v is not a package of its own: ask for one of x, y"),
        (&["c=3"], "there is no version 3 of c, only 1"),
        (&["zzz"], "no repository has a package zzz"),
    ] {
        let error = agree(&both, requests, None).unwrap_err();
        assert!(one_line(&error).contains(expected), "{}", one_line(&error));
    }
}

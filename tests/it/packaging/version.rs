//! `pibake --version`: which commit a program is of, asked of checkouts, crates and neither.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{ROOT, commit, git};
use pibake::cluster::WRITTEN;
use support::run;

/// A checkout with one commit of one file; returns that commit.
fn checkout(dir: &Path) -> String {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("Cargo.toml"), "[package]\n").unwrap();
    run(git(dir).args(["init", "-q"]));
    run(git(dir).args(["add", "."]));
    run(git(dir).args(["commit", "-q", "-m", "first"]));
    head(dir)
}

fn head(dir: &Path) -> String {
    run(git(dir).args(["rev-parse", "HEAD"])).trim().to_owned()
}

#[test]
fn a_checkout_is_of_its_commit_and_says_when_it_differs() {
    let dir = tempfile::tempdir().unwrap();
    let first = checkout(dir.path());
    assert_eq!(commit::commit(dir.path()).as_deref(), Some(&first[..12]));

    // what is merely beside it is no difference
    fs::write(dir.path().join("notes"), "").unwrap();
    assert_eq!(commit::commit(dir.path()).as_deref(), Some(&first[..12]));
    fs::write(dir.path().join("Cargo.toml"), "[package]\n\n").unwrap();
    assert_eq!(commit::commit(dir.path()).unwrap(), format!("{}-modified", &first[..12]));

    run(git(dir.path()).args(["commit", "-q", "-a", "-m", "second"]));
    assert_eq!(commit::commit(dir.path()).as_deref(), Some(&head(dir.path())[..12]));
    assert_ne!(head(dir.path()), first);
}

#[test]
fn a_new_commit_is_noticed_in_a_checkout_and_in_a_second_work_tree() {
    let dir = tempfile::tempdir().unwrap();
    let (main, second) = (dir.path().join("main"), dir.path().join("second"));
    checkout(&main);
    run(git(&main).args(["worktree", "add", "-q", "-b", "other"]).arg(&second));
    for checkout in [main, second] {
        let contents = || -> Vec<Vec<u8>> {
            commit::watched(&checkout).iter().map(|path| fs::read(path).unwrap()).collect()
        };
        let before = contents();
        assert!(!before.is_empty());
        run(git(&checkout).args(["commit", "-q", "--allow-empty", "-m", "again"]));
        assert_ne!(contents(), before, "{}", checkout.display());
        assert_eq!(commit::commit(&checkout).as_deref(), Some(&head(&checkout)[..12]));
    }
}

#[test]
fn sources_that_were_unpacked_in_another_repository_are_not_of_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    checkout(dir.path());
    let below = dir.path().join("vendor/pibake");
    fs::create_dir_all(&below).unwrap();
    assert_eq!(commit::commit(&below), None);
    assert!(commit::watched(&below).is_empty());

    let alone = tempfile::tempdir().unwrap();
    assert_eq!(commit::commit(alone.path()), None);
    // a folder of that name is no repository
    fs::create_dir(alone.path().join(".git")).unwrap();
    assert_eq!(commit::commit(alone.path()), None);
}

#[test]
fn a_crate_is_of_the_commit_that_it_was_packed_from() {
    const SHA1: &str = "59807616e1fa2540724bfbac14d7976d7e4a3860";
    let dir = tempfile::tempdir().unwrap();
    let info = |text: &str| {
        fs::write(dir.path().join(".cargo_vcs_info.json"), text).unwrap();
        commit::commit(dir.path())
    };
    // as cargo package writes it
    let clean = format!("{{\n  \"git\": {{\n    \"sha1\": \"{SHA1}\"\n  }},\n  \"path_in_vcs\": \"\"\n}}");
    assert_eq!(info(&clean).unwrap(), "59807616e1fa");
    let dirty = clean.replace("\n  },", ",\n    \"dirty\": true\n  },");
    assert_eq!(info(&dirty).unwrap(), "59807616e1fa-modified");
    for damaged in
        ["", "{}", "{\"git\":{\"sha1\"", "{\"git\":{\"sha1\":\"59807616\"}}", &clean.replace("598", "é98")]
    {
        assert_eq!(info(damaged), None, "{damaged}");
    }
    // the crate's own word goes first, also where it lies in a checkout
    checkout(dir.path());
    assert_eq!(info(&clean).unwrap(), "59807616e1fa");
}

#[test]
fn the_program_says_its_version_and_its_build() {
    for flag in ["--version", "-V"] {
        let said = run(std::process::Command::new(env!("CARGO_BIN_EXE_pibake")).arg(flag));
        let rest = said.strip_prefix(concat!("pibake ", env!("CARGO_PKG_VERSION"))).unwrap();
        let build = rest.trim_end();
        let commit = |text: &str| {
            let text = text.strip_suffix("-modified").unwrap_or(text);
            text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let inside = build.strip_prefix(" (").and_then(|text| text.strip_suffix(')'));
        assert!(
            build.is_empty() || inside.is_some_and(|text| text == "debug build" || commit(text)),
            "{said}"
        );
    }
}

/// No certificate is made by a clock that is before that day, so the day must not stay behind, nor run ahead.
#[test]
fn the_day_that_it_was_written_on_is_not_before_its_release() {
    let day = WRITTEN.to_string();
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let changelog = read("CHANGELOG.md");
    for date in released(&changelog) {
        assert!(
            date <= day.as_str(),
            "WRITTEN in src/cluster/support.rs is {day}, and a release is of {date}"
        );
    }
    assert_eq!(
        released("## [Unreleased]\n- x\n\n## [0.2.0] - 2026-12-01\n").collect::<Vec<_>>(),
        ["2026-12-01"]
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let begun = WRITTEN.midnight().assume_utc().unix_timestamp();
    assert!(begun <= now, "{day} is to come: clocks that are right would be refused");
    // Its clock stands, and pibake must take it for a right one.
    let script = read("tests/first-hour");
    let stands = script.lines().find_map(|line| line.strip_prefix("DAY = \"")).unwrap();
    assert!(stands >= day.as_str(), "set DAY in tests/first-hour to a day after {day}");
}

/// The days of all releases that are told.
fn released(changelog: &str) -> impl Iterator<Item = &str> {
    changelog.lines().filter_map(|line| Some(line.strip_prefix("## [")?.split_once("] - ")?.1))
}

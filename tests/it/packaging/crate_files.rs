//! `cargo package`: what is in the crate.

use std::collections::BTreeSet;
use std::process::Command;

use super::{ROOT, git};
use support::run;

#[test]
fn the_crate_has_what_the_program_is_made_of_and_nothing_else() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).args(["package", "--list", "--allow-dirty", "--offline", "--locked"]);
    let listed = run(&mut cargo);
    let listed: BTreeSet<&str> = listed.lines().collect();

    let mut git = git(std::path::Path::new(ROOT));
    // the checkout may belong to another user than the test
    let tracked =
        run(git.args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]));
    let of_the_program = |path: &&str| {
        let source = path.starts_with("src/") && !path.contains("/snapshots/");
        source || ["overlays/", "cloud-init/", "build/", "docs/man/"].iter().any(|dir| path.starts_with(dir))
    };
    let wanted: BTreeSet<&str> = tracked.lines().filter(of_the_program).collect();
    assert!(wanted.len() > 300);
    let missing: Vec<_> = wanted.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the crate: {missing:?}");

    let others: BTreeSet<&str> = listed.difference(&wanted).copied().collect();
    let expected = BTreeSet::from([
        ".cargo_vcs_info.json",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SECURITY.md",
        "build.rs",
        "docs/pibake.schema.json",
    ]);
    assert_eq!(others, expected);
}

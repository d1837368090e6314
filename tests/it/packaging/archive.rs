//! The archive of a release, the licences in it, and the text of the release.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{ROOT, script};
use support::{run, tool};

const PIBAKE: &str = env!("CARGO_BIN_EXE_pibake");

#[test]
fn what_is_installed_below_a_prefix_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    // the packing itself is that of tar and gzip; compressing 70 MB of debug build would take a minute
    run(script("install-files").args([PIBAKE.as_ref(), dir.path()]));
    let share = dir.path().join("share");
    for (shell, file) in [
        ("bash", "bash-completion/completions/pibake"),
        ("zsh", "zsh/site-functions/_pibake"),
        ("fish", "fish/vendor_completions.d/pibake.fish"),
    ] {
        let printed = run(Command::new(PIBAKE).args(["completions", shell]));
        assert_eq!(fs::read_to_string(share.join(file)).unwrap(), printed);
    }
    let pages = fs::read_dir(share.join("man/man1")).unwrap().count();
    assert_eq!(pages, fs::read_dir(Path::new(ROOT).join("docs/man")).unwrap().count());
    // man itself reads each page without a complaint
    for page in fs::read_dir(share.join("man/man1")).unwrap() {
        let path = page.unwrap().path();
        let mut man = tool("man", "man-db");
        man.args(["--warnings", "-E", "UTF-8", "-l"]).arg(&path).env("MANPAGER", "cat").env("MANWIDTH", "80");
        let out = man.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() && said.is_empty(), "{}: {said}", path.display());
        assert!(String::from_utf8_lossy(&out.stdout).contains("pibake"));
    }
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir.path().join("bin/pibake")), 0o755);
    assert_eq!(mode(&share.join("doc/pibake/README.md")), 0o644);
    assert_eq!(mode(&share), 0o755);
}

#[test]
fn licences_of_all_crates_in_the_program_are_passed_on() {
    let printed = run(&mut script("third-party"));
    // what is linked on the machine that asks: a judge that walks the graph in its own way
    let tree = run(Command::new(env!("CARGO")).current_dir(ROOT).args([
        "tree",
        "--offline",
        "--locked",
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "-p",
        "pibake",
    ]));
    let mut crates = 0;
    for line in tree.lines().filter(|line| !line.starts_with("pibake ")) {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap().trim_start_matches('v'));
        let head = format!("\n{name} {version}: ");
        let (_, rest) = printed.split_once(&head).unwrap_or_else(|| panic!("{name} {version} is missing"));
        let licence = rest.lines().next().unwrap();
        assert!(licence != "None" && !licence.is_empty(), "{name}: {licence}");
        crates += 1;
    }
    assert!(crates > 100, "{crates}");
    for text in
        ["Permission is hereby granted, free of charge", "Apache License", "Redistribution and use in source"]
    {
        assert!(printed.contains(text), "{text}");
    }
    // what only tests or builds is not passed on
    for absent in ["\nproptest ", "\ninsta ", "\nclap_mangen "] {
        assert!(!printed.contains(absent), "{absent}");
    }
}

#[test]
fn the_text_of_a_release_is_what_the_changelog_says_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let changelog = dir.path().join("CHANGELOG.md");
    let text = "# Changelog\n\n## [Unreleased]\n\n## [1.10.0] - 2026-03-01\n\n### Added\n- Ten.\n\n  More.\n\n\
                ## [1.1.0] - 2026-02-01\n\n### Fixed\n- One [link].\n\n## [1.1.0-rc.1] - 2026-01-01\n\n- Early.\n\n\
                [link]: https://example.com\n";
    fs::write(&changelog, text).unwrap();
    let notes = |version: &str| {
        let out = script("release-notes").env("CHANGELOG", &changelog).arg(version).output().unwrap();
        let text = if out.status.success() { out.stdout } else { out.stderr };
        (out.status.success(), String::from_utf8(text).unwrap())
    };
    assert_eq!(notes("1.10.0"), (true, "### Added\n- Ten.\n\n  More.\n".into()));
    assert_eq!(notes("1.1.0"), (true, "### Fixed\n- One [link].\n".into()));
    assert_eq!(notes("1.1.0-rc.1"), (true, "- Early.\n".into()));
    // a version without a section, or with nothing in it, is no release
    for version in ["1.1", "0.1.0", "1.1.0-rc.2", "Unreleased", "1.1?0"] {
        let (done, said) = notes(version);
        assert!(!done && said.contains("CHANGELOG.md has no section"), "{version}: {said}");
    }
}

/// What is missing is said before anything is compiled, and nothing is left behind.
#[test]
fn a_release_is_not_begun_for_what_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    for (target, said) in [
        ("x86_64-unknown-linux-gnu", "is not static"),
        ("riscv64gc-unknown-linux-musl", "rustup target add riscv64gc-unknown-linux-musl"),
    ] {
        let out = script("dist").env("OUT", dir.path().join("dist")).arg(target).output().unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && stderr.contains(said), "{target}: {stderr}");
        assert!(!dir.path().join("dist").exists());
    }
}

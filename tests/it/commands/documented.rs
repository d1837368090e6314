//! The command lines that the pages have people type, run as they stand wherever that takes no network, no
//! card and no cluster. What the others say is parsed by a test of the command line itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::pages::{CommandLine, command_lines, pages};
use support::{run, tool};

const PIBAKE: &str = env!("CARGO_BIN_EXE_pibake");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Why a line is not run here.
fn needs(words: &[String]) -> Option<&'static str> {
    let has = |word: &str| words.iter().any(|other| other == word);
    let base = words.iter().skip_while(|word| *word != "--base").nth(1);
    if words.iter().any(|word| word.starts_with("/dev/")) {
        return Some("a card");
    }
    if words.iter().any(|word| word.starts_with("oci://")) {
        return Some("a registry");
    }
    match words[1].as_str() {
        "fetch" | "update" | "vendor" => Some("the network"),
        "plan" | "build" if has("--preload") => Some("the network"),
        "plan" | "build" if base.is_some_and(|base| base != "sample" && !base.starts_with("./")) => {
            Some("the network")
        }
        "boot" => Some("an image that boots"),
        "ssh" | "status" | "backup" | "restore" | "remove" | "upgrade" => Some("a cluster"),
        "token" if has("new") || has("revoke") => Some("a cluster"),
        "kubeconfig" if has("--renew") => Some("a cluster"),
        "init" | "plan" | "build" | "drives" | "inspect" | "verify" | "logs" | "token" | "kubeconfig"
        | "key" | "completions" => None,
        other => panic!("say here whether `pibake {other}` can be run in a test"),
    }
}

/// A folder as a reader of the page has it by then: a description over the sample, its images, a base of
/// their own, an overlay.
fn project(dir: &Path, is_new: bool) {
    fs::write(dir.join("pibake.toml"), "[base]\nimage = \"sample\"\n").unwrap();
    let packed = fs::File::open(Path::new(ROOT).join("src/base/sample.img.xz")).unwrap();
    let base = fs::File::create(dir.join("mine.img")).unwrap();
    run(tool("xz", "xz-utils").arg("-dc").stdin(packed).stdout(base));
    if !is_new {
        run(pibake(dir).arg("build"));
    }
}

fn pibake(dir: &Path) -> Command {
    let mut command = Command::new(PIBAKE);
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("XDG_CACHE_HOME", dir.join("cache"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("KUBECONFIG");
    command
}

#[test]
fn lines_of_the_documentation_run() {
    let (mut done, mut left) = (0, 0);
    let projects = [false, true].map(|is_new| {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), is_new);
        dir
    });
    for page in pages(Path::new(ROOT)) {
        for CommandLine { place, words, to_be_typed } in command_lines(&page) {
            if !to_be_typed {
                continue;
            }
            if needs(&words).is_some() {
                left += 1;
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let line = words.join(" ");
            if words[1] != "init" {
                let is_new = words.iter().any(|word| word == "--new-cluster");
                let made = projects[usize::from(is_new)].path().join(".");
                run(Command::new("cp").args(["-a", "--sparse=always"]).arg(made).arg(dir.path()));
            }
            let out = pibake(dir.path()).args(&words[1..]).arg("--offline").output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{place}: {line}\n{said}");
            done += 1;
        }
    }
    assert!(done >= 12 && left >= 12, "{done} were run, {left} were not");
}

/// The picture in README.md was made by `docs/pictures/record`; what it shows at its end is what is still printed.
#[test]
fn the_recorded_session_shows_what_is_printed() {
    let picture = fs::read_to_string(Path::new(ROOT).join("docs/pictures/session.svg")).unwrap();
    let last = picture.rsplit("<g class=\"f\"").next().unwrap();
    let shown: Vec<String> = last
        .split("<text ")
        .skip(1)
        .map(|text| text.split_once('>').unwrap().1.split("</text>").next().unwrap().replace("&quot;", "\""))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    for line in ["build --base sample --nodes 4 -o images", "inspect images/node-2.img"] {
        let printed = run(pibake(dir.path()).args(line.split(' ')));
        for line in printed.lines().filter(|line| !line.trim().is_empty()) {
            // times and keys are of each run
            if !line.contains("CA hash") && !line.contains("  built ") {
                assert!(shown.iter().any(|shown| shown.trim_end() == line), "{line}\nis not in\n{shown:#?}");
            }
        }
    }
}

/// The picture in docs/tutorial.md, of what the page describes.
#[test]
fn the_picture_of_a_cluster_is_what_plan_draws() {
    let picture = fs::read_to_string(Path::new(ROOT).join("docs/pictures/cluster.svg")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let wifi = "[network.wifi]\nssid = \"my network\"\npassword = \"my password\"\n";
    fs::write(dir.path().join("pibake.toml"), wifi).unwrap();
    assert_eq!(run(pibake(dir.path()).args(["plan", "--svg"])), picture);
}

/// Links within the repository lead to files that are there, and to headings of theirs.
#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut links = 0;
    for page in pages(Path::new(ROOT)) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if let Some(heading) = heading {
                let text = fs::read_to_string(&target).unwrap();
                let headings: Vec<String> =
                    text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
                assert!(
                    headings.iter().any(|other| other == heading),
                    "{}: {link}: {headings:?}",
                    page.display()
                );
            }
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
}

/// The anchor that GitHub and mdBook give a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

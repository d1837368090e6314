//! The workflows: YAML that a real parser reads, which runs what is in the repository and no action
//! that could become another one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ROOT;

/// The project's own, and the one that users copy.
fn workflows() -> Vec<(PathBuf, Value)> {
    let root = Path::new(ROOT);
    let files = [".github/workflows", "docs/ci-example"].map(|dir| fs::read_dir(root.join(dir)).unwrap());
    let files: Vec<PathBuf> = files.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let value = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, value)
    };
    files.into_iter().map(read).collect()
}

fn jobs(workflow: &Value) -> Vec<&Value> {
    workflow["jobs"].as_object().unwrap().values().collect()
}

fn steps(workflow: &Value) -> Vec<&Value> {
    jobs(workflow).into_iter().flat_map(|job| job["steps"].as_array().unwrap()).collect()
}

#[test]
fn each_job_ends_by_itself_and_may_read_alone_unless_it_says_why() {
    for (path, workflow) in workflows() {
        let path = path.display();
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{path}");
        for job in jobs(&workflow) {
            assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes <= 120), "{path}");
            let widened = job["permissions"].as_object();
            assert!(widened.is_none() || workflow["name"] == "release", "{path}");
        }
    }
}

#[test]
fn actions_are_named_by_commit() {
    let mut named = 0;
    for (path, workflow) in workflows() {
        for step in steps(&workflow) {
            let Some(action) = step["uses"].as_str() else { continue };
            let (name, commit) = action.split_once('@').unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_commit && name.starts_with("actions/"), "{}: {action}", path.display());
            named += 1;
        }
    }
    assert!(named >= 8, "{named}");
}

#[test]
fn what_workflows_run_of_the_repository_is_there() {
    let makefile = fs::read_to_string(Path::new(ROOT).join("Makefile")).unwrap();
    let mut seen = 0;
    for (path, workflow) in workflows() {
        for line in steps(&workflow).into_iter().filter_map(|step| step["run"].as_str()).flat_map(str::lines)
        {
            for (word, next) in line.split(' ').zip(line.split(' ').skip(1).chain([""])) {
                if word == "make" {
                    assert!(makefile.contains(&format!("\n{next}:")), "{}: {line}", path.display());
                    seen += 1;
                }
                if word.starts_with("packaging/") || word.starts_with(".ci/") {
                    assert!(Path::new(ROOT).join(word).is_file(), "{}: {line}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 4, "{seen}");
}

/// The commands of the example are those of this pibake.
#[test]
fn the_example_for_users_calls_pibake_as_it_is() {
    let (_, example) =
        workflows().into_iter().find(|(path, _)| path.ends_with("docs/ci-example/bake.yml")).unwrap();
    let mut called = Vec::new();
    for run in steps(&example).into_iter().filter_map(|step| step["run"].as_str()) {
        for line in run.replace("\\\n", " ").lines().filter(|line| line.starts_with("pibake ")) {
            // as a shell splits it, up to its help, which needs all that goes before it to be right
            let mut shell = support::tool("sh", "dash");
            shell.args(["-c", &format!("{line} --help")]).env("PATH", search_path());
            support::run(&mut shell);
            called.push(line.split(' ').nth(1).unwrap().to_owned());
        }
    }
    assert_eq!(called, ["plan", "build", "boot"]);
}

fn search_path() -> std::ffi::OsString {
    let own = Path::new(env!("CARGO_BIN_EXE_pibake")).parent().unwrap().to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).unwrap()
}

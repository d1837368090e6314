//! The workflows: YAML that a real parser reads, which runs what is in the repository and no action
//! that could become another one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ROOT;

/// The project's own, and those that users copy.
fn workflows() -> Vec<(PathBuf, Value)> {
    let root = Path::new(ROOT);
    let files = [".github/workflows", "docs/ci-example", "docs/fleet-example"]
        .map(|dir| fs::read_dir(root.join(dir)).unwrap());
    let files = files.into_iter().flatten().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension() == Some("yml".as_ref())).collect();
    assert!(files.len() >= 4);
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
            // a release is written, and so is what is pushed
            let may_write = ["release", "push"].map(Value::from).contains(&workflow["name"]);
            assert!(widened.is_none() || may_write, "{path}");
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

/// The commands of these lines, each of which is one of this pibake's.
fn called(scripts: &[&str]) -> Vec<String> {
    let mut called = Vec::new();
    for run in scripts {
        for line in run.replace("\\\n", " ").lines().map(str::trim) {
            let Some(line) = line.strip_prefix("bin/").or(Some(line)).filter(|l| l.starts_with("pibake "))
            else {
                continue;
            };
            // as a shell splits it, up to its help, which needs all that goes before it to be right
            let mut shell = support::tool("sh", "dash");
            shell.args(["-c", &format!("{line} --help")]).env("PATH", search_path());
            shell.env("fleet", "oci://registry.example/x").env("FLEET", "oci://registry.example/x");
            support::run(&mut shell);
            called.push(line.split(' ').nth(1).unwrap().to_owned());
        }
    }
    called
}

/// The commands of the examples are those of this pibake.
#[test]
fn the_examples_for_users_call_pibake_as_it_is() {
    for (name, commands) in [
        ("docs/ci-example/bake.yml", &["plan", "build", "boot"][..]),
        ("docs/fleet-example/push.yml", &["push"]),
    ] {
        let (_, example) = workflows().into_iter().find(|(path, _)| path.ends_with(name)).unwrap();
        let scripts: Vec<&str> =
            steps(&example).into_iter().filter_map(|step| step["run"].as_str()).collect();
        assert_eq!(called(&scripts), commands, "{name}");
    }
    let job = fs::read_to_string(Path::new(ROOT).join("docs/fleet-example/job.yaml")).unwrap();
    let job: Value = serde_saphyr::from_str(&job).unwrap();
    let script = job["spec"]["template"]["spec"]["containers"][0]["args"][0].as_str().unwrap();
    assert_eq!(called(&[script]), ["pull"]);
}

fn search_path() -> std::ffi::OsString {
    let own = Path::new(env!("CARGO_BIN_EXE_pibake")).parent().unwrap().to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).unwrap()
}

//! What `--json` prints: one document, whatever happens, with the fields that docs/json.md has under the command's
//! heading. That the page describes the fields of each type, and no others, is tested beside the types.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::boot_command::lab::Lab;

/// The names at the top of a document: those of the common fields, and those under `heading`.
fn described(heading: Option<&str>) -> BTreeSet<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let is_wanted = |part: &&str| heading.is_some_and(|heading| part.starts_with(&format!("{heading}\n")));
    let mut parts = page.split("\n## ");
    let texts = [parts.next(), parts.find(is_wanted)];
    assert!(heading.is_none() || texts[1].is_some(), "{heading:?} is not in docs/json.md");
    let lines = texts.into_iter().flatten().flat_map(str::lines).filter_map(|line| line.strip_prefix("| `"));
    lines.map(|line| line.split(['`', '.', '[']).next().unwrap().to_owned()).collect()
}

/// A folder to run the program in, where nobody has a kubectl.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.env("XDG_CACHE_HOME", self.0.path().join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
        command.arg("--json").args(arguments);
        command
    }

    /// The document of a run that succeeds.
    fn run(&self, heading: &str, arguments: &[&str]) -> Value {
        run(heading, &mut self.command(arguments))
    }
}

/// The document that a run prints, which must be all that it prints, and its exit code.
fn document(command: &mut Command) -> (Value, i32) {
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    let document = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{command:?}: {e}: {said}"));
    (document, out.status.code().unwrap())
}

fn names(document: &Value) -> BTreeSet<String> {
    document.as_object().unwrap().keys().cloned().collect()
}

/// Panics unless the run succeeds, and its document has the fields that are described under `heading`.
fn run(heading: &str, command: &mut Command) -> Value {
    let (document, code) = document(command);
    assert_eq!((code, &document["error"]), (0, &Value::Null), "{command:?}");
    assert_eq!(names(&document), described(Some(heading)), "{command:?}");
    assert_eq!(document["version"], 1);
    document
}

#[test]
fn every_command_prints_the_document_that_is_described() {
    let desk = Desk::new();
    assert_eq!(desk.run("`init`", &["init", "new"])["path"], "new/pibake.toml");
    let planned = desk.run("`plan`", &["plan", "--nodes", "2"]);
    assert_eq!(planned["nodes"][1]["role"], "worker");
    let kinds: Vec<_> = planned["warnings"].as_array().unwrap().iter().map(|w| &w["kind"]).collect();
    for kind in ["no-wifi", "out-of-support"] {
        assert!(kinds.contains(&&Value::from(kind)), "{planned:#}");
    }
    desk.run("`plan --node N`", &["plan", "--node", "1"]);
    let file = desk.run("`plan --node N PATH`", &["plan", "--node", "1", "/etc/hostname"]);
    assert_eq!(file["text"], "node-1\n");
    let fetched = desk.run("`fetch`", &["fetch", "sample"]);
    let built = desk.run("`build`", &["build", "--base", "sample", "--nodes", "2", "--quiet"]);
    // the same thing has the same name
    assert_eq!(built["base"]["sha256"], fetched["base"]["sha256"]);
    assert_eq!(built["images"][0]["bytes"], fetched["base"]["bytes"]);
    // what --quiet keeps from people is still there for programs
    let no_wifi = |document: &Value| {
        let warnings = document["warnings"].as_array().unwrap();
        warnings.iter().find(|w| w["kind"] == "no-wifi").cloned()
    };
    assert!(no_wifi(&built).is_some() && no_wifi(&built) == no_wifi(&planned), "{built:#}");
    let image = "images/node-1.img";
    let inspected = desk.run("`inspect IMAGE`", &["inspect", image]);
    assert_eq!((&inspected["scheme"], &inspected["bytes"]), (&"mbr".into(), &built["images"][0]["bytes"]));
    desk.run("`verify`", &["verify", image, "--base", "sample", "--nodes", "2"]);
    desk.run("`inspect IMAGE DIRECTORY`", &["inspect", image, "/etc"]);
    let on_fat = desk.run("`inspect IMAGE DIRECTORY`", &["inspect", image, "/boot/firmware"]);
    assert_eq!(on_fat["entries"][0]["mode"], Value::Null);
    let printed = desk.run("`inspect IMAGE FILE`", &["inspect", image, "/etc/hostname"]);
    assert_eq!((&printed["text"], &printed["bytes"]), (&"node-1\n".into(), &7.into()));
    let tokens = desk.run("`token list`", &["token"]);
    assert!(tokens["unknown_because"].as_str().unwrap().contains("kubectl"), "{tokens:#}");
    let changed = desk.run("`token new`, `token revoke`", &["token", "new", "2"]);
    assert_eq!(changed["done"], false);
    desk.run("`completions`", &["completions", "bash"]);
    desk.run("`drives`", &["drives"]);
}

#[test]
fn a_machine_that_is_booted_is_described() {
    let lab = Lab::new();
    let image = lab.image("a");
    let printed = run("`boot --print`", lab.boot("login").arg(&image).args(["--json", "--print"]));
    assert_eq!(printed["nodes"][0]["node"], "a", "{printed:#}");
    let booted = run("`boot`", lab.boot("login").arg(&image).args(["--json", "--until", "login:"]));
    assert_eq!((&booted["end"], &booted["nodes"][0]["node"]), (&"reached".into(), &"a".into()), "{booted:#}");
}

#[test]
fn an_error_is_a_document_too() {
    let desk = Desk::new();
    std::fs::write(desk.0.path().join("bad.toml"), "nodes = \"many\"\n").unwrap();
    let runs: [(&[&str], &str, i32); 8] = [
        (&["nonsense"], "usage", 2),
        (&[], "usage", 2),
        (&["flash"], "usage", 2),
        (&["inspect", "nowhere.img"], "usage", 2),
        (&["build", "--base", "20.04.5", "--node", "2"], "usage", 2),
        (&["fetch", "--offline", "20.04.5"], "network", 1),
        (&["-C", "bad.toml", "plan"], "configuration", 2),
        (&["-C", "bad.toml", "token", "--quiet", "new", "1"], "configuration", 2),
    ];
    for (arguments, class, code) in runs {
        let (document, exit) = document(&mut desk.command(arguments));
        assert_eq!(names(&document), described(None), "{arguments:?}");
        let error = &document["error"];
        assert_eq!((error["class"].as_str(), exit), (Some(class), code), "{arguments:?}: {document:#}");
        assert_eq!(error["exit_code"], code);
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    // what was found out before it failed stands beside it
    let mut disk = vec![0; 4 << 20];
    disk[446..462].copy_from_slice(&[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(desk.0.path().join("other.img"), disk).unwrap();
    let (document, exit) = document(&mut desk.command(&["inspect", "other.img"]));
    assert_eq!(exit, document["error"]["exit_code"], "{document:#}");
    assert_eq!(document["partitions"][0]["kind"], "linux", "{document:#}");
    // without --json, standard output stays empty, and help is text in any case
    let plain = Command::new(env!("CARGO_BIN_EXE_pibake")).arg("nonsense").output().unwrap();
    assert!(plain.stdout.is_empty() && plain.status.code() == Some(2));
    let help = desk.command(&["--help"]).output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Usage: pibake"));
}

//! The images of the main job as the kernel sees them: each file that the plan names is there as it
//! says, and everything else is the base's, to the last attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::opened::{Entry, Opened, assert_unnamed_is_the_same, differing, tree};

use support::standin::{self, Mirror};
use support::{run, tool};

const NODES: usize = 4;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("main_job::the_kernel_sees_what_was_planned", || -> Result<(), Failed> {
        the_kernel_sees_what_was_planned();
        Ok(())
    })]
}

struct Project {
    dir: tempfile::TempDir,
}

/// One line of `pibake plan --node N`.
struct Planned {
    partition: String,
    path: String,
    what: String,
    mode: Option<u32>,
}

impl Project {
    fn pibake(&self, arguments: &[&str]) -> String {
        let dir = self.dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache")).args(arguments);
        run(&mut command)
    }

    fn plan(&self, node: &str) -> Vec<Planned> {
        let plan: Value = serde_json::from_str(&self.pibake(&["plan", "--json", "--node", node])).unwrap();
        let line = |line: &Value| {
            let field = |name: &str| line[name].as_str().map(str::to_owned);
            Planned {
                partition: field("partition").unwrap(),
                path: field("path").unwrap(),
                what: field("what").unwrap(),
                mode: field("mode").map(|octal| u32::from_str_radix(&octal, 8).unwrap()),
            }
        };
        plan["changes"].as_array().unwrap().iter().map(line).collect()
    }
}

fn the_kernel_sees_what_was_planned() {
    let mirror = Mirror::start();
    let project = Project { dir: tempfile::tempdir().unwrap() };
    let dir = project.dir.path();
    mirror.write_description(dir, "");
    project.pibake(&["build", "--nodes", &NODES.to_string()]);
    let base = dir.join("base.img");
    let packed = std::fs::File::open(standin::dir().join("standin.img.xz")).unwrap();
    run(tool("xz", "xz-utils").args(["-dc"]).stdin(packed).stdout(std::fs::File::create(&base).unwrap()));
    let (base_boot, base_root) = {
        let mounted = Opened::new(&base);
        (tree(&mounted.boot), tree(&mounted.root))
    };
    assert!(base_root.len() > 8000, "{} paths", base_root.len());
    let capable = base_root.values().filter(|e| !e.attributes.is_empty()).count();
    assert!(capable > 0, "the stand-in should have a file with attributes");

    let mut trees = Vec::new();
    for n in 1..=NODES {
        let node = format!("node-{n}");
        let mounted = Opened::new(&dir.join(format!("images/{node}.img")));
        let (boot, root) = (tree(&mounted.boot), tree(&mounted.root));
        let plan = project.plan(&node);
        for (label, before, after) in [("system-boot", &base_boot, &boot), ("writable", &base_root, &root)] {
            let named: BTreeSet<&str> =
                plan.iter().filter(|p| p.partition == label).map(|p| p.path.as_str()).collect();
            assert_unnamed_is_the_same(&node, &named, before, after);
        }
        for line in &plan {
            assert_as_planned(&project, &node, line, &mounted, &base_boot);
        }
        trees.push((boot, root));
    }
    // the workers differ in what names them, and in nothing else
    let expected_root: BTreeSet<&str> = [
        "/etc/fstab",
        "/etc/hostname",
        "/etc/pibake/join.conf",
        "/etc/pibake/kubeadm.yaml",
        "/etc/pibake/node.env",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        // it has their digests
        "/usr/lib/pibake/baked",
    ]
    .into();
    let expected_boot: BTreeSet<&str> = ["/cmdline.txt", "/meta-data", "/user-data"].into();
    for (boot, root) in &trees[2..] {
        assert_eq!(differing(&trees[1].0, boot), expected_boot);
        assert_eq!(differing(&trees[1].1, root), expected_root);
    }
}

fn assert_as_planned(
    project: &Project,
    node: &str,
    line: &Planned,
    mounted: &Opened,
    base_boot: &BTreeMap<String, Entry>,
) {
    let (boot, path) = (line.partition == "system-boot", &line.path);
    let at = if boot { &mounted.boot } else { &mounted.root }.join(&path[1..]);
    let about = format!("{node}: {path}, {}", line.what);
    if line.what == "removed" {
        assert!(std::fs::symlink_metadata(&at).is_err(), "{about}: it is there");
        return;
    }
    if let Some(target) = line.what.strip_prefix("link to ") {
        assert_eq!(std::fs::read_link(&at).unwrap(), Path::new(target), "{about}");
        return;
    }
    let entry = Entry::of(&at);
    if let Some(mode) = line.mode.filter(|_| !boot) {
        assert_eq!(format!("{:o}", entry.mode & 0o7777), format!("{mode:o}"), "{about}");
        assert_eq!(entry.owner, (0, 0), "{about}");
    }
    match line.what.as_str() {
        // its id follows from the bytes that are baked: the test without root looks at it
        "file" if path == "/meta-data" => {}
        "file" => {
            let text = project.pibake(&["plan", "--node", node, path]);
            let baked = std::fs::read_to_string(&at).unwrap();
            assert!(support::plan::shows(&text, &baked), "{about}: should be\n{text}\nand is\n{baked}");
            if text.contains("********") {
                assert!(!boot, "{about}: a secret where anybody reads it");
                assert_eq!(entry.mode & 0o7777, 0o600, "{about}");
            }
        }
        "directory" => assert!(entry.is_dir(), "{about}"),
        what if what.starts_with("arguments ") => {
            let is = std::fs::read_to_string(&at).unwrap();
            assert_ne!(Some(&entry), base_boot.get(path), "{about}");
            for change in what.split_whitespace().skip(1) {
                // the plan cannot know the id
                let wanted = change[1..].trim_end_matches('…');
                let is_it = |word: &&str| {
                    if wanted == &change[1..] { *word == wanted } else { word.starts_with(wanted) }
                };
                let has = is.split_whitespace().filter(is_it).count();
                let want = usize::from(change.starts_with('+'));
                assert_eq!(has, want, "{about}: {change}: {is}");
            }
        }
        "edited" => {
            let is = std::fs::read_to_string(&at).unwrap();
            assert!(is.contains("PARTUUID=") && !is.contains("LABEL="), "{about}: {is}");
        }
        what => panic!("{about}: the plan says {what:?}, which this test does not know"),
    }
}

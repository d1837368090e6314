//! The images of the main job as the kernel sees them: each file that the plan names is there as it
//! says, and everything else is the base's, to the last attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use pibake::disk::{FileDevice, partitions};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::plan;
use crate::standin::{self, Mirror};
use crate::support::{run, tool};

const NODES: usize = 4;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("main_job::the_kernel_sees_what_was_planned", || -> Result<(), Failed> {
        the_kernel_sees_what_was_planned();
        Ok(())
    })]
}

/// The partitions of an image as trees until dropped: the root file system mounted for reading;
/// the boot partition copied by mtools, since not every kernel that the tests run on has FAT.
struct Opened {
    boot: PathBuf,
    root: PathBuf,
    _work: tempfile::TempDir,
}

impl Opened {
    fn new(image: &Path) -> Self {
        let device = FileDevice::open_read_only(image).unwrap();
        let (_, found) = partitions(&device).unwrap();
        let work = tempfile::tempdir().unwrap();
        let (boot, root) = (work.path().join("boot"), work.path().join("root"));
        for dir in [&boot, &root] {
            std::fs::create_dir(dir).unwrap();
        }
        let at = format!("{}@@{}", image.display(), found[0].offset);
        run(tool("mcopy", "mtools").args(["-s", "-m", "-n", "-i", &at, "::*"]).arg(&boot));
        let options = format!("loop,ro,offset={},sizelimit={}", found[1].offset, found[1].len);
        run(tool("mount", "mount").args(["-o", &options]).arg(image).arg(&root));
        Self { boot, root, _work: work }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let done = tool("umount", "mount").arg(&self.root).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.root.display());
        }
    }
}

/// All that the kernel tells of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Kind and permissions.
    mode: u32,
    owner: (u32, u32),
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    device: u64,
    /// Of directories neither is kept: both follow from what is in them.
    links: u64,
    changed: (i64, i64),
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    File([u8; 32]),
    Link(PathBuf),
    Other,
}

/// A directory tree: every path below `top`, with a `/` before it.
fn tree(top: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for child in std::fs::read_dir(&dir).unwrap() {
            let path = child.unwrap().path();
            let entry = Entry::of(&path);
            if entry.is_dir() {
                open.push(path.clone());
            }
            let name = path.strip_prefix(top).unwrap().to_str().unwrap();
            found.insert(format!("/{name}"), entry);
        }
    }
    found
}

impl Entry {
    fn of(path: &Path) -> Self {
        let meta = std::fs::symlink_metadata(path).unwrap();
        let content = if meta.is_file() {
            let mut hash = Sha256::new();
            hash.update(std::fs::read(path).unwrap());
            Content::File(hash.finalize().into())
        } else if meta.is_symlink() {
            Content::Link(std::fs::read_link(path).unwrap())
        } else {
            Content::Other
        };
        let (links, changed) = match meta.is_dir() {
            true => (0, (0, 0)),
            false => (meta.nlink(), (meta.mtime(), meta.mtime_nsec())),
        };
        let owner = (meta.uid(), meta.gid());
        let attributes = attributes(path);
        Self { mode: meta.mode(), owner, attributes, device: meta.rdev(), links, changed, content }
    }

    fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

/// The extended attributes of a path, which file capabilities and access lists are kept in.
fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap();
    let value = |name: &[u8]| {
        let mut value = vec![0; 65536];
        let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value).unwrap();
        value[..len].to_vec()
    };
    names[..len].split(|b| *b == 0).filter(|n| !n.is_empty()).map(|n| (n.to_vec(), value(n))).collect()
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
        plan.as_array().unwrap().iter().map(line).collect()
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
    let expected_root: BTreeSet<&str> =
        ["/etc/hostname", "/etc/pibake/kubeadm.yaml", "/etc/pibake/node.env"].into();
    let expected_boot: BTreeSet<&str> = ["/meta-data", "/user-data"].into();
    for (boot, root) in &trees[2..] {
        assert_eq!(differing(&trees[1].0, boot), expected_boot);
        assert_eq!(differing(&trees[1].1, root), expected_root);
    }
}

/// Paths that differ between two trees, or are in one alone.
fn differing<'a>(one: &'a BTreeMap<String, Entry>, other: &'a BTreeMap<String, Entry>) -> BTreeSet<&'a str> {
    let paths = one.keys().chain(other.keys());
    paths.filter(|path| one.get(*path) != other.get(*path)).map(String::as_str).collect()
}

fn assert_unnamed_is_the_same(
    node: &str,
    named: &BTreeSet<&str>,
    before: &BTreeMap<String, Entry>,
    after: &BTreeMap<String, Entry>,
) {
    for path in differing(before, after) {
        if named.contains(path) {
            continue;
        }
        // a directory that a file was put into and that was not there before
        let made =
            after.get(path).is_some_and(|e| e.is_dir() && e.mode & 0o7777 == 0o755 && e.owner == (0, 0))
                && !before.contains_key(path)
                && named.iter().any(|n| n.starts_with(&format!("{path}/")));
        assert!(made, "{node}: {path} was {:?} and is {:?}", before.get(path), after.get(path));
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
            assert!(plan::shows(&text, &baked), "{about}: should be\n{text}\nand is\n{baked}");
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
                let has = is.split_whitespace().filter(|word| *word == &change[1..]).count();
                let want = usize::from(change.starts_with('+'));
                assert_eq!(has, want, "{about}: {change}: {is}");
            }
        }
        what => panic!("{about}: the plan says {what:?}, which this test does not know"),
    }
}

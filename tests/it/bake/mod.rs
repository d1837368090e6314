//! Whole bakes: what is named is there, what is not named stays, and damage never gets out.

mod command_line;
mod damage;
mod modules;
mod own_disk;
mod remains;
mod shared;
mod size;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::writable::{Memory, WritableFile};
use pibake::bake::{Clock, Error, Shared, Size};
use pibake::disk::{FileDevice, Patch, Patched, ReadAt, WriteAt};
use pibake::image_path::ImagePath;
use pibake::recipe::{Access, Action, Change, Recipe, Secrecy, Volume};
use support::images::{self, Spec};
use support::{run, tool};

const CLOCK: &Clock = &Clock::new(1_700_000_000);

/// What a bake changes over `base`.
fn bake(base: Arc<dyn ReadAt>, recipe: &Recipe, clock: &'static Clock) -> Result<Patch, Error> {
    pibake::bake::bake(base, &Shared::default(), recipe, Size::default(), clock).map(|(patch, _)| patch)
}

fn change(volume: Volume, path: &str, action: Action) -> Change {
    Change { volume, path: ImagePath::new(path).unwrap(), action }
}

fn write(volume: Volume, path: &str, content: &[u8], mode: u16) -> Change {
    let access = Access::root(mode);
    change(volume, path, Action::Write { content: content.to_vec(), access, secrecy: Secrecy::Public })
}

fn recipe() -> Recipe {
    let mut changes = vec![
        write(Volume::Boot, "/user-data", b"#cloud-config\n", 0o644),
        write(Volume::Root, "/etc/hostname", b"node-1\n", 0o644),
        write(Volume::Root, "/etc/pibake/token", b"secret\n", 0o600),
        change(Volume::Root, "/etc/link", Action::Symlink { target: "hostname".into() }),
        change(Volume::Root, "/var/lib/pibake", Action::Directory { access: Access::root(0o700) }),
        change(Volume::Root, "/etc/hosts", Action::Remove),
        change(Volume::Root, "/not/there", Action::Remove),
        change(
            Volume::Boot,
            "/cmdline.txt",
            Action::KernelArguments {
                line: None,
                set: vec!["cgroup_memory=1".parse().unwrap()],
                unset: vec!["quiet".parse().unwrap()],
            },
        ),
    ];
    changes.extend((0..40).map(|n| {
        write(Volume::Root, &format!("/usr/lib/pibake/file-{n}"), "x".repeat(n * 300).as_bytes(), 0o755)
    }));
    Recipe { node: "node-1".into(), board: None, modules: vec![], disk_id: [7; 16], changes }
}

fn device(image: &Path) -> Arc<dyn ReadAt> {
    Arc::new(FileDevice::open(image).unwrap())
}

/// The base with a patch over it, as a file.
fn write_out(image: &Path, patch: &Patch, to: &Path) {
    run(std::process::Command::new("cp").arg("--sparse=always").arg(image).arg(to));
    let len = patch.image_len(std::fs::metadata(image).unwrap().len());
    std::fs::File::options().write(true).open(to).unwrap().set_len(len).unwrap();
    let out = WritableFile::open(to).unwrap();
    for range in patch.ranges().iter() {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        patch.apply(range.start, &mut bytes).unwrap();
        out.write_at(range.start, &bytes).unwrap();
    }
}

#[test]
fn what_is_named_is_there_and_both_file_systems_are_clean() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec::default().make(dir.path());
    let patch = bake(device(&image), &recipe(), CLOCK).unwrap();
    let node = dir.path().join("node-1.img");
    write_out(&image, &patch, &node);
    images::assert_clean(&node, places);

    let (fat, ext4) = (dir.path().join("p1"), dir.path().join("p2"));
    images::extract(&node, places.boot, &fat);
    images::extract(&node, places.root, &ext4);
    let debugfs = |request: &str| run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&ext4));
    assert_eq!(debugfs("cat /etc/hostname"), "node-1\n");
    assert!(debugfs("stat /etc/pibake/token").contains("Mode:  0600"));
    assert!(debugfs("stat /etc/pibake").contains("Mode:  0755"));
    assert!(!debugfs("ls /etc").contains("hosts"));
    let line = run(tool("mtype", "mtools").arg("-i").arg(&fat).arg("::cmdline.txt"));
    assert_eq!(
        line,
        "net.ifnames=0 console=serial0,115200 rootwait fixrtc cgroup_memory=1 root=PARTUUID=07070707-02\n"
    );
}

#[test]
fn same_input_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = Spec::default().make(dir.path());
    let first = bake(device(&image), &recipe(), CLOCK).unwrap();
    assert_eq!(bake(device(&image), &recipe(), CLOCK).unwrap(), first);
    let changed = first.ranges().total() / 4096;
    assert!(changed < 1000, "{changed} blocks changed");
    assert_ne!(bake(device(&image), &recipe(), const { &Clock::new(1_700_000_002) }).unwrap(), first);
}

/// Links as Ubuntu has them, and one that leads nowhere but to itself.
fn with_links(dir: &Path) -> std::path::PathBuf {
    let (image, places) = Spec::default().make(dir);
    let ext4 = dir.join("root.ext4");
    images::extract(&image, places.root, &ext4);
    let debugfs =
        |request: &str| drop(run(tool("debugfs", "e2fsprogs").args(["-w", "-R", request]).arg(&ext4)));
    for request in [
        "mkdir /usr/share",
        "symlink /lib /usr/lib",
        "symlink /share ../../usr/share",
        "symlink /one /two/x",
        "symlink /two one",
        "mkdir /tmp",
        "sif /tmp mode 041777",
        "mkdir /keys",
        "sif /keys mode 040710",
        "sif /keys gid 112",
    ] {
        debugfs(request);
    }
    images::splice(&ext4, &image, places.root.0);
    image
}

fn baked(image: &Path, changes: Vec<Change>) -> Result<Arc<dyn ReadAt>, String> {
    let recipe = Recipe { node: "node-1".into(), board: None, modules: vec![], disk_id: [7; 16], changes };
    let patch = bake(device(image), &recipe, CLOCK)
        .map_err(|e| format!("{e}: {:?}", std::error::Error::source(&e).map(ToString::to_string)))?;
    Ok(Arc::new(Patched::new(device(image), patch)))
}

#[test]
fn links_in_the_image_are_followed_and_folders_keep_owner_and_mode() {
    let dir = tempfile::tempdir().unwrap();
    let image = with_links(dir.path());
    let folder = |path: &str| change(Volume::Root, path, Action::Directory { access: Access::root(0o755) });
    let changes = vec![
        folder("/keys"),
        folder("/lib"),
        write(Volume::Root, "/lib/systemd/system/x.service", b"unit", 0o644),
        folder("/new"),
        write(Volume::Root, "/share/doc/x", b"doc", 0o644),
        folder("/tmp"),
    ];
    let node = baked(&image, changes).unwrap();
    let opened = pibake::image_reader::ImageReader::of(node).unwrap();
    let stat = |path: &str| opened.metadata(&ImagePath::new(path).unwrap()).unwrap().unwrap();
    let attributes = |path: &str| stat(path).attributes.map(|a| (a.mode, a.uid, a.gid)).unwrap();
    assert_eq!(attributes("/tmp"), (0o1777, 0, 0));
    assert_eq!(attributes("/keys"), (0o710, 0, 112));
    assert_eq!(attributes("/new"), (0o755, 0, 0));
    assert_eq!(stat("/lib").kind, pibake::fs::FileKind::Symlink);
    assert_eq!(stat("/usr/lib/systemd/system/x.service").len, 4);
    assert_eq!(stat("/usr/share/doc/x").len, 3);
}

#[test]
fn two_names_of_one_file_and_links_in_a_circle_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let image = with_links(dir.path());
    let file = |path: &str| write(Volume::Root, path, b"x", 0o644);
    for (changes, words) in [
        (vec![file("/lib/x"), file("/usr/lib/x")], "so is /lib/x"),
        (vec![file("/one/y")], "in a circle"),
        (vec![file("/etc/hostname/x")], "not a directory"),
        (
            vec![change(Volume::Root, "/etc/hostname", Action::Directory { access: Access::root(0o755) })],
            "not a directory",
        ),
    ] {
        let error = baked(&image, changes).err().unwrap();
        assert!(error.contains(words), "{error} does not say {words}");
    }
}

#[test]
fn a_command_line_of_ones_own_takes_the_place_of_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = Spec::default().make(dir.path());
    let line = Some("root=LABEL=writable usb-storage.quirks=152d:0578:u\n".to_owned());
    let arguments =
        Action::KernelArguments { line, set: vec!["cgroup_memory=1".parse().unwrap()], unset: vec![] };
    let node = baked(&image, vec![change(Volume::Boot, "/cmdline.txt", arguments)]).unwrap();
    let mut text = Vec::new();
    let path = ImagePath::new("/boot/firmware/cmdline.txt").unwrap();
    pibake::image_reader::ImageReader::of(node).unwrap().read(&path, &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "usb-storage.quirks=152d:0578:u cgroup_memory=1 root=PARTUUID=07070707-02\n"
    );
}

/// Every path below `/` with its metadata and content, but for what `skip` names.
fn tree(device: &Arc<dyn ReadAt>, offset: u64, skip: &[&str]) -> BTreeMap<String, String> {
    struct At(Arc<dyn ReadAt>, u64);
    impl ext4_view::Ext4Read for At {
        fn read(&mut self, at: u64, dst: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(self.0.read_at(self.1 + at, dst)?)
        }
    }
    let fs = ext4_view::Ext4::load(Box::new(At(Arc::clone(device), offset))).unwrap();
    let mut found = BTreeMap::new();
    let mut open = vec!["/".to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs.read_dir(dir.as_str()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let name = name.as_str().unwrap();
            let path = format!("{}/{name}", dir.trim_end_matches('/'));
            if name == "." || name == ".." || skip.iter().any(|s| path.starts_with(s)) {
                continue;
            }
            let meta = fs.symlink_metadata(path.as_str()).unwrap();
            let content = if meta.is_dir() { Vec::new() } else { fs.read(path.as_str()).unwrap() };
            // a directory's time and size follow from what was put into it
            let own =
                if meta.is_dir() { String::new() } else { format!("{:?} {content:?}", meta.modified()) };
            found.insert(path.clone(), format!("{:o} {}:{} {own}", meta.mode(), meta.uid(), meta.gid()));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

#[test]
fn what_is_not_named_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for n in 0..300 {
        images::put(&root.join(format!("usr/share/vendor/{n}/file")), &"v".repeat(n * 50));
    }
    images::put(&root.join("etc/hostname"), "ubuntu\n");
    images::put(&root.join("etc/hosts"), "127.0.0.1 localhost\n");
    images::put(&root.join("etc/machine-id"), "");
    let (image, places) = Spec::default().make_from(dir.path(), &root);
    let base = device(&image);
    let patch = bake(Arc::clone(&base), &recipe(), CLOCK).unwrap();
    let node: Arc<dyn ReadAt> = Arc::new(Patched::new(Arc::clone(&base), patch));
    let named =
        ["/etc/hostname", "/etc/pibake", "/etc/link", "/etc/hosts", "/var", "/usr/lib/pibake", "/usr/lib"];
    let before = tree(&base, places.root.0, &named);
    assert!(before.len() > 600);
    assert_eq!(before, tree(&node, places.root.0, &named));
}

#[test]
fn a_change_that_cannot_be_made_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = Spec::default().make(dir.path());
    let bad = |c: Change| {
        let recipe = Recipe {
            node: "node-1".into(),
            board: None,
            modules: vec![],
            disk_id: [7; 16],
            changes: vec![c],
        };
        match bake(device(&image), &recipe, CLOCK) {
            Err(Error::FileSystem { source, .. }) => source.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let below_a_file = bad(write(Volume::Root, "/etc/hostname/x", b"", 0o644));
    assert!(below_a_file.starts_with("/etc/hostname: is not a directory"), "{below_a_file}");
    let over_a_directory = bad(write(Volume::Root, "/etc", b"", 0o644));
    assert!(over_a_directory.starts_with("/etc: is a directory"), "{over_a_directory}");
    let no_line =
        change(Volume::Boot, "/none.txt", Action::KernelArguments { line: None, set: vec![], unset: vec![] });
    assert!(bad(no_line).starts_with("/none.txt: no such file"));
}

#[test]
fn a_folder_on_the_boot_partition_is_made_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec::default().make(dir.path());
    let changes = vec![
        write(Volume::Boot, "/conf.d/deeper/a file", b"x", 0o644),
        change(Volume::Boot, "/empty", Action::Directory { access: Access::root(0o755) }),
    ];
    let patch = bake(
        device(&image),
        &Recipe { node: "node-1".into(), board: None, modules: vec![], disk_id: [7; 16], changes },
        CLOCK,
    )
    .unwrap();
    let node = dir.path().join("node-1.img");
    write_out(&image, &patch, &node);
    images::assert_clean(&node, places);
    let fat = dir.path().join("fat");
    images::extract(&node, places.boot, &fat);
    assert_eq!(run(tool("mtype", "mtools").arg("-i").arg(&fat).arg("::conf.d/deeper/a file")), "x");
    assert!(run(tool("mdir", "mtools").args(["-b", "-i"]).arg(&fat).arg("::")).contains("::/empty/"));
}

#[test]
fn an_image_of_nothing_is_refused() {
    let zeros: Arc<dyn ReadAt> = Arc::new(Memory(vec![0; 1 << 20]));
    assert!(matches!(bake(zeros, &recipe(), CLOCK), Err(Error::Table(_))));
}

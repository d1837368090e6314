//! `pibake build` on the built-in sample: whole images, clean file systems, the same bytes each time,
//! and one build at a time in a project.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use pibake::disk::{FileDevice, partitions};
use predicates::str::contains;
use support::images::{self, Places, Spec};

fn pibake(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
    command.args(arguments).assert()
}

fn places(image: &Path) -> Places {
    let device = FileDevice::open(image).unwrap();
    let (_, found) = partitions(&device).unwrap();
    Places { boot: (found[0].offset, found[0].len), root: (found[1].offset, found[1].len) }
}

/// How many files are in a folder, but for those that say what it is and what is in the others.
fn images_in(dir: &Path) -> usize {
    let own = [".gitignore", ".pibake-images.toml"];
    let names = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let is_bill = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".spdx.json");
    names.filter(|name| own.iter().all(|own| name != own) && !is_bill(name)).count()
}

/// Whether the editor or the reader cannot keep it, it is the base image that is wrong, and not damaged.
#[test]
fn a_base_that_cannot_be_edited_is_named_and_no_image_is_left() {
    for feature in ["inline_data", "encrypt", "ea_inode", "large_dir", "mmp", "quota"] {
        let dir = tempfile::tempdir().unwrap();
        let features = format!("{},{feature}", images::UBUNTU).leak();
        Spec { features, ..Spec::default() }.make(dir.path());
        let said =
            pibake(dir.path(), &["build", "--base", "base.img", "--node", "1"]).code(2).get_output().clone();
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.contains(&format!("cannot edit safely: {feature}")), "{said}");
        assert!(!said.contains("verif") && !said.contains("damaged"), "{said}");
        assert_eq!(images_in(&dir.path().join("images")), 0, "{feature}");
    }
}

#[test]
fn four_nodes_of_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    pibake(dir.path(), &["build", "--base", "sample"])
        .success()
        .stdout(contains("node-4  worker         10.0.0.4  images/node-4.img"))
        .stdout(contains("does not boot"));
    for n in 1..=4 {
        let image = dir.path().join(format!("images/node-{n}.img"));
        images::assert_clean(&image, places(&image));
        pibake(dir.path(), &["inspect", image.to_str().unwrap(), "/etc/hostname"])
            .success()
            .stdout(format!("node-{n}\n"));
    }
    // the same once more, from the cache, into another folder, and one node alone
    pibake(dir.path(), &["build", "--base", "sample", "--node", "2", "-o", "again", "--offline"]).success();
    assert_eq!(images_in(&dir.path().join("again")), 1);
    let read = |path: &str| std::fs::read(dir.path().join(path)).unwrap();
    assert!(read("again/node-2.img") == read("images/node-2.img"), "the bytes differ");
    // a fifth node joins the same cluster
    let token = read(".pibake/token");
    pibake(dir.path(), &["build", "--base", "sample", "--nodes", "5", "--node", "node-5"]).success();
    assert_eq!(read(".pibake/token"), token);
    pibake(dir.path(), &["build", "--base", "sample", "--node", "1", "--format", "qcow2"]).success();
    let check = support::tool("qemu-img", "qemu-utils")
        .arg("check")
        .arg(dir.path().join("images/node-1.qcow2"))
        .output();
    assert!(check.unwrap().status.success());
}

/// The bytes of the image in every format, as its own program unpacks them.
fn unpacked(image: &Path, to: &Path) {
    use support::{run, tool};
    match image.extension().and_then(|e| e.to_str()).unwrap() {
        "qcow2" => {
            run(tool("qemu-img", "qemu-utils").args(["convert", "-O", "raw"]).args([image, to]));
        }
        "zst" => drop(run(tool("zstd", "zstd").args(["-qdf", "--sparse", "-o"]).args([to, image]))),
        "xz" => {
            let out = File::create(to).unwrap();
            assert!(tool("xz", "xz-utils").arg("-dc").arg(image).stdout(out).status().unwrap().success());
        }
        _ => drop(run(std::process::Command::new("cp").args([image, to]))),
    }
}

#[test]
fn an_image_is_as_large_as_it_is_asked_to_be_in_every_format() {
    const GIB: u64 = 1 << 30;
    let dir = tempfile::tempdir().unwrap();
    let description = dir.path().join("pibake.toml");
    std::fs::write(&description, "nodes = 2\nbase.image = \"sample\"\nimage.size = \"1G\"\n").unwrap();
    pibake(dir.path(), &["plan"]).success().stdout(contains("images   1.0 GiB each, of which 7"));
    let [first, other] = ["first", "other"].map(|name| dir.path().join(name));
    for (format, extension) in [("raw", "img"), ("qcow2", "qcow2"), ("zst", "img.zst"), ("xz", "img.xz")] {
        pibake(dir.path(), &["build", "--node", "1", "--format", format])
            .success()
            .stdout(contains("1.0 GiB"));
        let image = dir.path().join(format!("images/node-1.{extension}"));
        let file = std::fs::metadata(&image).unwrap();
        let stored = std::os::unix::fs::MetadataExt::blocks(&file) * 512;
        assert!(stored < 60 << 20, "{format} takes {stored} bytes");
        unpacked(&image, if format == "raw" { &first } else { &other });
        if format == "raw" {
            assert_eq!(file.len(), GIB);
            images::assert_clean(&first, places(&first));
            let (_, root) = (places(&first).boot, places(&first).root);
            assert!(root.0 + root.1 > GIB - 40 * 512, "{root:?}");
        } else {
            let same = std::process::Command::new("cmp").args([&first, &other]).status().unwrap();
            assert!(same.success(), "{format} holds other bytes");
        }
    }
    pibake(dir.path(), &["inspect", "images/node-1.img", "/etc/hostname"]).success().stdout("node-1\n");
    // the flag goes before the description
    pibake(dir.path(), &["build", "--node", "2", "--image-size", "2048M"])
        .success()
        .stdout(contains("2.0 GiB"));
    assert_eq!(std::fs::metadata(dir.path().join("images/node-2.img")).unwrap().len(), 2 * GIB);
    for (size, said) in [
        ("100M", "image.size: the image is to have 104857600 bytes (100.0 MiB), and the base image has"),
        ("200G", "cannot be made 214"),
        ("8", "must be a whole number with a unit"),
        ("3T", "must not be more than 2T"),
    ] {
        for command in [&["build", "--node", "2"][..], &["plan"]] {
            let arguments = [command, &["--image-size", size]].concat();
            pibake(dir.path(), &arguments).code(2).stderr(contains(said));
        }
    }
    std::fs::write(&description, "base.image = \"sample\"\n[image]\nsize = \"8 X\"\n").unwrap();
    pibake(dir.path(), &["build"])
        .code(2)
        .stderr(contains("pibake.toml:3:8: image.size: must be a whole number"));
    assert_eq!(std::fs::metadata(dir.path().join("images/node-2.img")).unwrap().len(), 2 * GIB);
}

#[test]
fn what_cannot_be_built_leaves_no_image() {
    let dir = tempfile::tempdir().unwrap();
    pibake(dir.path(), &["build", "--base", "samlpe"]).code(2).stderr(contains("did you mean sample"));
    pibake(dir.path(), &["build", "--base", "sample", "--node", "9"])
        .code(2)
        .stderr(contains("there is no node 9"));
    pibake(dir.path(), &["build", "--base", "20.04.5", "--offline"]).code(1);
    std::fs::write(dir.path().join("file"), "x").unwrap();
    pibake(dir.path(), &["build", "--base", "sample", "-o", "file/below"])
        .code(2)
        .stderr(contains("is not a folder"));
    let garbage = dir.path().join("garbage.img");
    std::fs::write(&garbage, vec![7; 1 << 20]).unwrap();
    pibake(dir.path(), &["build", "--base", "./garbage.img"]).failure();
    assert_eq!(images_in(&dir.path().join("images")), 0, "something was left in images/");
}

#[test]
fn whatever_waits_for_another_says_so_and_ends_on_the_first_signal() {
    let dir = tempfile::tempdir().unwrap();
    pibake(dir.path(), &["build", "--base", "sample", "--node", "1"]).success();
    for arguments in
        [&["token", "new", "2", "-q"][..], &["boot", "--print", "--base", "sample", "--node", "1"]]
    {
        waits_and_ends(dir.path(), arguments, STATE);
    }
    let list = Lock {
        file: "images/.pibake-images.lock",
        waits: "another pibake is writing the list of images in ",
        cancelled: "cancelled while another process held the lock ",
    };
    waits_and_ends(dir.path(), &["build", "--base", "sample", "--node", "2", "--quiet"], list);
    let fresh = tempfile::tempdir().unwrap();
    waits_and_ends(fresh.path(), &["build", "--base", "sample", "--node", "1"], STATE);
    assert!(!fresh.path().join(".pibake").exists());
}

/// A lock, and what is said of it.
struct Lock {
    file: &'static str,
    waits: &'static str,
    cancelled: &'static str,
}

const STATE: Lock = Lock {
    file: ".pibake.lock",
    waits: "another pibake is using .pibake; waiting for it (Ctrl-C cancels)",
    cancelled: "cancelled while another pibake was using .pibake: nothing in it was changed",
};

fn waits_and_ends(dir: &Path, arguments: &[&str], held: Lock) {
    let lock = File::create(dir.join(held.file)).unwrap();
    lock.lock().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pibake"))
        .current_dir(dir)
        .env("XDG_CACHE_HOME", dir.join("cache"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(held.waits) {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended and said: {said}");
        said += &line;
    }
    let pid = rustix::process::Pid::from_child(&child);
    let asked = Instant::now();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(2), "{said}");
    assert!(said.contains(held.cancelled), "{said}");
}

#[test]
fn whoever_calls_may_hold_a_lock_on_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = File::open(dir.path()).unwrap();
    folder.lock().unwrap();
    for arguments in
        [&["build", "--base", "sample", "--node", "1"][..], &["plan", "--base", "sample", "--node", "1"]]
    {
        let mut command = Command::cargo_bin("pibake").unwrap();
        command.current_dir(dir.path()).env("XDG_CACHE_HOME", dir.path().join("cache"));
        command.timeout(Duration::from_secs(60)).args(arguments).assert().success();
    }
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".pibake", "cache", "images"]);
}

#[test]
fn paths_that_are_not_utf_8_are_told_in_json() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    std::fs::create_dir(&odd).unwrap();
    let run = |arguments: &[&str], path: Option<&Path>| {
        let mut command = Command::cargo_bin("pibake").unwrap();
        command.current_dir(&odd).env("XDG_CACHE_HOME", odd.join("cache")).args(arguments).args(path);
        let output = command.assert().success().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&output).unwrap()
    };
    let folder = odd.join(std::ffi::OsStr::from_bytes(b"out\xfe"));
    let built = run(&["build", "--base", "sample", "--node", "1", "--json", "-o"], Some(&folder));
    assert!(built["images"][0]["path"].as_str().unwrap().contains('\u{fffd}'));
    assert!(built["images"][0]["path_base64"].is_string());
    let fetched = run(&["fetch", "sample", "--json"], None);
    assert!(fetched["base"]["path_base64"].is_string());
    assert!(run(&["init", "--json"], Some(&odd.join("new")))["path_base64"].is_string());
    run(&["plan", "--base", "sample", "--node", "1", "--json"], None);
    run(&["drives", "--json"], None);
}

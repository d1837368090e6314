//! Whatever ends a build, no image stands under its name unless it is whole.

use std::fs::OpenOptions;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pibake::error::{ErrorClass, Failure};
use pibake::io::CancelToken;
use pibake::progress::Silent;
use pibake::sink::{Build, Error, Format};
use rand::RngExt;

use crate::bases::{expected, hidden, nodes, patch, sparse_base, stream, writes};

const MIB: u64 = 1 << 20;
const LEN: u64 = 96 * MIB;
const NODES: usize = 3;

fn base(dir: &Path) -> PathBuf {
    let base = dir.join("base.img");
    sparse_base(&base, LEN, &[(0, 30 << 20), (60 * MIB, 20 << 20)]);
    base
}

fn prepare(dir: &Path, names: Vec<String>) -> Result<Build, Error> {
    Build::prepare(dir, Format::Raw, names, None, &CancelToken::default())
}

fn said(error: &(dyn std::error::Error + 'static)) -> String {
    pibake::error::one_line(error)
}

/// Not a test by itself: the build that other tests start as a process of its own, to end it.
#[test]
#[ignore = "started by other tests"]
fn child() {
    let Ok(dir) = std::env::var("SINK_TEST_DIR") else { return };
    let dir = PathBuf::from(dir);
    let base = dir.join("base.img");
    let format = std::env::var("SINK_TEST_FORMAT").unwrap().parse().unwrap();
    let build =
        Build::prepare(&dir.join("images"), format, nodes(NODES), None, &CancelToken::default()).unwrap();
    match build.finish(&base, &|node| Ok(patch(&base, &writes(node, LEN))), &Silent) {
        Ok(_) => println!("built"),
        Err(e) => println!("failed: {}", said(&e)),
    }
}

fn start(dir: &Path, format: Format, limit: Option<u64>) -> Child {
    let test = std::env::current_exe().unwrap();
    let mut command = match limit {
        None => Command::new(test),
        Some(kibibytes) => {
            // Without the trap the kernel ends the process instead of failing its write.
            let mut shell = Command::new("bash");
            shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" \"$@\"")).arg(test);
            shell
        }
    };
    command
        .args([&support::test_name(module_path!(), "child"), "--exact", "--ignored", "--nocapture"])
        .env("SINK_TEST_DIR", dir)
        .env("SINK_TEST_FORMAT", format.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn output(mut child: Child) -> String {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text
}

/// How many images stand under their names; panics if one is not whole.
fn whole_images(dir: &Path, format: Format) -> usize {
    let base = dir.join("base.img");
    let present =
        nodes(NODES).into_iter().map(|node| (dir.join("images").join(format.file_name(&node)), node));
    present
        .filter(|(path, _)| path.exists())
        .inspect(|(path, node)| {
            let wanted = expected(&base, &writes(node, LEN));
            let found = match format {
                Format::Zst => zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap(),
                _ => std::fs::read(path).unwrap(),
            };
            assert!(found == wanted, "{} is not whole", path.display());
        })
        .count()
}

#[test]
fn killed_at_any_moment() {
    let work = tempfile::tempdir().unwrap();
    base(work.path());
    let images = work.path().join("images");
    let mut noise = support::noise::noise(u64::from(std::process::id()));
    for format in [Format::Raw, Format::Zst] {
        let began = std::time::Instant::now();
        assert!(output(start(work.path(), format, None)).contains("built"));
        let whole = began.elapsed();
        assert_eq!(whole_images(work.path(), format), NODES);
        let mut remnants = 0;
        for _ in 0..12 {
            std::fs::remove_dir_all(&images).unwrap();
            let mut child = start(work.path(), format, None);
            std::thread::sleep(whole.mul_f64(noise.random_range(0.0..1.1)));
            child.kill().unwrap();
            child.wait().unwrap();
            if images.exists() {
                remnants += hidden(&images).len();
                whole_images(work.path(), format);
            }
            std::fs::create_dir_all(&images).unwrap();
        }
        assert!(remnants > 0, "no build was killed in its middle: this test shows nothing");
        assert!(output(start(work.path(), format, None)).contains("built"));
        assert_eq!(whole_images(work.path(), format), NODES);
        assert_eq!(hidden(&images), [""; 0], "remnants of killed builds");
    }
}

#[test]
fn two_builds_into_one_folder() {
    let work = tempfile::tempdir().unwrap();
    base(work.path());
    let both = [(); 2].map(|()| start(work.path(), Format::Raw, None));
    for child in both {
        let text = output(child);
        assert!(text.contains("built"), "{text}");
    }
    assert_eq!(whole_images(work.path(), Format::Raw), NODES);
    assert_eq!(hidden(&work.path().join("images")), [""; 0]);
}

#[test]
fn a_file_that_must_not_grow_ends_the_build() {
    let work = tempfile::tempdir().unwrap();
    base(work.path());
    for (format, limit) in [(Format::Raw, 40 << 10), (Format::Qcow2, 20 << 10), (Format::Zst, 10 << 10)] {
        let text = output(start(work.path(), format, Some(limit)));
        assert!(text.contains("failed: writing ") && text.contains("File too large"), "{format}: {text}");
        assert_eq!(std::fs::read_dir(work.path().join("images")).unwrap().count(), 0);
    }
}

#[test]
fn folders_that_cannot_be_used() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    for dir in [file.clone(), file.join("deeper"), file.join("deeper/still")] {
        let error = prepare(&dir, nodes(1)).err().unwrap();
        assert!(matches!(&error, Error::NotAFolder { path } if *path == file), "{}", said(&error));
    }
    // Not even root can make files there.
    let error = prepare(Path::new("/proc/self"), nodes(1)).err().unwrap();
    assert!(matches!(error, Error::Unwritable { .. }), "{}", said(&error));
    let error = prepare(Path::new("/proc/images"), nodes(1)).err().unwrap();
    assert!(matches!(error, Error::Folder { .. }), "{}", said(&error));
    let dir = work.path().join("images");
    std::fs::create_dir_all(dir.join("node-2.img")).unwrap();
    let error = prepare(&dir, nodes(2)).err().unwrap();
    assert!(matches!(&error, Error::Obstructed { path } if *path == dir.join("node-2.img")));
}

#[test]
fn names_that_cannot_be_files() {
    let work = tempfile::tempdir().unwrap();
    for names in
        [vec![""], vec!["a/b"], vec!["../a"], vec![".a"], vec!["a", "b", "a"], vec![&*"x".repeat(201)]]
    {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let error = prepare(&work.path().join("images"), names.clone()).err().unwrap();
        assert!(matches!(error, Error::Name { .. }), "{names:?}: {}", said(&error));
    }
    assert!(!work.path().join("images").exists(), "nothing is made before all is checked");
}

#[test]
fn a_base_is_never_replaced_by_its_own_image() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("node-2.img");
    sparse_base(&base, MIB, &[(0, 100)]);
    let before = std::fs::read(&base).unwrap();
    let build = prepare(work.path(), nodes(3)).unwrap();
    let error = build.finish(&base, &|_| Ok(patch(&base, &[])), &Silent).unwrap_err();
    assert!(matches!(&error, Error::Base { path } if *path == base), "{}", said(&error));
    assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&base).unwrap(), before);
}

#[test]
fn a_base_that_is_not_there() {
    let work = tempfile::tempdir().unwrap();
    let build = prepare(&work.path().join("images"), nodes(1)).unwrap();
    let error = build.finish(&work.path().join("none"), &|_| unreachable!(), &Silent).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{}", said(&error));
}

#[test]
fn a_node_that_cannot_be_baked_ends_the_build() {
    let work = tempfile::tempdir().unwrap();
    let base = base(work.path());
    let dir = work.path().join("images");
    for failing in ["node-1", "node-3"] {
        let build = prepare(&dir, nodes(3)).unwrap();
        let bake = |node: &str| {
            if node == failing {
                Err(Failure::new(ErrorClass::Failed, "no flour"))
            } else {
                Ok(patch(&base, &[]))
            }
        };
        let error = build.finish(&base, &bake, &Silent).unwrap_err();
        assert_eq!(said(&error), format!("baking {failing}: no flour"));
        assert_eq!(hidden(&dir), [""; 0]);
        assert!(!dir.join(format!("{failing}.img")).exists());
    }
}

#[test]
fn interrupted_before_between_and_within() {
    let work = tempfile::tempdir().unwrap();
    let base = base(work.path());
    let dir = work.path().join("images");
    let small = work.path().join("small.img");
    sparse_base(&small, 9 * MIB, &[(0, 1 << 20), (7 * MIB, 1 << 20)]);
    for (format, base) in
        Format::ALL.map(|format| (format, if format == Format::Raw { &base } else { &small }))
    {
        for at in ["node-1", "node-2", "node-3"] {
            let cancel = CancelToken::default();
            let build = Build::prepare(&dir, format, nodes(3), None, &cancel).unwrap();
            let bake = |node: &str| {
                if node == at {
                    cancel.cancel();
                }
                Ok(patch(base, &[]))
            };
            let error = build.finish(base, &bake, &Silent).unwrap_err();
            assert!(matches!(error, Error::Cancelled), "{}", said(&error));
            assert_eq!(hidden(&dir), [""; 0]);
        }
    }
    let cancel = CancelToken::default();
    let mut build = Build::prepare(&dir, Format::Raw, nodes(3), None, &cancel).unwrap();
    if let Some(observer) = build.observer(work.path()) {
        stream(observer, &[1; 9 << 20], Some(LEN));
        cancel.cancel();
        stream(observer, &[1; 9 << 20], Some(LEN));
    }
    drop(build);
    assert_eq!(hidden(&dir), [""; 0]);
}

#[test]
fn a_living_builds_files_stay() {
    // A file that someone holds locked is not a remnant, however long it stands there.
    let work = tempfile::tempdir().unwrap();
    let held = work.path().join(".node-1.img.aaaaaaaa.tmp");
    let file = OpenOptions::new().write(true).create_new(true).open(&held).unwrap();
    file.lock().unwrap();
    prepare(work.path(), nodes(1)).unwrap();
    assert!(held.exists());
    drop(file);
    std::thread::sleep(Duration::from_millis(1));
    prepare(work.path(), nodes(1)).unwrap();
    assert!(!held.exists());
}

//! The base image `sample` that lies in the binary is what `tests/sample/make.sh` makes: a disk
//! laid out as Ubuntu 20.04's, with its files' names, and clean.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pibake::disk::{Kind, Scheme};
use pibake::fs::FileKind;
use pibake::image_path::ImagePath;
use pibake::image_reader::ImageReader;
use support::images::{self, Places};
use support::run;

/// Ubuntu 20.04's partitions in bytes.
const PLACES: Places = Places { boot: (2048 * 512, 524_288 * 512), root: (526_336 * 512, 128 << 20) };

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Decompresses an image, zeros as holes.
fn unpack(packed: &Path, image: &Path) {
    let mut from = liblzma::read::XzDecoder::new(File::open(packed).unwrap());
    let to = File::create(image).unwrap();
    let mut chunk = Vec::new();
    let mut at = 0;
    while from.by_ref().take(1 << 20).read_to_end(&mut chunk).unwrap() > 0 {
        if chunk.iter().any(|b| *b != 0) {
            to.write_all_at(&chunk, at).unwrap();
        }
        at += chunk.len() as u64;
        chunk.clear();
    }
    to.set_len(at).unwrap();
}

/// Every path of both file systems, the boot partition below `/boot/firmware`, with all that is
/// known of it.
fn tree(image: &Path) -> BTreeMap<String, String> {
    let opened = ImageReader::open(image).unwrap();
    let mut found = BTreeMap::new();
    let mut todo = vec![ImagePath::root()];
    while let Some(dir) = todo.pop() {
        for (name, metadata) in opened.list(&dir).unwrap() {
            let path = dir.join(&String::from_utf8(name).unwrap()).unwrap();
            let mut content = Vec::new();
            match metadata.kind {
                FileKind::Directory => todo.push(path.clone()),
                FileKind::File | FileKind::Symlink => opened.read(&path, &mut content).unwrap(),
                other => panic!("{path} is {other:?}"),
            }
            found.insert(path.to_string(), format!("{metadata:?} {}", String::from_utf8_lossy(&content)));
        }
    }
    found
}

#[test]
fn it_has_ubuntus_layout_and_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let packed = project("src/base/sample.img.xz");
    assert!(std::fs::metadata(&packed).unwrap().len() < 100_000, "it lies in the binary");
    let image = dir.path().join("sample.img");
    unpack(&packed, &image);

    let opened = ImageReader::open(&image).unwrap();
    assert_eq!(opened.scheme, Scheme::Mbr);
    let partitions: Vec<_> = opened.partitions.iter().map(|p| (p.kind, (p.offset, p.len))).collect();
    assert_eq!(partitions, [(Kind::Fat, PLACES.boot), (Kind::Linux, PLACES.root)]);
    assert_eq!(opened.len, PLACES.root.0 + PLACES.root.1);
    images::assert_clean(&image, PLACES);

    let text = |path: &str| {
        let mut content = Vec::new();
        opened.read(&ImagePath::new(path).unwrap(), &mut content).unwrap();
        String::from_utf8(content).unwrap()
    };
    assert!(text("/boot/firmware/README").contains("does not boot"));
    assert!(text("/boot/firmware/cmdline.txt").contains("root=LABEL=writable"));
    assert_eq!(text("/boot/firmware/cmdline.txt").lines().count(), 1);
    assert!(text("/usr/lib/os-release").contains("VERSION_ID=\"20.04\""));
    assert_eq!(text("/etc/machine-id"), "");
    let mut kernel = String::new();
    let mut packed = Vec::new();
    opened.read(&ImagePath::new("/boot/firmware/vmlinuz").unwrap(), &mut packed).unwrap();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut kernel).unwrap();
    assert!(kernel.contains("no kernel"));
}

/// Other versions of mke2fs and xz make other bytes of it, but the same disk: so what is compared
/// is what is in it.
#[test]
fn the_script_makes_the_one_in_the_binary() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made.img.xz");
    run(std::process::Command::new(project("tests/sample/make.sh")).arg(&made));
    let [made, kept] = [made, project("src/base/sample.img.xz")].map(|packed| {
        let image = dir.path().join("image");
        unpack(&packed, &image);
        tree(&image)
    });
    assert!(made.len() > 100, "{} paths", made.len());
    for (path, what) in &made {
        assert_eq!(Some(what), kept.get(path), "{path}");
    }
    assert_eq!(made.len(), kept.len());
}

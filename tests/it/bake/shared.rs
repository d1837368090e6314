//! Files that nodes share: laid into the base once, under every node's own changes.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pibake::bake::{Error, LargeFile, Proof, Shared, Size, needed, room};
use pibake::disk::{FileDevice, Patch, Patched, ReadAt, partitions};
use pibake::error::{Classified, ErrorClass, one_line};
use pibake::image_path::ImagePath;
use pibake::recipe::{Recipe, Volume};
use support::images::{self, Places, Spec};
use support::{noise, run, tool};

use super::{CLOCK, device, recipe, write, write_out};

fn large<'a>(path: &str, content: &'a [u8]) -> LargeFile<'a> {
    LargeFile {
        path: ImagePath::new(path).unwrap(),
        len: content.len() as u64,
        open: Box::new(move || Ok(Box::new(Cursor::new(content)))),
    }
}

fn lay(base: &Path, below: &Shared, files: &[LargeFile<'_>]) -> Result<Shared, Error> {
    lay_in(base, below, Size::default(), files)
}

/// The same in an image of this size.
fn lay_in(base: &Path, below: &Shared, size: Size, files: &[LargeFile<'_>]) -> Result<Shared, Error> {
    Shared::lay(device(base), below, size, files, tempfile::tempfile().unwrap(), CLOCK)
}

fn bake(base: &Path, shared: &Shared, recipe: &Recipe) -> (Patch, Proof) {
    pibake::bake::bake(device(base), shared, recipe, Size::default(), CLOCK).unwrap()
}

/// What debugfs reads of a file in the image.
fn content(image: &Path, places: Places, path: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (ext4, out) = (dir.path().join("p2"), dir.path().join("out"));
    images::extract(image, places.root, &ext4);
    let request = format!("dump {path} {}", out.display());
    run(tool("debugfs", "e2fsprogs").args(["-R", &request]).arg(&ext4));
    std::fs::read(out).unwrap_or_else(|_| panic!("{path} is not there"))
}

const FOLDER: &str = "/var/lib/pibake/payload";

#[test]
fn what_is_shared_is_on_every_node_under_its_own_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (base, places) = Spec::default().make(dir.path());
    let big = noise::bytes(1, 20 << 20);
    let odd = noise::bytes(2, (3 << 20) + 4097);
    let contents: [(String, &[u8]); 5] = [
        (format!("{FOLDER}/big"), &big),
        (format!("{FOLDER}/deep/er/odd"), &odd),
        (format!("{FOLDER}/empty"), b""),
        ("/etc/hosts".to_owned(), b"shared, in the place of one of the base\n"),
        ("/etc/key".to_owned(), b"the shared one"),
    ];
    let files: Vec<_> = contents.iter().map(|(path, content)| large(path, content)).collect();
    let (common, own) = files.split_at(4);
    let shared = lay(&base, &Shared::default(), common).unwrap();
    let role = lay(&base, &shared, own).unwrap();

    let changes = vec![write(Volume::Root, "/etc/x", b"x", 0o600)];
    let other = Recipe { node: "node-2".into(), board: None, modules: vec![], disk_id: [7; 16], changes };
    let mut first = recipe();
    // it removes /etc/hosts, too, which is shared
    first.changes.push(write(Volume::Root, "/etc/key", b"the recipe's", 0o600));
    for (number, recipe, expected) in [(1, &first, b"node-1\n"), (2, &other, b"ubuntu\n")] {
        let (patch, proof) = bake(&base, &role, recipe);
        let image = dir.path().join(format!("{number}.img"));
        write_out(&base, &patch, &image);
        images::assert_clean(&image, places);
        for (path, wanted) in &contents {
            assert!(content(&image, places, path) == *wanted, "{path} of node {number}");
        }
        assert_eq!(content(&image, places, "/etc/hostname"), expected);
        proof.check(&device(&image)).unwrap();
        // the same bytes, whoever is baked before, and whatever file the blocks are kept in
        let again = lay(&base, &lay(&base, &Shared::default(), common).unwrap(), own).unwrap();
        let (patch, _) = bake(&base, &again, recipe);
        let once_more = dir.path().join("again.img");
        write_out(&base, &patch, &once_more);
        assert!(std::fs::read(&once_more).unwrap() == std::fs::read(&image).unwrap());
    }

    // a proof misses what is shared
    let (_, proof) = bake(&base, &role, &other);
    let (own, _) = bake(&base, &Shared::default(), &other);
    let image: Arc<dyn ReadAt> = Arc::new(Patched::new(device(&base), own));
    let mismatch = proof.check(&image).unwrap_err();
    assert!(mismatch.path.starts_with("/etc/hosts") || mismatch.path.starts_with(FOLDER), "{mismatch}");
}

/// Where there is too little room the image becomes larger once, for what all nodes have and for what is laid over it.
#[test]
fn an_image_grows_for_what_is_laid_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let (base, places) = Spec::default().make(dir.path());
    let contents = [noise::bytes(1, 70 << 20), noise::bytes(2, 30 << 20)];
    let free = needed(contents.iter().map(|content| content.len() as u64), 4096);
    let planned = room(device(&base), Size { image: None, free }).unwrap();
    assert!(planned.image > std::fs::metadata(&base).unwrap().len());
    let [common, own] = ["common", "own"].map(|name| format!("{FOLDER}/{name}"));
    // also where nothing is common, and where the size was asked for
    for (size, is_shared) in [
        (Size { image: None, free }, true),
        (Size { image: None, free }, false),
        (Size { image: Some(1 << 30), free }, true),
    ] {
        let first = [large(&common, &contents[0])];
        let rest = [large(&own, &contents[1])];
        let below = lay_in(&base, &Shared::default(), size, if is_shared { &first } else { &[] }).unwrap();
        let shared = lay_in(&base, &below, Size { free: 0, ..size }, &rest).unwrap();
        let asked = Size { free: 0, ..size };
        let (patch, proof) = pibake::bake::bake(device(&base), &shared, &recipe(), asked, CLOCK).unwrap();
        let image = dir.path().join("node.img");
        write_out(&base, &patch, &image);
        let len = std::fs::metadata(&image).unwrap().len();
        assert_eq!(len, size.image.unwrap_or(planned.image));
        let (_, found) = partitions(&FileDevice::open(&image).unwrap()).unwrap();
        let grown = Places { root: (found[1].offset, found[1].len), ..places };
        assert!(grown.root.1 > places.root.1);
        images::assert_clean(&image, grown);
        proof.check(&device(&image)).unwrap();
        assert!(content(&image, grown, &own) == contents[1]);
        assert!(!is_shared || content(&image, grown, &common) == contents[0]);
    }
}

/// How many small files there are before half of them go: 48 MiB of 64.
const FILES: usize = 6000;

/// Free space in pieces of two blocks, as a file system has it in which many small files came and went; and some of it
/// in one piece.
fn fragmented(dir: &Path) -> (PathBuf, Places) {
    let root = dir.join("root");
    for (path, content) in images::ROOT_FILES {
        images::put(&root.join(path), content);
    }
    for n in 0..FILES {
        images::put(&root.join(format!("{}/{n}", n % 50)), &"x".repeat(8192));
    }
    let (image, places) = Spec::default().make_from(dir, &root);
    let ext4 = dir.join("p2");
    images::extract(&image, places.root, &ext4);
    // every second one of each folder goes
    let requests: String =
        (0..FILES).filter(|n| n / 50 % 2 == 0).map(|n| format!("rm /{}/{n}\n", n % 50)).collect();
    let script = dir.join("requests");
    std::fs::write(&script, requests).unwrap();
    run(tool("debugfs", "e2fsprogs").arg("-w").arg("-f").arg(&script).arg(&ext4));
    let repaired = tool("e2fsck", "e2fsprogs").arg("-fy").arg(&ext4).output().unwrap();
    assert!(matches!(repaired.status.code(), Some(0 | 1)), "{repaired:?}");
    images::splice(&ext4, &image, places.root.0);
    (image, places)
}

#[test]
fn a_file_system_whose_free_space_is_in_pieces_is_filled_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (base, places) = fragmented(dir.path());
    let free = room(device(&base), Size::default()).unwrap().free;
    // what is asked to stay free
    let most = free - (16 << 20) - (1 << 20);
    for len in [most / 2, most] {
        let file = noise::bytes(3, len as usize);
        let path = format!("{FOLDER}/big");
        match lay(&base, &Shared::default(), &[large(&path, &file)]) {
            Ok(shared) => {
                let (patch, _) = bake(&base, &shared, &recipe());
                let image = dir.path().join("node.img");
                write_out(&base, &patch, &image);
                images::assert_clean(&image, places);
                assert!(content(&image, places, &path) == file);
            }
            // an editor that cannot keep so many extents of one file says so
            Err(error) => {
                assert!(len == most && error.class() == ErrorClass::Refused, "{}", one_line(&error));
            }
        }
    }
}

struct Broken(usize, io::ErrorKind);

impl Read for Broken {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::new(self.1, "it was changed meanwhile"));
        }
        let count = buf.len().min(self.0);
        self.0 -= count;
        buf[..count].fill(7);
        Ok(count)
    }
}

#[test]
fn what_cannot_be_laid_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = Spec::default().make(dir.path());
    let path = format!("{FOLDER}/x");
    for (kind, class) in [
        (io::ErrorKind::InvalidData, ErrorClass::Verification),
        (io::ErrorKind::TimedOut, ErrorClass::Failed),
    ] {
        let open = Box::new(move || -> io::Result<Box<dyn Read>> { Ok(Box::new(Broken(3 << 20, kind))) });
        let file = LargeFile { path: ImagePath::new(&path).unwrap(), len: 4 << 20, open };
        let error = lay(&base, &Shared::default(), &[file]).unwrap_err();
        assert_eq!(error.class(), class);
        assert_eq!(
            one_line(&error),
            "laying /var/lib/pibake/payload/x into the image: it was changed meanwhile"
        );
    }
    let len = std::fs::metadata(&base).unwrap().len();
    let open = Box::new(|| -> io::Result<Box<dyn Read>> { panic!("it is not read") });
    let file = LargeFile { path: ImagePath::new(&path).unwrap(), len: 60 << 20, open };
    let size = Size { image: Some(len), free: needed([60 << 20].into_iter(), 4096) };
    let error = lay_in(&base, &Shared::default(), size, &[file]).unwrap_err();
    assert!(matches!(error, Error::NoRoom { image, .. } if image == len), "{}", one_line(&error));
    assert_eq!(error.class(), ErrorClass::Configuration);

    let file = [large("/etc/hostname/x", b"x")];
    let error = lay(&base, &Shared::default(), &file).unwrap_err();
    assert!(one_line(&error).contains("is not a directory"), "{}", one_line(&error));
}

/// What is shared lies where a base that was a node has its state, and is not taken for that; such a base still is.
#[test]
fn a_base_that_was_a_node_is_refused_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for (path, content) in images::ROOT_FILES {
        images::put(&root.join(path), content);
    }
    images::put(&root.join("var/lib/pibake/first-boot/complete"), "now\n");
    let (base, _) = Spec::default().make_from(dir.path(), &root);
    let shared = lay(&base, &Shared::default(), &[large(&format!("{FOLDER}/x"), b"x")]).unwrap();
    let error = pibake::bake::bake(device(&base), &shared, &recipe(), Size::default(), CLOCK).unwrap_err();
    assert!(matches!(error, Error::Used(_)), "{}", one_line(&error));
}

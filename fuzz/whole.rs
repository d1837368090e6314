//! What must hold of whole file systems and cards, however they are damaged: nothing panics, nothing
//! goes on for ever, nothing is held that is larger than its limit; and of undamaged ones, that an edit
//! is read back.

use std::io::Write;
use std::sync::Arc;

use pibake::bake::{self, Size};
use pibake::cluster::Platform;
use pibake::disk::{Overlay, Patched, Qcow2, Ranges, ReadAt, partitions};
use pibake::fs::ext4::{Ext4, Ext4View};
use pibake::fs::fat::{Clock, Fat, FatView};
use pibake::fs::{self, Attributes, FileKind, FsEdit, FsRead};
use pibake::image_path::ImagePath;
use pibake::image_reader::ImageReader;
use pibake::recipe::{Access, Action, Change, Recipe, Secrecy, Volume};
use pibake::ui::visible;

use super::panics::caught;
use super::patch::{Changed, mend_card, mend_ext4, mend_gpt, nothing, patched};
use super::{checks, seeds};

const NOW: i64 = 1_700_000_000;
const CLOCK: &Clock = &Clock::new(NOW);
const NEW: &[u8] = b"what was written\n";

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("a path")
}

/// More than any file has that is read into memory.
const SMALL: u64 = 1 << 20;

/// The content of a file, of a length which damage may have made anything.
fn content(fs: &dyn FsRead, name: &str) -> Result<Vec<u8>, fs::Error> {
    fs.content(&path(name), SMALL)
}

/// A session as a bake's, as far as it gets.
fn edit(fs: Box<dyn FsEdit>, links: bool) -> Result<(), fs::Error> {
    let attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: NOW };
    fs.names(&ImagePath::root())?;
    for name in ["/etc/hostname", "/cmdline.txt"] {
        if fs.metadata(&path(name))?.is_some() {
            content(fs.as_ref(), name)?;
            fs.write(&path(name), &mut &NEW[..], attributes)?;
        }
    }
    fs.create_dir(&path("/new"), Attributes { mode: 0o755, ..attributes })?;
    fs.write(&path("/new/file"), &mut &NEW[..], attributes)?;
    fs.write(&path("/new/large"), &mut &vec![7; 20_000][..], attributes)?;
    if links {
        fs.symlink(&path("/new/link"), "file")?;
    }
    fs::remove_all(fs.as_ref(), &path("/many"))?;
    fs.remove(&path("/new/large"))?;
    content(fs.as_ref(), "/new/file")?;
    fs.finish()
}

/// ext4: opened, edited, closed, and read by the other reader.
pub fn ext4_editor(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::ext4s(), mend_ext4);
    let device = Arc::new(Overlay::new(image));
    let edited = caught(|| Ext4::open(Arc::clone(&device), NOW).and_then(|fs| edit(Box::new(fs), true)));
    let read = Ext4View::open(Arc::clone(&device)).and_then(|view| content(&view, "/new/file"));
    if !changed {
        edited.expect("no panic").expect("a sound file system can be edited");
        assert_eq!(read.expect("what was written can be read"), NEW);
    }
}

/// ext4: looked into, as a card from somebody else is.
pub fn ext4_reader(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::ext4s(), mend_ext4);
    let opened = Ext4::open_for_reading(Overlay::new(image));
    let Ok(fs) = opened else {
        assert!(changed, "a sound file system can be read");
        return;
    };
    for folder in ["/", "/etc", "/many", "/var/log/pibake"] {
        let Ok(entries) = fs.entries(&path(folder)) else { continue };
        for (name, metadata) in entries.into_iter().take(200) {
            let Some(name) = String::from_utf8(name).ok().and_then(|n| path(folder).join(&n).ok()) else {
                continue;
            };
            if metadata.kind == FileKind::File {
                let _ = fs.read_tail(&name, 4096);
            } else if metadata.kind == FileKind::Symlink && metadata.len < 1 << 20 {
                let _ = fs.read(&name, &mut Vec::new());
            }
        }
    }
}

/// FAT: opened, edited, closed, and read by the other reader.
pub fn fat_editor(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::fats(), nothing);
    let device = Arc::new(Overlay::new(image));
    let edited = caught(|| Fat::open(Arc::clone(&device), CLOCK).and_then(|fs| edit(Box::new(fs), false)));
    let read = FatView::open(Arc::clone(&device)).and_then(|view| content(&view, "/new/file"));
    if !changed {
        edited.expect("no panic").expect("a sound file system can be edited");
        assert_eq!(read.expect("what was written can be read"), NEW);
    }
}

/// FAT: every file and folder that can be reached.
pub fn fat(input: &[u8]) {
    checks::fat_in(patched(input, seeds::fats(), nothing).image);
}

/// What is looked at before an ext4 is edited.
pub fn ext4_superblock(input: &[u8]) {
    let Changed { mut image, .. } = patched(input, seeds::superblocks(), mend_ext4);
    image.head.truncate(2048);
    checks::ext4_superblock(&image.head);
}

/// A card, as `inspect`, `logs` and `flash` look into it: also files that the seeds do not have.
pub fn card(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::cards(), mend_card);
    let len = image.len;
    let image: Arc<dyn ReadAt> = Arc::new(image);
    if let Ok(used) = fs::used(&image, &Ranges::new()) {
        assert!(
            used.ranges.iter().all(|r| r.start < r.end && r.end <= len),
            "used beyond the end of the card"
        );
    }
    let Ok(card) = ImageReader::of(image) else {
        assert!(changed, "a sound card can be opened");
        return;
    };
    let layout = card.layout();
    assert!(changed || layout.is_ok(), "a sound card has both partitions: {:?}", layout.err());
    for folder in ["/", "/home", "/var/log/pibake", "/boot/firmware", "/boot/firmware/overlays"] {
        for (name, metadata) in card.list(&path(folder)).unwrap_or_default().into_iter().take(100) {
            let Some(name) = String::from_utf8(name).ok().and_then(|n| path(folder).join(&n).ok()) else {
                continue;
            };
            if metadata.kind == FileKind::File && metadata.len <= 1 << 20 {
                let _ = card.read(&name, &mut Vec::new());
            }
        }
    }
    for name in [
        "/usr/lib/os-release",
        "/etc/os-release",
        "/etc/hostname",
        "/etc/pibake/node.env",
        "/etc/kubernetes/pki/ca.crt",
        "/boot/firmware/cmdline.txt",
    ] {
        if let Ok(Some(content)) = card.read_whole(&path(name), 4096) {
            assert!(content.len() <= 4096, "more is held than its limit");
            let _ = Platform::from_os_release(&String::from_utf8_lossy(&content));
        }
    }
    for name in ["/var/log/pibake/first-boot.log", "/var/log/pibake/status", "/sparse"] {
        if let Ok(tail) = card.read_tail(&path(name), 4096) {
            assert!(tail.len() <= 4096, "more is held than its limit");
            let tail = String::from_utf8_lossy(&tail);
            let shown = visible(&tail);
            assert!(shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "a terminal obeys it");
        }
    }
}

fn recipe() -> Recipe {
    let access = Access::root(0o644);
    let write = |volume, at: &str, content: &[u8]| Change {
        volume,
        path: path(at),
        action: Action::Write { content: content.to_vec(), access, secrecy: Secrecy::Public },
    };
    let on_root = |at: &str, action| Change { volume: Volume::Root, path: path(at), action };
    let arguments = ["cgroup_enable=memory", "cgroup_memory=1"].map(|text| text.parse().unwrap()).to_vec();
    let line = Action::KernelArguments { line: None, set: arguments, unset: Vec::new() };
    Recipe {
        node: "node-1".into(),
        board: None,
        modules: vec![],
        disk_id: [7; 16],
        changes: vec![
            write(Volume::Boot, "/user-data", NEW),
            Change { volume: Volume::Boot, path: path("/cmdline.txt"), action: line },
            write(Volume::Root, "/etc/hostname", b"node-1\n"),
            write(Volume::Root, "/etc/new/in/folders", &[7; 20_000]),
            on_root("/var/lib/new", Action::Directory { access: Access::root(0o700) }),
            on_root("/etc/link", Action::Symlink { target: "new/in/folders".into() }),
            on_root("/many", Action::Remove),
            on_root("/etc/fstab", Action::Fstab),
        ],
    }
}

/// An image as a base: baked, and compared with what was to be baked by the other readers. An image
/// may be refused, but the comparison of what was baked may not fail.
pub fn base_image(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::cards(), mend_card);
    match bake::bake(Arc::new(image), &bake::Shared::default(), &recipe(), Size::default(), CLOCK) {
        Ok(_) => {}
        Err(e) => assert!(changed, "a sound image can be baked on: {e:?}"),
    }
}

/// An image made to fill a card: of a sound one what is baked on it reads back; no other makes growth panic, which
/// is pibake's own code to the last line.
pub fn growth(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::cards(), mend_card);
    let more = u64::from(input.get(1).copied().unwrap_or(100)) << 21;
    let size = Size { image: Some(image.len + more), free: 0 };
    let image: Arc<dyn ReadAt> = Arc::new(image);
    match bake::room(Arc::clone(&image), size) {
        Ok(room) => assert!(room.free <= room.image, "more is free than there is"),
        Err(bake::Error::Panicked(why)) => panic!("{why}"),
        Err(e) => assert!(changed, "a sound image can be made larger: {e:?}"),
    }
    if !changed {
        let (patch, proof) = bake::bake(Arc::clone(&image), &bake::Shared::default(), &recipe(), size, CLOCK)
            .expect("a sound image");
        proof.check(&(Arc::new(Patched::new(image, patch)) as _)).expect("what was baked reads back");
    }
}

/// A qcow2 image: opened, and read from its beginning and near its end.
pub fn qcow2(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::qcow2s(), nothing);
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&image.head).expect("room for it");
    file.as_file().set_len(image.len).expect("room for it");
    let read = Qcow2::open(file.path()).and_then(|disk| {
        let mut content = vec![0; usize::try_from(disk.len().min(1 << 16)).unwrap_or(0)];
        disk.read_at(0, &mut content)?;
        // its size is what the header says, whatever the file has
        let end = disk.len().saturating_sub(700);
        let _ = disk.read_at(end, &mut [0; 700]);
        let _ = disk.read_at(end / 2, &mut [0; 700]);
        Ok(content)
    });
    if !changed {
        assert!(read.expect("a sound image can be read") == seeds::disk_in_qcow2());
    }
}

/// Partition tables that are sound but for a few changes.
pub fn partition_table(input: &[u8]) {
    let Changed { image, changed } = patched(input, seeds::tables(), mend_gpt);
    match partitions(&image) {
        Ok((_, found)) => checks::sound_partitions(found, image.len),
        Err(e) => assert!(changed, "a sound table can be read: {e}"),
    }
}

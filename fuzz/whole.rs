//! What must hold of whole file systems and cards, however they are damaged: nothing panics, nothing
//! goes on for ever, nothing is held that is larger than its limit; and of undamaged ones, that an edit
//! is read back.
#![allow(dead_code)] // each fuzz target calls one of them

use std::sync::Arc;

use pibake::cluster::{Cluster, Overrides, Platform};
use pibake::disk::{MemoryDevice, Overlay, ReadAt, partitions};
use pibake::fs::ext4::{Ext4, Ext4View};
use pibake::fs::fat::{Fat, FatView};
use pibake::fs::{self, Attributes, FileKind, FsEdit, FsRead};
use pibake::image_path::ImagePath;
use pibake::opened::Opened;

use super::patch::{mend_card, mend_ext4, mend_gpt, nothing, patched};
use super::seeds;

const NOW: i64 = 1_700_000_000;
const NEW: &[u8] = b"what was written\n";

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("a path")
}

/// A session as a bake's, as far as it gets.
fn edit(fs: Box<dyn FsEdit>, links: bool) -> Result<(), fs::Error> {
    let attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: NOW };
    fs.list(&ImagePath::root())?;
    for name in ["/etc/hostname", "/cmdline.txt"] {
        if fs.metadata(&path(name))?.is_some() {
            fs.read(&path(name), &mut Vec::new())?;
            fs.write(&path(name), &mut &NEW[..], attributes)?;
        }
    }
    fs.create_dir(&path("/new"), Attributes { mode: 0o755, ..attributes })?;
    fs.write(&path("/new/file"), &mut &NEW[..], attributes)?;
    fs.write(&path("/new/large"), &mut &vec![7; 20_000][..], attributes)?;
    if links {
        fs.symlink(&path("/new/link"), "file")?;
        fs.set_attributes(&path("/new/file"), Attributes { uid: 5, ..attributes })?;
    }
    fs::remove_all(fs.as_ref(), &path("/many"))?;
    fs.remove(&path("/new/large"))?;
    let mut again = Vec::new();
    fs.read(&path("/new/file"), &mut again)?;
    fs.finish()
}

/// ext4: opened, edited, closed, and read by the other reader.
pub fn ext4_editor(input: &[u8]) {
    let (bytes, changed) = patched(input, seeds::ext4s(), mend_ext4);
    let device = Arc::new(Overlay::new(MemoryDevice::new(bytes)));
    let edited = Ext4::open(Arc::clone(&device), NOW).and_then(|fs| edit(Box::new(fs), true));
    let mut again = Vec::new();
    let read = Ext4View::open(Arc::clone(&device)).and_then(|view| view.read(&path("/new/file"), &mut again));
    if !changed {
        edited.expect("a sound file system can be edited");
        read.expect("what was written can be read");
        assert_eq!(again, NEW);
    }
}

/// ext4: looked into, as a card from somebody else is.
pub fn ext4_reader(input: &[u8]) {
    let (bytes, changed) = patched(input, seeds::ext4s(), mend_ext4);
    let opened = Ext4::open_for_reading(Overlay::new(MemoryDevice::new(bytes)));
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
    let (bytes, changed) = patched(input, seeds::fats(), nothing);
    let device = Arc::new(Overlay::new(MemoryDevice::new(bytes)));
    let edited = Fat::open(Arc::clone(&device), NOW).and_then(|fs| edit(Box::new(fs), false));
    let mut again = Vec::new();
    let read = FatView::open(Arc::clone(&device)).and_then(|view| view.read(&path("/new/file"), &mut again));
    if !changed {
        edited.expect("a sound file system can be edited");
        read.expect("what was written can be read");
        assert_eq!(again, NEW);
    }
}

/// A card, as `inspect`, `logs` and `flash` look into it.
pub fn card(input: &[u8]) {
    let (bytes, changed) = patched(input, seeds::cards(), mend_card);
    let Ok(card) = Opened::of(Arc::new(MemoryDevice::new(bytes))) else {
        assert!(changed, "a sound card can be opened");
        return;
    };
    let layout = card.layout();
    assert!(changed || layout.is_ok(), "a sound card has both partitions: {:?}", layout.err());
    for folder in ["/", "/home", "/var/log/pibake", "/boot/firmware", "/boot/firmware/overlays"] {
        let _ = card.list(&path(folder));
    }
    for name in ["/usr/lib/os-release", "/etc/os-release", "/etc/hostname", "/boot/firmware/cmdline.txt"] {
        if let Ok(Some(content)) = card.read_whole(&path(name), 4096) {
            let _ = Platform::from_os_release(&String::from_utf8_lossy(&content));
        }
    }
    for name in ["/var/log/pibake/first-boot.log", "/var/log/pibake/status", "/sparse"] {
        if let Ok(tail) = card.read_tail(&path(name), 4096) {
            assert!(tail.len() <= 4096);
        }
    }
}

/// Partition tables that are sound but for a few changes.
pub fn table_patched(input: &[u8]) {
    let (bytes, changed) = patched(input, seeds::tables(), mend_gpt);
    let device = MemoryDevice::new(bytes);
    match partitions(&device) {
        Ok((_, found)) => {
            for p in found {
                let end = p.offset.checked_add(p.len).expect("a partition ends");
                assert!(p.len > 0 && end <= device.len());
            }
        }
        Err(e) => assert!(changed, "a sound table can be read: {e}"),
    }
}

/// A pibake.toml.
pub fn description(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read =
        || Cluster::parse("pibake.toml", text, std::path::Path::new("/nonexistent"), &Overrides::default());
    match (read(), read()) {
        (Ok(one), Ok(other)) => {
            assert!(!one.nodes.is_empty());
            assert_eq!(one.nodes, other.nodes, "it is read another way the second time");
            let _ = one.warnings();
        }
        // an error quotes no more than it must, and always says something
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        _ => panic!("it is right once and wrong once"),
    }
}

/// An os-release.
pub fn os_release(input: &[u8]) {
    let _ = Platform::from_os_release(&String::from_utf8_lossy(input));
}

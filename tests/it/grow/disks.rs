//! Whole images: the partition is enlarged, then the file system in it; the programs that know partition
//! tables find nothing wrong, and growpart goes on from there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pibake::disk::{
    Extended, FileDevice, Overlay, Partition, ReadAt, Scheme, TableError, WriteAt, enlarge, partitions,
};
use pibake::fs::ext4::grow;
use pibake::fs::layout;
use rand::RngExt;
use support::noise::noise;

use super::{GIB, MIB, copy, set_len};
use crate::writable::{Memory, WritableFile};
use support::images::{self, Places, Spec};
use support::{run, tool};

/// The image made `len` bytes long, as a bake is to do it: in an overlay of which the base is not written.
fn extended(base: &Path, len: u64, to: &Path) -> Partition {
    let device = Overlay::new(Extended::new(FileDevice::open(base).unwrap(), len));
    let device: Arc<dyn WriteAt> = Arc::new(device);
    let (_, found) = partitions(&device).unwrap();
    let layout = layout::find(&(Arc::clone(&device) as Arc<dyn ReadAt>), &found).unwrap();
    let root = enlarge(&device, layout.root.number).unwrap();
    let window = root.open(Arc::clone(&device)).unwrap();
    grow(&window, root.len).unwrap();
    copy(base, to);
    set_len(to, len);
    let out = WritableFile::open(to).unwrap();
    let (mut piece, zeros) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for at in (0..len).step_by(1 << 20) {
        let n = (len - at).min(1 << 20) as usize;
        device.read_at(at, &mut piece[..n]).unwrap();
        if piece[..n] != zeros[..n] {
            out.write_at(at, &piece[..n]).unwrap();
        }
    }
    root
}

/// A program run on an image; its exit code and all that it said.
fn asked(command: &mut Command) -> (Option<i32>, String) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let out = command.env("PATH", path).env("LANG", "C").output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

fn growpart(image: &Path) -> (Option<i32>, String) {
    asked(tool("growpart", "cloud-guest-utils").arg(image).arg("2"))
}

fn table_is_right(image: &Path, gpt: bool) {
    let (code, said) = asked(tool("sfdisk", "fdisk").arg("--verify").arg(image));
    assert!(code == Some(0) && said.contains("No errors detected"), "{said}");
    if gpt {
        let (code, said) = asked(tool("sgdisk", "gdisk").arg("--verify").arg(image));
        assert!(code == Some(0) && said.contains("No problems found"), "{said}");
    }
}

fn made(dir: &Path, gpt: bool) -> (PathBuf, Places) {
    Spec { gpt, fat_mib: 64, ..Spec::default() }.make(dir)
}

fn image_fills_a_card_and_growpart_goes_on(gpt: bool) {
    let dir = tempfile::tempdir().unwrap();
    let (base, places) = made(dir.path(), gpt);
    for len in [GIB, 3 * GIB + 512 * 77] {
        let image = dir.path().join("image");
        let root = extended(&base, len, &image);
        table_is_right(&image, gpt);
        images::assert_clean(&image, Places { root: (root.offset, root.len), ..places });
        // as the same growpart would have made it of the base, to the sector
        let theirs = dir.path().join("theirs");
        copy(&base, &theirs);
        set_len(&theirs, len);
        let (code, said) = growpart(&theirs);
        assert_eq!(code, Some(0), "{said}");
        let found = partitions(&FileDevice::open(&theirs).unwrap()).unwrap().1;
        assert_eq!(found[1], root, "{said}");
        let found = partitions(&FileDevice::open(&image).unwrap()).unwrap();
        assert_eq!((found.0, found.1[1].clone()), (if gpt { Scheme::Gpt } else { Scheme::Mbr }, root));
        // a card of that size has nothing to grow, a larger one has
        let (code, said) = growpart(&image);
        assert!(code == Some(1) && said.contains("NOCHANGE"), "{said}");
        set_len(&image, len + GIB);
        let (code, said) = growpart(&image);
        assert!(code == Some(0) && said.contains("CHANGED"), "{said}");
        table_is_right(&image, gpt);
        let (_, found) = partitions(&FileDevice::open(&image).unwrap()).unwrap();
        let ext4 = dir.path().join("ext4");
        images::extract(&image, (found[1].offset, found[1].len), &ext4);
        run(tool("resize2fs", "e2fsprogs").arg("-f").arg(&ext4));
        super::is_clean(&ext4, "after growpart");
    }
}

#[test]
fn an_image_with_an_mbr_fills_a_card_and_growpart_goes_on() {
    image_fills_a_card_and_growpart_goes_on(false);
}

#[test]
fn an_image_with_a_gpt_fills_a_card_and_growpart_goes_on() {
    image_fills_a_card_and_growpart_goes_on(true);
}

fn head_of(image: &Path) -> Vec<u8> {
    let mut bytes = vec![0; MIB as usize];
    FileDevice::open(image).unwrap().read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn other_partitions_than_the_last_plain_one_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = made(dir.path(), false);
    let refused = |change: &dyn Fn(&mut [u8]), number: u32, said: &str| {
        let overlay = Overlay::new(Extended::new(FileDevice::open(&base).unwrap(), GIB));
        let mut head = head_of(&base);
        change(&mut head[..512]);
        overlay.write_at(0, &head).unwrap();
        let error = enlarge(&overlay, number).unwrap_err();
        assert!(matches!(error, TableError::Fixed { .. }) && error.to_string().contains(said), "{error}");
        let mut after = vec![0; head.len()];
        overlay.read_at(0, &mut after).unwrap();
        assert!(after == head, "{said}: the table was written");
    };
    refused(&|_| (), 1, "another one lies behind it");
    refused(&|_| (), 3, "there is none with this number");
    refused(&|sector| sector[446 + 16 + 4] = 0x0f, 2, "extended");
}

#[test]
fn hybrid_tables_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = made(dir.path(), true);
    let overlay = Overlay::new(Extended::new(FileDevice::open(&base).unwrap(), GIB));
    overlay.write_at(446 + 16, &[0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]).unwrap();
    let error = enlarge(&overlay, 2).unwrap_err();
    assert!(error.to_string().contains("hybrid"), "{error}");
}

/// Tables with bytes changed never make it panic, nor write past the end.
#[test]
fn damaged_tables_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = noise(3);
    for gpt in [false, true] {
        let (base, _) = made(dir.path(), gpt);
        let image: Arc<dyn ReadAt> = Arc::new(Memory(std::fs::read(&base).unwrap()));
        for _ in 0..1500 {
            let overlay = Overlay::new(Extended::new(Arc::clone(&image), GIB));
            for _ in 0..random.random_range(1..3) {
                let at = if gpt { random.random_range(440..2048) } else { random.random_range(440..512) };
                overlay.write_at(at, &[random.random()]).unwrap();
            }
            // half of the headers pass their checksum
            if gpt && random.random() {
                let mut header = [0; 92];
                overlay.read_at(512, &mut header).unwrap();
                header[16..20].fill(0);
                let mut crc = flate2::Crc::new();
                crc.update(&header);
                overlay.write_at(512 + 16, &crc.sum().to_le_bytes()).unwrap();
            }
            if let Ok(partition) = enlarge(&overlay, random.random_range(1..4)) {
                assert!(partition.offset + partition.len <= GIB);
                assert!(partitions(&overlay).is_ok(), "what was enlarged cannot be read");
            }
        }
    }
}

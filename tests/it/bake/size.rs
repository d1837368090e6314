//! Images that become larger than their base.

use pibake::bake::{Proof, Room, Size, room};
use pibake::disk::{Extended, Overlay, Partition, partitions};
use pibake::fs::ext4::Superblock;
use support::images::Places;

use super::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn spec(gpt: bool) -> Spec {
    Spec { gpt, fat_mib: 64, ..Spec::default() }
}

fn image_of(len: u64) -> Size {
    Size { image: Some(len), free: 0 }
}

fn free(bytes: u64) -> Size {
    Size { image: None, free: bytes }
}

fn baked(image: &Path, recipe: &Recipe, size: Size) -> (Patch, Proof) {
    pibake::bake::bake(device(image), &Shared::default(), recipe, size, CLOCK).unwrap()
}

/// The image in a file of its own, and where its partitions are.
fn written(base: &Path, patch: &Patch, to: &Path) -> (Partition, Partition) {
    write_out(base, patch, to);
    let (_, found) = partitions(&FileDevice::open(to).unwrap()).unwrap();
    let [boot, root] = found.try_into().unwrap();
    images::assert_clean(to, Places { boot: (boot.offset, boot.len), root: (root.offset, root.len) });
    (boot, root)
}

#[test]
fn an_image_has_the_size_that_was_asked_for_and_more_fits_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    // more than the base's root file system has in all
    let large = support::noise::bytes(1, 20 << 20);
    recipe.changes.push(write(Volume::Root, "/usr/large", &large, 0o644));
    for gpt in [false, true] {
        let (base, _) = Spec { ext4_mib: 16, ..spec(gpt) }.make(dir.path());
        let error = bake(device(&base), &recipe, CLOCK).unwrap_err();
        assert!(matches!(error, Error::FileSystem { volume: Volume::Root, .. }), "{error:?}");
        // to its last sector, also where that is not a whole block
        for len in [GIB, 3 * GIB + 512] {
            let (patch, proof) = baked(&base, &recipe, image_of(len));
            assert_eq!(patch.image_len(0), len);
            let bytes = patch.ranges().total();
            assert!(bytes < (25 << 20), "{bytes} bytes are held");
            let node = dir.path().join("node.img");
            let (_, root) = written(&base, &patch, &node);
            proof.check(&device(&node)).unwrap();
            assert!(root.offset + root.len + 40 * 512 > len, "{root:?}");
            let superblock = Superblock::read(&root.open(FileDevice::open(&node).unwrap()).unwrap()).unwrap();
            assert!(superblock.blocks * superblock.block_size > root.len - 130 * MIB, "{superblock:?}");
            let again = baked(&base, &recipe, image_of(len)).0;
            assert!(again == patch, "the bytes differ");
        }
    }
}

#[test]
fn a_table_or_a_file_system_of_another_size_is_no_proof() {
    let dir = tempfile::tempdir().unwrap();
    let (base, places) = spec(false).make(dir.path());
    let (patch, proof) = baked(&base, &recipe(), image_of(GIB));
    let check = |at: u64, bytes: &[u8]| {
        let image = Overlay::new(Patched::new(FileDevice::open(&base).unwrap(), patch.clone()));
        image.write_at(at, bytes).unwrap();
        proof.check(&(Arc::new(image) as Arc<dyn ReadAt>)).map_err(|mismatch| mismatch.path)
    };
    assert_eq!(check(0, &[]), Ok(()));
    let sectors = |len: u64| (len as u32 / 512).to_le_bytes();
    // the number of sectors in the second entry of an MBR
    assert_eq!(check(446 + 16 + 12, &sectors(places.root.1)), Err("the partition table".into()));
    // blocks in the superblock, and its checksum
    let mut raw = [0; 1024];
    Patched::new(FileDevice::open(&base).unwrap(), patch.clone())
        .read_at(places.root.0 + 1024, &mut raw)
        .unwrap();
    let blocks = u32::from_le_bytes(raw[4..8].try_into().unwrap()) - 1;
    raw[4..8].copy_from_slice(&blocks.to_le_bytes());
    let sum = fs_ext4::checksum::linux_crc32c(!0, &raw[..0x3fc]);
    raw[0x3fc..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(check(places.root.0 + 1024, &raw), Err("the root file system".into()));
    // an image that ends where the base does
    let short: Arc<dyn ReadAt> = Arc::new(Patched::new(device(&base), bake_as_it_is(&base)));
    assert!(proof.check(&short).is_err());
}

fn bake_as_it_is(base: &Path) -> Patch {
    bake(device(base), &recipe(), CLOCK).unwrap()
}

#[test]
fn room_is_made_where_there_is_too_little_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = spec(false).make(dir.path());
    let len = std::fs::metadata(&base).unwrap().len();
    let here = room(device(&base), Size::default()).unwrap();
    assert!(here.image == len && (20 * MIB..64 * MIB).contains(&here.free), "{here:?}");
    // no byte other than without it
    assert!(baked(&base, &recipe(), free(here.free)).0 == bake_as_it_is(&base));
    for wanted in [here.free + 1, 100 * MIB, 900 * MIB, 5 * GIB] {
        let made = room(device(&base), free(wanted)).unwrap();
        assert!(made.free >= wanted, "{made:?} for {wanted}");
        // about as much as it takes: a share for tables, and a last group that is not worth its own
        let most = len + (wanted - here.free) / 16 * 17 + 300 * MIB;
        assert!((len + 1..most).contains(&made.image), "{made:?} for {wanted}");
        let node = dir.path().join("node.img");
        let (patch, proof) = baked(&base, &recipe(), free(wanted));
        assert_eq!(patch.image_len(0), made.image);
        written(&base, &patch, &node);
        proof.check(&device(&node)).unwrap();
        let as_asked = Size { image: Some(made.image), free: wanted };
        assert_eq!(room(device(&base), as_asked).unwrap(), made);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = spec(false).make(dir.path());
    let len = std::fs::metadata(&base).unwrap().len();
    let refused = |size: Size| {
        let error = room(device(&base), size).unwrap_err();
        let same = pibake::bake::bake(device(&base), &Shared::default(), &recipe(), size, CLOCK).unwrap_err();
        assert_eq!(error.to_string(), same.to_string());
        let causes = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", causes.unwrap_or_default())
    };
    let said = refused(image_of(len - 512));
    assert!(said.contains(&format!("and the base image has {len} already")), "{said}");
    let said = refused(Size { image: Some(GIB), free: GIB });
    assert!(said.contains("an image of 1.0 GiB has") && said.contains("needs 1.0 GiB"), "{said}");
    // 64 GiB is 1024 times the base's 64 MiB
    let said = refused(image_of(65 * GIB));
    assert!(said.contains("has space for 68719476736 bytes at most"), "{said}");
    assert!(refused(free(70 * GIB)).contains("has space for 68719476736 bytes at most"));
    assert!(refused(free(u64::MAX)).contains("cannot be made"), "{}", refused(free(u64::MAX)));

    // the root partition is not the last one
    let longer = dir.path().join("longer.img");
    run(std::process::Command::new("cp").arg("--sparse=always").arg(&base).arg(&longer));
    let out = std::fs::File::options().write(true).open(&longer).unwrap();
    out.set_len(len + 8 * MIB).unwrap();
    let start = u32::try_from(len / 512).unwrap().to_le_bytes();
    let entry = [&[0, 0, 0, 0, 0xda, 0, 0, 0][..], &start, &2048_u32.to_le_bytes()].concat();
    WritableFile::open(&longer).unwrap().write_at(446 + 32, &entry).unwrap();
    let error = room(device(&longer), image_of(GIB)).unwrap_err();
    assert!(matches!(error, Error::Enlarging { .. }), "{error:?}");
    assert_eq!(room(device(&longer), Size::default()).unwrap().image, len + 8 * MIB);
}

/// The image may be as long as the base, whose root partition or file system is shorter than it could be.
#[test]
fn what_the_base_leaves_free_behind_its_file_system_is_taken_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = spec(false).make(dir.path());
    let here = room(device(&base), Size::default()).unwrap();
    let longer: Arc<dyn ReadAt> = Arc::new(Extended::new(device(&base), GIB));
    assert_eq!(room(Arc::clone(&longer), Size::default()).unwrap(), Room { image: GIB, ..here });
    let taken = room(longer, image_of(GIB)).unwrap();
    assert!(taken.image == GIB && taken.free > 850 * MIB, "{taken:?}");
}

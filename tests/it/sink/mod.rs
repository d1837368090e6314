//! Sinks write base and patch, byte for byte, in every format; real programs read them back.

mod failures;

use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use pibake::disk::Patch;
use pibake::io::CancelToken;
use pibake::progress::Silent;
use pibake::sink::{Build, Format, Written};
use proptest::prelude::*;

use crate::bases::{
    expected, hidden, longer_expected, longer_patch, nodes, patch, sparse_base, stream, writes,
};
use support::{run, tool};

type Writes = Vec<(u64, Vec<u8>)>;

fn build(
    base: &Path,
    dir: &Path,
    format: Format,
    names: &[String],
    of: impl Fn(&str) -> Writes + Sync,
) -> Vec<Written> {
    let build = Build::prepare(dir, format, names.to_vec(), None, &CancelToken::default()).unwrap();
    build.finish(base, &|node| Ok(patch(base, &of(node))), &Silent).unwrap()
}

/// The bytes of the card in an image of any format, decoded by the format's own program.
fn card(image: &Path, format: Format) -> Vec<u8> {
    let raw = image.with_extension("card");
    match format {
        Format::Raw => return std::fs::read(image).unwrap(),
        Format::Qcow2 => {
            run(tool("qemu-img", "qemu-utils").arg("check").arg(image));
            run(tool("qemu-img", "qemu-utils").args(["convert", "-O", "raw"]).args([image, &raw]));
        }
        Format::Zst => {
            run(tool("zstd", "zstd").arg("-qt").arg(image));
            run(tool("zstd", "zstd").args(["-qdf", "-o"]).args([&raw, image]));
        }
        Format::Xz => {
            run(tool("xz", "xz-utils").arg("-t").arg(image));
            let out = tool("xz", "xz-utils").args(["-dc", "-T2"]).arg(image).output().unwrap();
            assert!(out.status.success());
            return out.stdout;
        }
    }
    let bytes = std::fs::read(&raw).unwrap();
    std::fs::remove_file(raw).unwrap();
    bytes
}

const MIB: u64 = 1 << 20;

#[test]
fn every_format_holds_base_and_patch() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    // data over the edges of grains and chunks, a hole of several chunks, and data at the end
    let extents = [
        (0, 512),
        (MIB - 100, 200),
        (4 * MIB - 1, 2),
        (9 * MIB, 1 << 20),
        (50 * MIB + 70_000, 1),
        (60 * MIB + 511, 1),
    ];
    sparse_base(&base, 60 * MIB + 512, &extents);
    for format in Format::ALL {
        let dir = work.path().join(format.name());
        let written = build(&base, &dir, format, &nodes(3), |node| writes(node, 60 * MIB + 512));
        for (image, name) in written.iter().zip(nodes(3)) {
            assert_eq!(image.node, name);
            assert_eq!(image.path, dir.join(format.file_name(&name)));
            assert_eq!(image.card, 60 * MIB + 512);
            assert_eq!(image.len, std::fs::metadata(&image.path).unwrap().len());
            let wanted = expected(&base, &writes(&name, 60 * MIB + 512));
            assert!(card(&image.path, format) == wanted, "{}", image.path.display());
        }
        assert_eq!(written.len(), 3);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 3, "nothing else is left in the folder");
    }
}

#[test]
fn holes_stay_holes() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    sparse_base(&base, 2 << 30, &[(MIB, 1 << 20), (1 << 30, 1 << 20)]);
    for format in [Format::Raw, Format::Qcow2] {
        let written = build(&base, work.path(), format, &nodes(2), |_| vec![(1700 * MIB, vec![1; 5000])]);
        for image in written {
            let stored = std::fs::metadata(&image.path).unwrap().blocks() * 512;
            assert_eq!(stored, image.stored);
            assert!(stored < 4 * MIB, "{} takes {stored} bytes", image.path.display());
        }
    }
}

#[test]
fn zeros_that_the_base_stores_become_holes() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    std::fs::write(&base, vec![0; 32 << 20]).unwrap();
    let written = build(&base, work.path(), Format::Raw, &nodes(1), |_| Vec::new());
    assert_eq!(written[0].len, 32 * MIB);
    assert!(written[0].stored < MIB, "{} bytes are stored", written[0].stored);
}

#[test]
fn the_same_build_gives_the_same_bytes() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    sparse_base(&base, 40 * MIB, &[(0, 5 << 20), (21 * MIB, 1 << 20)]);
    for format in Format::ALL {
        let [first, second] = ["a", "b"].map(|dir| {
            let dir = work.path().join(format!("{format}-{dir}"));
            build(&base, &dir, format, &nodes(1), |node| writes(node, 40 * MIB)).remove(0)
        });
        assert!(std::fs::read(first.path).unwrap() == std::fs::read(second.path).unwrap(), "{format}");
    }
}

#[test]
fn each_node_is_baked_once_and_few_at_a_time() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    sparse_base(&base, 64 * 1024, &[(0, 60_000)]);
    let (calls, living, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let names = nodes(250);
    let width = NonZeroUsize::new(3);
    let build =
        Build::prepare(work.path(), Format::Raw, names.clone(), width, &CancelToken::default()).unwrap();
    let bake = |node: &str| {
        calls.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(living.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let patch = patch(&base, &[(100, node.as_bytes().to_vec())]);
        living.fetch_sub(1, Ordering::SeqCst);
        Ok(patch)
    };
    let written = build.finish(&base, &bake, &Silent).unwrap();
    assert_eq!(written.iter().map(|w| w.node.clone()).collect::<Vec<_>>(), names);
    assert_eq!(calls.into_inner(), 250);
    assert!(most.into_inner() <= 3);
    for image in written {
        let bytes = std::fs::read(&image.path).unwrap();
        assert_eq!(&bytes[100..100 + image.node.len()], image.node.as_bytes());
    }
}

#[test]
fn an_image_is_for_its_owner_alone_and_replaces_an_older_one() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    sparse_base(&base, MIB, &[(0, 1000)]);
    let dir = work.path().join("deep/er");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("node-1.img"), b"older").unwrap();
    let written = build(&base, &dir, Format::Raw, &nodes(1), |_| Vec::new());
    let found = std::fs::metadata(&written[0].path).unwrap();
    assert_eq!((found.len(), found.mode() & 0o777), (MIB, 0o600));
}

#[test]
fn no_nodes_make_no_images_and_an_empty_base_empty_ones() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    sparse_base(&base, 0, &[]);
    assert!(build(&base, work.path(), Format::Raw, &[], |_| Vec::new()).is_empty());
    for format in Format::ALL {
        let image = build(&base, work.path(), format, &nodes(1), |_| Vec::new()).remove(0);
        assert!(card(&image.path, format).is_empty());
    }
}

fn early(count: usize, hint: Option<u64>, cut: usize) -> (tempfile::TempDir, PathBuf, Vec<Written>, bool) {
    let work = tempfile::tempdir().unwrap();
    let cache = work.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let base = cache.join("base.img");
    sparse_base(&base, 40 * MIB + 700, &[(0, 9 << 20), (21 * MIB + 5, 6 << 20), (40 * MIB, 700)]);
    let dir = work.path().join("images");
    let mut build = Build::prepare(&dir, Format::Raw, nodes(count), None, &CancelToken::default()).unwrap();
    let bytes = std::fs::read(&base).unwrap();
    let early = build.observer(&cache).is_some_and(|observer| {
        stream(observer, &bytes[..bytes.len() - cut], hint);
        true
    });
    let bake = |node: &str| -> Result<Patch, _> { Ok(patch(&base, &writes(node, 40 * MIB))) };
    let written = build.finish(&base, &bake, &Silent).unwrap();
    assert_eq!(hidden(&dir), [""; 0]);
    (work, base, written, early)
}

#[test]
fn images_written_while_decoding_are_the_same() {
    for (count, hint, cut) in [
        (2, Some(40 * MIB + 700), 0),
        (2, None, 0),
        // more than are written early
        (11, Some(40 * MIB + 700), 0),
        // a hint that is wrong
        (1, Some(MIB), 0),
        (1, Some(90 * MIB), 0),
        // a decoder that ends before the image does
        (2, None, 1),
        (2, Some(40 * MIB + 700), 9_000_000),
    ] {
        let (_work, base, written, _) = early(count, hint, cut);
        assert_eq!(written.len(), count);
        for image in &written {
            let wanted = expected(&base, &writes(&image.node, 40 * MIB));
            assert!(std::fs::read(&image.path).unwrap() == wanted, "{hint:?} {cut} {}", image.node);
            assert!(image.stored < 20 * MIB, "{} bytes are stored", image.stored);
        }
    }
}

#[test]
fn a_base_that_is_refused_leaves_no_image() {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path().join("images");
    let mut build = Build::prepare(&dir, Format::Raw, nodes(2), None, &CancelToken::default()).unwrap();
    if let Some(observer) = build.observer(work.path()) {
        stream(observer, &support::noise::bytes(1, 9 << 20), None);
    }
    drop(build);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn a_base_that_is_started_over_counts_once() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    sparse_base(&base, 9 * MIB, &[(0, 9 << 20)]);
    let dir = work.path().join("images");
    let mut build = Build::prepare(&dir, Format::Raw, nodes(2), None, &CancelToken::default()).unwrap();
    if let Some(observer) = build.observer(work.path()) {
        stream(observer, &[0xee; 5 << 20], None);
        stream(observer, &std::fs::read(&base).unwrap(), Some(9 * MIB));
    }
    let written = build.finish(&base, &|_| Ok(patch(&base, &[])), &Silent).unwrap();
    for image in written {
        assert!(std::fs::read(image.path).unwrap() == std::fs::read(&base).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn any_base_and_any_patch(
        sectors in 1_u64..30_000,
        extents in proptest::collection::vec((0_u64..30_000, 1_usize..700_000), 0..6),
        changes in proptest::collection::vec((0_u64..20_000_000, 1_usize..200_000, any::<u8>()), 0..12),
        more in prop_oneof![Just(0_u64), 1_u64..300, 0_u64..30_000],
    ) {
        let len = sectors * 512;
        let work = tempfile::tempdir().unwrap();
        let base = work.path().join("base.img");
        let extents: Vec<_> = extents.into_iter().map(|(at, size)| (at * 512 % len, size)).collect();
        sparse_base(&base, len, &extents);
        let changes: Writes = changes
            .into_iter()
            .map(|(at, size, byte)| {
                let at = at % (len + more * 512);
                (at, vec![byte; size.min((len + more * 512 - at) as usize)])
            })
            .collect();
        let wanted = longer_expected(&base, len + more * 512, &changes);
        for format in Format::ALL {
            let patch = |_: &str| Ok(longer_patch(&base, len + more * 512, &changes));
            let build = Build::prepare(work.path(), format, nodes(1), None, &CancelToken::default()).unwrap();
            let image = build.finish(&base, &patch, &Silent).unwrap().remove(0);
            prop_assert_eq!(image.card, wanted.len() as u64);
            prop_assert!(card(&image.path, format) == wanted, "{}", format);
        }
    }
}

/// Also where images are clones of the base, or were begun while it was decoded: nothing is written for what
/// the base does not have.
#[test]
fn an_image_that_is_longer_than_its_base_has_a_hole_there() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    let len = 9 * MIB + 512;
    sparse_base(&base, len, &[(0, 9 << 20)]);
    let changes = vec![(len - 100, vec![5; 300]), (40 * MIB, vec![6; 10_000])];
    for format in Format::ALL {
        // what is packed is read to its end
        let longer = if matches!(format, Format::Zst | Format::Xz) { 50 * MIB } else { 16_000 * MIB };
        for early in [false, true] {
            let dir = work.path().join("images");
            let mut build = Build::prepare(&dir, format, nodes(2), None, &CancelToken::default()).unwrap();
            if let Some(observer) = build.observer(work.path()).filter(|_| early) {
                stream(observer, &std::fs::read(&base).unwrap(), Some(len));
            }
            let made = |_: &str| Ok(longer_patch(&base, longer, &changes));
            for image in build.finish(&base, &made, &Silent).unwrap() {
                assert_eq!(image.card, longer);
                assert!(image.stored < 12 * MIB, "{format} takes {} bytes", image.stored);
            }
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
}

/// The grain in which a base ends is the base's part and zeros, whether the patch has something in it, before it,
/// behind it or nowhere.
#[test]
fn a_base_that_ends_within_a_grain_goes_on_in_zeros() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base.img");
    let len = MIB + 512;
    sparse_base(&base, len, &[(0, 2 << 20)]);
    let places = [MIB - 100_000, len, len + 70_000, 4 * MIB, 6 * MIB - 10];
    for chosen in 0..1_u32 << places.len() {
        let changes: Writes = places
            .iter()
            .enumerate()
            .filter(|(n, _)| chosen & (1 << n) != 0)
            .map(|(n, at)| (*at, vec![n as u8 + 1; 10]))
            .collect();
        let wanted = longer_expected(&base, 6 * MIB, &changes);
        for format in [Format::Raw, Format::Qcow2, Format::Zst] {
            let made = |_: &str| Ok(longer_patch(&base, 6 * MIB, &changes));
            let build = Build::prepare(work.path(), format, nodes(1), None, &CancelToken::default()).unwrap();
            let image = build.finish(&base, &made, &Silent).unwrap().remove(0);
            assert!(card(&image.path, format) == wanted, "{format}, changes {chosen:05b}");
        }
    }
}

#[test]
fn a_card_overlay_reads_as_the_patched_image_and_zeros_behind_it() {
    let work = tempfile::tempdir().unwrap();
    let base = work.path().join("base, with a comma.img");
    let len = 5 * MIB + 512;
    sparse_base(&base, len, &[(0, 512), (MIB - 100, 200), (5 * MIB, 512)]);
    // also in the last block of the image, which the card goes on behind
    let mut changes = writes("node-1", len);
    changes.push((len - 100, vec![7; 100]));
    let overlay = work.path().join("card.qcow2");
    let before = std::fs::read(&base).unwrap();
    pibake::sink::card_overlay(&overlay, 8 * MIB, &base, patch(&base, &changes)).unwrap();
    let mut wanted = expected(&base, &changes);
    wanted.resize(8 * MIB as usize, 0);
    assert!(card(&overlay, Format::Qcow2) == wanted, "the card differs from what it is made of");
    assert!(std::fs::read(&base).unwrap() == before, "the image was changed");
    let info = run(tool("qemu-img", "qemu-utils").args(["info", "--output=json"]).arg(&overlay));
    assert!(info.contains(r#""backing-filename-format": "raw""#), "{info}");
    for (card, image) in [(MIB, 0), (8 * MIB, 8 * MIB + 1)] {
        let longer = longer_patch(&base, image, &changes);
        let error = pibake::sink::card_overlay(&overlay, card, &base, longer).unwrap_err();
        assert!(matches!(error, pibake::sink::Error::Outside { .. }), "{error:?}");
    }
    changes.push((7 * MIB, vec![8; 100]));
    let longer = longer_patch(&base, 7 * MIB + 4096, &changes);
    pibake::sink::card_overlay(&overlay, 8 * MIB, &base, longer).unwrap();
    let wanted = longer_expected(&base, 8 * MIB, &changes);
    assert!(card(&overlay, Format::Qcow2) == wanted, "the longer card differs from what it is made of");
}

//! Everything that reads bytes from outside, on sound ones that were damaged: a short run of what the
//! fuzz targets run without end. See fuzz/.

#[allow(dead_code)] // some of it is for fuzzers alone
#[path = "../../fuzz/lib.rs"]
mod fuzz;

use std::io::{Cursor, Read, Write};

use fuzz::{checks, patch, seeds, text, whole};
use pibake::base::xz_raw_len;
use pibake::disk::partitions;
use pibake::emulator::fdt::{DeviceTree, Node};
use pibake::fs::FsRead;
use pibake::fs::ext4::Superblock;
use pibake::fs::fat::FatView;
use pibake::image_path::ImagePath;
use proptest::prelude::*;
use proptest::sample::Index;
use support::{run, tool};

/// Damage to one place.
#[derive(Debug, Clone)]
enum Damage {
    Flip(u8),
    Byte(u8),
    /// Numbers at the edges of what fits.
    Number([u8; 4]),
    Cut,
    /// Another place's bytes.
    Copy(Index),
}

fn damage() -> impl Strategy<Value = Vec<(Index, Damage)>> {
    let numbers = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX].map(u32::to_le_bytes);
    let one = prop_oneof![
        6 => (0..8_u8).prop_map(|bit| Damage::Flip(1 << bit)),
        4 => any::<u8>().prop_map(Damage::Byte),
        4 => proptest::sample::select(numbers.to_vec()).prop_map(Damage::Number),
        1 => Just(Damage::Cut),
        2 => any::<Index>().prop_map(Damage::Copy),
    ];
    proptest::collection::vec((any::<Index>(), one), 0..6)
}

/// Sound bytes, and the places in them that say anything: those that are not zero.
struct Seed {
    bytes: Vec<u8>,
    telling: Vec<usize>,
}

impl Seed {
    fn new(bytes: &[u8]) -> Self {
        let telling = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        Self { bytes: bytes.to_vec(), telling }
    }
}

fn damaged(Seed { bytes, telling }: &Seed, damages: Vec<(Index, Damage)>) -> Vec<u8> {
    let mut bytes = bytes.clone();
    for (place, damage) in damages {
        let at = telling[place.index(telling.len())];
        match damage {
            _ if at >= bytes.len() => {}
            Damage::Flip(mask) => bytes[at] ^= mask,
            Damage::Byte(byte) => bytes[at] = byte,
            Damage::Number(number) => {
                let here = bytes.len().min(at + 4);
                bytes[at..here].copy_from_slice(&number[..here - at]);
            }
            Damage::Cut => bytes.truncate(at),
            Damage::Copy(from) => {
                let from = telling[from.index(telling.len())];
                if from < bytes.len() {
                    let n = 16.min(bytes.len() - at.max(from));
                    bytes.copy_within(from..from + n, at);
                }
            }
        }
    }
    bytes
}

/// Runs `check` on the seed as it is, on damaged ones, and on no seed at all.
fn survives(cases: u32, seeds: &[Vec<u8>], check: fn(&[u8])) {
    for seed in seeds {
        check(seed);
    }
    let seeds: Vec<Seed> = seeds.iter().map(|bytes| Seed::new(bytes)).collect();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let any_bytes = proptest::collection::vec(any::<u8>(), 0..2000);
    let input = prop_oneof![
        1 => any_bytes.prop_map(Input::Any),
        9 => (any::<Index>(), damage()).prop_map(|(seed, damages)| Input::Damaged(seed, damages)),
    ];
    proptest!(config, |(input in input)| check(&match input {
        Input::Any(bytes) => bytes,
        Input::Damaged(seed, damages) => damaged(&seeds[seed.index(seeds.len())], damages),
    }));
}

/// What is printed of a case that fails; not the damaged bytes, of which there are many.
#[derive(Debug, Clone)]
enum Input {
    Any(Vec<u8>),
    Damaged(Index, Vec<(Index, Damage)>),
}

fn file(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn lists_signatures_and_keyrings() {
    let folder = "tests/fixtures/signatures/cd-image";
    let (list, signature) =
        (file(&format!("{folder}/SHA256SUMS")), file(&format!("{folder}/SHA256SUMS.gpg")));
    let key = file("src/base/verify/keys/ubuntu-cd-image-2012.gpg");
    // the check takes the first half for a keyring and the second for a signature
    let mut both = key.clone();
    both.truncate(signature.len());
    survives(300, &[list, signature.clone(), key, [both, signature].concat()], checks::sums);
}

#[test]
fn bills_of_cards() {
    let sound = file("fuzz/corpus/bill/sound");
    pibake::bill::Listed::read(&sound).unwrap();
    survives(500, &[sound], checks::bill);
}

#[test]
fn manifests_challenges_and_names_of_images() {
    let seeds =
        ["manifest", "index", "challenge", "name"].map(|name| file(&format!("fuzz/corpus/registry/{name}")));
    survives(300, &seeds, checks::registry);
}

#[test]
fn indices_names_and_keys_of_fleets() {
    let seeds = ["index", "name", "key"].map(|name| file(&format!("fuzz/corpus/fleet/{name}")));
    assert_eq!(pibake::fleet::Listing::read(&seeds[0]).unwrap().nodes.len(), 2);
    survives(10_000, &seeds, checks::fleet);
}

#[test]
fn lists_of_packages() {
    survives(1000, &[file("fuzz/corpus/packages/sound")], checks::packages);
}

fn xz(data: &[u8]) -> Vec<u8> {
    let stream = liblzma::stream::MtStreamBuilder::new().threads(1).preset(0).block_size(4096).encoder();
    let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.unwrap());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

#[test]
fn indexes_of_xz() {
    let text: Vec<u8> = (0..30_000_u32).flat_map(|n| (n * n / 77).to_le_bytes()).take(30_000).collect();
    let one = xz(&text);
    let several = [xz(&text[..5000]), vec![0; 8], xz(b""), one.clone(), vec![0; 4]].concat();
    let said = |bytes: &[u8]| xz_raw_len(&mut Cursor::new(bytes)).unwrap();
    assert_eq!((said(&one), said(&several)), (Some(30_000), Some(35_000)));
    survives(1000, &[one, several], checks::xz_index_mended);
}

/// A small disk with the partition table that sfdisk makes.
fn disk(script: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (disk, input) = (dir.path().join("disk"), dir.path().join("script"));
    std::fs::File::create(&disk).unwrap().set_len(2 << 20).unwrap();
    std::fs::write(&input, script).unwrap();
    let mut sfdisk = tool("sfdisk", "fdisk");
    run(sfdisk.arg("-q").arg(&disk).stdin(std::fs::File::open(&input).unwrap()));
    std::fs::read(&disk).unwrap()
}

#[test]
fn partition_tables() {
    let mbr = disk("label: dos\nstart=64, size=1000, type=c\nstart=2048, size=2048, type=83\n");
    let logical = disk(
        "label: dos\nstart=64, size=1000, type=c\nstart=1100, size=2900, type=5\nstart=1200, size=500, type=83\n",
    );
    let gpt = disk("label: gpt\nfirst-lba: 34\nstart=64, size=1000\nstart=2048, size=1900\n");
    let count = |bytes: &[u8]| {
        let found = partitions(&patch::Padded { head: bytes.to_vec(), len: bytes.len() as u64 });
        found.map(|(_, partitions)| partitions.len()).ok()
    };
    assert_eq!((count(&mbr), count(&gpt)), (Some(2), Some(2)));
    survives(600, &[mbr, logical, gpt], checks::partition_table);
}

/// The first bytes of both partitions of the built-in image.
fn sample() -> [Vec<u8>; 2] {
    let packed = file("src/base/sample.img.xz");
    let mut raw = Vec::new();
    // the layout of Ubuntu 20.04: FAT from 1 MiB on, ext4 from 257 MiB on
    liblzma::read::XzDecoder::new(&packed[..]).take(258 << 20).read_to_end(&mut raw).unwrap();
    [raw[1 << 20..6 << 20].to_vec(), raw[257 << 20..(257 << 20) + 2048].to_vec()]
}

#[test]
fn fat_file_systems() {
    let [fat, _] = sample();
    let view = FatView::open(patch::Padded { head: fat.clone(), len: 256 << 20 }).unwrap();
    assert!(view.names(&ImagePath::root()).unwrap().len() > 20);
    survives(150, &[fat], checks::fat);
}

#[test]
fn superblocks_of_ext4() {
    let [_, ext4] = sample();
    let device = patch::Padded { head: ext4.clone(), len: 128 << 20 };
    Superblock::read(&device).unwrap().check_editable(device.len).unwrap();
    survives(2000, &[ext4], checks::ext4_superblock);
}

#[test]
fn device_trees() {
    let mut mmc = Node { name: "mmc@7e300000".into(), ..Node::default() };
    mmc.set_string("compatible", "brcm,bcm2835-mmc");
    mmc.children.push(Node { name: "wifi@1".into(), ..Node::default() });
    let soc = Node { name: "soc".into(), children: vec![mmc], ..Node::default() };
    let mut tree = DeviceTree::empty();
    tree.root.children.push(soc);
    tree.root.set_string("compatible", "raspberrypi,4-model-b");
    tree.reserved.push((0, 0x1000));
    survives(2000, &[tree.to_bytes()], checks::device_tree);
}

/// Runs `check` on each seed as it is, with checksums mended and without, and on lists of changes.
fn survives_changes(cases: u32, seeds: usize, check: fn(&[u8])) {
    for seed in 0..u8::try_from(seeds).unwrap() {
        check(&[seed]);
        check(&[seed | 0x80]);
    }
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |(input in proptest::collection::vec(any::<u8>(), 1..60))| check(&input));
}

#[test]
fn whole_ext4_file_systems() {
    survives_changes(150, seeds::ext4s().len(), whole::ext4_editor);
    survives_changes(150, seeds::ext4s().len(), whole::ext4_reader);
}

#[test]
fn whole_fat_file_systems() {
    survives_changes(60, seeds::fats().len(), whole::fat_editor);
}

#[test]
fn whole_cards() {
    survives_changes(100, seeds::cards().len(), whole::card);
    survives_changes(100, seeds::cards().len(), whole::base_image);
    survives_changes(200, seeds::cards().len(), whole::growth);
}

#[test]
fn tables_with_their_checksums_mended() {
    survives_changes(1000, seeds::tables().len(), whole::partition_table);
}

#[test]
fn images_of_qemu() {
    survives_changes(500, seeds::qcow2s().len(), whole::qcow2);
}

#[test]
fn checksums_are_mended_as_the_kernel_makes_them() {
    for seed in seeds::ext4s() {
        let mut mended = seed.bytes.clone();
        patch::mend_ext4(&mut mended);
        assert!(mended == seed.bytes, "a sound file system is mended to another one");
    }
    for seed in seeds::tables() {
        let mut mended = seed.bytes.clone();
        patch::mend_gpt(&mut mended);
        assert!(mended == seed.bytes, "a sound table is mended to another one");
    }
    let text: Vec<u8> = (0..10_000_u32).flat_map(|n| (n * n / 77).to_le_bytes()).collect();
    let sound = [xz(&text), vec![0; 8], xz(b""), xz(b"abc")].concat();
    let mut mended = sound.clone();
    patch::mend_xz(&mut mended);
    assert!(mended == sound, "a sound .xz is mended to another one");
    // what is mended are all the sums before which the decoder stops
    for at in [8, 9, 10, 11, sound.len() - 12, sound.len() - 13] {
        mended[at] ^= 0xff;
    }
    patch::mend_xz(&mut mended);
    assert!(mended == sound, "a sum of an .xz is not mended");
}

/// What a target does with an input.
type Target = fn(&[u8]);

/// The targets of fuzz/, as fuzz/fuzz_targets has them.
const TARGETS: [(&str, Target); 20] = [
    ("base_image", whole::base_image),
    ("bill", checks::bill),
    ("card", whole::card),
    ("card_text", text::card_text),
    ("cloud_config", text::cloud_config),
    ("description", text::description),
    ("device_tree", checks::device_tree),
    ("ext4_editor", whole::ext4_editor),
    ("ext4_reader", whole::ext4_reader),
    ("ext4_superblock", whole::ext4_superblock),
    ("fat", whole::fat),
    ("fat_editor", whole::fat_editor),
    ("fleet", checks::fleet),
    ("growth", whole::growth),
    ("packages", checks::packages),
    ("partition_table", whole::partition_table),
    ("qcow2", whole::qcow2),
    ("registry", checks::registry),
    ("sums", checks::sums),
    ("xz_index", checks::xz_index_mended),
];

#[test]
fn what_fuzzing_found_to_be_worth_keeping() {
    let folder = |path: &str| {
        let listed = std::fs::read_dir(format!("{}/fuzz/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let mut names: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let known: Vec<_> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(folder("fuzz_targets").iter().map(name).collect::<Vec<_>>(), known);
    for (target, run) in TARGETS {
        let corpus = folder(&format!("corpus/{target}"));
        assert!(!corpus.is_empty(), "{target} begins with nothing");
        corpus.iter().for_each(|input| run(&std::fs::read(input).unwrap()));
    }
}

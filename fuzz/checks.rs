//! What must hold of everything that reads bytes from outside, whatever the bytes are. The fuzz targets
//! and an ordinary test call these.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pibake::apt::{Form, Pins, Source, Universe};
use pibake::base::{Keyring, Sums, xz_raw_len};
use pibake::bill::Listed;
use pibake::cluster::defaults::DOCKER_FINGERPRINT;
use pibake::disk::{Partition, partitions};
use pibake::emulator::devicetree::{RASPI3B, RASPI4B, fit};
use pibake::emulator::fdt::DeviceTree;
use pibake::fleet::{FleetName, Listing, PublicKey, SigningKey};
use pibake::fs::ext4::Superblock;
use pibake::fs::fat::{Bpb, FatView};
use pibake::fs::{FileKind, FsRead};
use pibake::image_path::ImagePath;
use pibake::oci::{Challenge, Document};
use pibake::recipe::read_key;
use pibake::registry::Reference;

use super::patch::{self, Padded};

/// Lists of digests, signatures over them, and keyrings.
pub fn sums(data: &[u8]) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    if let Ok(sums) = Sums::parse(data) {
        // of 64 digits, a space and a mark, as it is looked up: at least one file is listed
        let text = String::from_utf8_lossy(data);
        let names = text.lines().filter_map(|line| line.get(66..));
        assert!(
            names.map(|name| name.strip_prefix("./").unwrap_or(name)).any(|name| sums.get(name).is_some())
        );
    }
    // nobody has made a signature of this: whatever verifies is forged
    if let Ok(keyring) = Keyring::ubuntu() {
        assert!(keyring.verify(b"never signed", data, now).is_err());
    }
    // a keyring of the user's own, and a signature, in one input
    let (keys, signature) = data.split_at(data.len() / 2);
    if let Ok(keyring) = Keyring::parse(keys) {
        let _ = keyring.verify(b"never signed", signature, now);
    }
    // a key of an apt repository, which the user fetched
    let _ = read_key(data, DOCKER_FINGERPRINT);
}

/// A bill that a card is to be held against: read twice, it is the same.
pub fn bill(data: &[u8]) {
    match (Listed::read(data), Listed::read(data)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other);
            assert!(one.installed.is_sorted());
        }
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        _ => panic!("it is right once and wrong once"),
    }
}

/// What a registry sends: manifests and indices, and how it wants to be logged in at; and names of images.
pub fn registry(data: &[u8]) {
    for sent_as in [None, Some("application/vnd.docker.distribution.manifest.v2+json")] {
        if let Ok((document, media_type)) = Document::parse(data, sent_as) {
            let is_index = media_type.contains("index") || media_type.contains("list");
            assert_eq!(matches!(document, Document::Index(_)), is_index);
        }
    }
    let text = String::from_utf8_lossy(data);
    for challenge in Challenge::parse(&text) {
        let _ = challenge.get("realm");
    }
    if let Ok(name) = text.parse::<Reference>() {
        // what containerd would list is a name of the same image
        assert_eq!(name.to_string().parse::<Reference>().as_ref(), Ok(&name));
    }
}

/// The index of a fleet as a registry gives it; names of fleets, and keys: what is taken has no node twice, names no
/// file elsewhere, and lies over what it lists.
pub fn fleet(data: &[u8]) {
    if let Ok(listing) = Listing::read(data) {
        let nodes = &listing.nodes;
        assert!(nodes.windows(2).all(|pair| pair[0].number < pair[1].number), "two nodes have one number");
        for node in nodes {
            assert!(node.number > 0 && !node.name.is_empty() && !node.name.contains(['/', '.', '\0']));
            assert!(nodes.iter().filter(|other| other.name == node.name).count() == 1);
            let is_listed = |digest| listing.payloads.iter().any(|payload| payload.digest == digest);
            assert!(node.payload.is_none_or(is_listed), "{} lies over nothing", node.name);
        }
        assert_eq!(Listing::read(data).as_ref(), Ok(&listing));
    }
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = text.parse::<FleetName>() {
        let shown = name.to_string();
        assert_eq!(shown.parse::<FleetName>().map(|again| again.to_string()), Ok(shown));
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().parse::<PublicKey>(), Ok(key));
    }
    if let Ok(key) = text.parse::<SigningKey>() {
        assert!(!format!("{key:?}").contains(text.trim()), "a secret is shown");
    }
}

/// An index of packages, a base's list of installed ones, preferences, and names that are asked for, with lines of
/// `%%` between them: whatever is installed then lies in the repository.
pub fn packages(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split("\n%%\n");
    let mut next = || parts.next().unwrap_or_default();
    let root = "http://deb.example.net/debian/";
    let source = Source { root: root.parse().ok(), suite: "stable".to_owned(), ..Source::default() };
    let (mut universe, mut pins) = (Universe::new("arm64"), Pins::none());
    let sound = universe.add_index(next().as_bytes(), source).is_ok()
        && universe.add_status(next().as_bytes()).is_ok()
        && pins.add(next().as_bytes()).is_ok();
    let asked: Vec<&str> = next().split_ascii_whitespace().collect();
    // what was read before something was refused is never used
    if let (true, Ok(plan)) = (sound, universe.resolve(&asked, &pins)) {
        assert!(plan.install.iter().all(|package| package.url.as_str().starts_with(root)));
    }
    for form in [Form::Lines, Form::Stanzas] {
        let listed = form.read(data, "arm64").unwrap_or_default();
        assert!(listed.iter().all(|source| source.suite.ends_with('/') == source.components.is_empty()));
    }
    let keyring = Keyring::ubuntu();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert!(keyring.is_ok_and(|keyring| keyring.verify_cleartext(data, now).is_err()));
}

/// More than any input of these unpacks to without being made for that.
const MOST_UNPACKED: u64 = 8 << 20;

/// The index of an .xz: what it says of a file that can be unpacked is right.
pub fn xz_index(data: &[u8]) {
    let said = xz_raw_len(&mut Cursor::new(data)).expect("nothing can fail in memory");
    let Ok(stream) = liblzma::stream::Stream::new_stream_decoder(64 << 20, liblzma::stream::CONCATENATED)
    else {
        return;
    };
    let decoder = liblzma::read::XzDecoder::new_stream(data, stream);
    let mut sink = Vec::new();
    let unpacked = decoder.take(MOST_UNPACKED).read_to_end(&mut sink);
    if let (Some(said), Ok(unpacked)) = (said, unpacked)
        && (unpacked as u64) < MOST_UNPACKED
    {
        assert_eq!(said, unpacked as u64, "the index of a whole file is wrong");
    }
}

/// An .xz as it is, and with its checksums mended, so that damage gets past them.
pub fn xz_index_mended(data: &[u8]) {
    xz_index(data);
    let mut mended = data.to_vec();
    patch::mend_xz(&mut mended);
    xz_index(&mended);
}

/// Partition tables: every partition lies within the image, and none in another.
pub fn partition_table(data: &[u8]) {
    for len in [data.len() as u64, 64 << 20, 4 << 40] {
        let device = Padded { head: data[..data.len().min(usize::try_from(len).unwrap_or(0))].to_vec(), len };
        let Ok((_, found)) = partitions(&device) else { continue };
        sound_partitions(found, len);
    }
}

/// Every partition lies within the image, and none in another.
pub fn sound_partitions(mut found: Vec<Partition>, len: u64) {
    found.sort_by_key(|p| p.offset);
    for p in &found {
        let end = p.offset.checked_add(p.len).expect("a partition ends");
        assert!(p.len > 0 && end <= len, "partition {} of {len} bytes: {}+{}", p.number, p.offset, p.len);
    }
    for pair in found.windows(2) {
        assert!(pair[0].offset + pair[0].len <= pair[1].offset, "two partitions overlap");
    }
}

/// FAT: the boot sector, directories, and files.
pub fn fat(data: &[u8]) {
    fat_in(Padded { head: data.to_vec(), len: 256 << 20 });
}

/// FAT in an image.
pub fn fat_in(image: Padded) {
    let device = Arc::new(image);
    if let Ok(bpb) = Bpb::read(&device) {
        let _ = bpb.check_editable();
    }
    let Ok(view) = FatView::open(device) else { return };
    let mut folders = vec![ImagePath::root()];
    // a loop of directories has no end
    for _ in 0..20 {
        let Some(folder) = folders.pop() else { return };
        let Ok(entries) = view.entries(&folder) else { continue };
        for (name, metadata) in entries.into_iter().take(50) {
            let Some(path) = String::from_utf8(name).ok().and_then(|name| folder.join(&name).ok()) else {
                continue;
            };
            match metadata.kind {
                FileKind::Directory => folders.push(path),
                _ => {
                    // not the listed one: of two entries with one name the first is meant by a path
                    if let Ok(Some(found)) = view.metadata(&path)
                        && let Ok(content) = view.content(&path, 1 << 20)
                    {
                        assert_eq!(content.len() as u64, found.len, "{path}");
                    }
                }
            }
        }
    }
}

/// What is looked at before an ext4 is edited.
pub fn ext4_superblock(data: &[u8]) {
    for len in [data.len() as u64, 64 << 20, u64::MAX] {
        let Ok(superblock) = Superblock::read(&Padded { head: data.to_vec(), len }) else { continue };
        assert!((1024..=65536).contains(&superblock.block_size));
        if superblock.check_editable(len).is_ok() {
            let bytes = superblock.blocks.checked_mul(superblock.block_size);
            assert!(bytes.is_some_and(|b| b <= len), "a file system larger than its partition passed");
        }
    }
}

/// Flattened device trees: what is read and written is read the same again.
pub fn device_tree(data: &[u8]) {
    if let Ok(tree) = DeviceTree::parse(data) {
        let again = DeviceTree::parse(&tree.to_bytes());
        assert_eq!(again.as_ref(), Ok(&tree), "it is another one when it was written");
    }
    for pi in [&RASPI3B, &RASPI4B] {
        if let Ok(fitted) = fit(data, pi) {
            DeviceTree::parse(&fitted).expect("what was made can be read");
        }
    }
}

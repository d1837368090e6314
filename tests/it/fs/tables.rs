//! Partition tables, held against sfdisk.

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use pibake::disk::{FileDevice, Kind, Partition, Scheme, TableError, partitions};
use proptest::prelude::*;

use support::{run, tool};

const SECTORS: u32 = 8192;

/// An entry of an MBR: boot flag, type, first sector, count of sectors.
type Entry = (u8, u8, u32, u32);

fn write(file: &Path, entries: &[Entry]) {
    let mut sector = [0; 512];
    for (raw, (flag, kind, first, sectors)) in sector[446..].chunks_exact_mut(16).zip(entries) {
        raw[0] = *flag;
        raw[4] = *kind;
        raw[8..12].copy_from_slice(&first.to_le_bytes());
        raw[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let disk = std::fs::File::create(file).unwrap();
    disk.set_len(u64::from(SECTORS) * 512).unwrap();
    disk.write_all_at(&sector, 0).unwrap();
}

fn read(file: &Path) -> Result<(Scheme, Vec<Partition>), TableError> {
    partitions(&FileDevice::open(file).unwrap())
}

/// What sfdisk sees: the label's kind, and of each partition number, sectors and type.
fn sfdisk(file: &Path) -> (String, Vec<(u32, Range<u64>, String)>) {
    let said = run(tool("sfdisk", "fdisk").arg("--json").arg(file));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let table = &said["partitiontable"];
    let name = file.to_str().unwrap();
    let found = table["partitions"].as_array().into_iter().flatten().map(|p| {
        let number = p["node"].as_str().unwrap().strip_prefix(name).unwrap();
        let start = p["start"].as_u64().unwrap();
        let kind = p["type"].as_str().unwrap().to_owned();
        (number.trim_start_matches('p').parse().unwrap(), start..start + p["size"].as_u64().unwrap(), kind)
    });
    (table["label"].as_str().unwrap().to_owned(), found.collect())
}

fn kind(sfdisk: &str) -> Kind {
    match sfdisk {
        "1" | "4" | "6" | "b" | "c" | "e" | "ef" => Kind::Fat,
        "83" => Kind::Linux,
        _ => Kind::Other,
    }
}

fn same(found: &[Partition], expected: &[(u32, Range<u64>, String)]) {
    let found: Vec<_> = found.iter().map(|p| (p.number, p.offset..p.offset + p.len, p.kind)).collect();
    let expected: Vec<_> =
        expected.iter().map(|(n, at, k)| (*n, at.start * 512..at.end * 512, kind(k))).collect();
    assert_eq!(found, expected);
}

#[test]
fn tables_that_sfdisk_makes_are_read_as_it_reads_them() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = scratch.path().join("disk");
    let table = scratch.path().join("table");
    let logical =
        "start=64,size=500,type=c,bootable\nstart=1000,size=4000,type=5\nstart=1100,size=500,type=83\n";
    for (script, scheme, primary) in [
        ("label: dos\nstart=64,size=1000,type=c,bootable\nstart=2048,type=83\n", Scheme::Mbr, 2),
        ("label: dos\n3 : start=64,size=1000,type=e\n", Scheme::Mbr, 1),
        (
            "label: dos\nsize=500,type=4\nsize=500,type=83\nsize=500,type=82\nsize=500,type=ef\n",
            Scheme::Mbr,
            4,
        ),
        (&format!("label: dos\n{logical}"), Scheme::Mbr, 2),
        (&format!("label: dos\n{}", logical.replace("type=5", "type=f")), Scheme::Mbr, 2),
        (&format!("label: dos\n{}", logical.replace("type=5", "type=85")), Scheme::Mbr, 2),
        ("label: gpt\nsize=1000,type=uefi\nsize=1000,type=linux\n", Scheme::Gpt, 2),
    ] {
        let file = std::fs::File::create(&disk).unwrap();
        file.set_len(u64::from(SECTORS) * 512).unwrap();
        std::fs::write(&table, script).unwrap();
        run(tool("sfdisk", "fdisk").arg("-q").arg(&disk).stdin(std::fs::File::open(&table).unwrap()));
        let (label, mut expected) = sfdisk(&disk);
        // the logical ones, from the fifth on, lie within the extended one
        assert!(expected.len() >= primary, "{script}");
        expected.retain(|(number, ..)| *number <= 4);
        let (found_scheme, found) = read(&disk).unwrap();
        assert_eq!((found_scheme, found.len()), (scheme, primary), "{script}");
        match scheme {
            Scheme::Mbr => {
                assert_eq!(label, "dos");
                same(&found, &expected);
            }
            Scheme::Gpt => {
                assert_eq!(label, "gpt");
                let places: Vec<_> = found.iter().map(|p| (p.number, p.offset / 512)).collect();
                let expected: Vec<_> = expected.iter().map(|(n, at, _)| (*n, at.start)).collect();
                assert_eq!(places, expected);
                assert_eq!(found.iter().map(|p| p.kind).collect::<Vec<_>>(), [Kind::Fat, Kind::Linux]);
            }
        }
    }
}

#[test]
fn a_protective_table_without_a_gpt_is_a_damaged_gpt() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = scratch.path().join("disk");
    for entries in [&[(0, 0xee, 1, SECTORS - 1)][..], &[(0, 0x0c, 64, 100), (0, 0xee, 1, 33)]] {
        write(&disk, entries);
        let error = read(&disk).unwrap_err();
        assert!(matches!(error, TableError::Damaged { scheme: Scheme::Gpt, .. }), "{error:?}");
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let flag = prop_oneof![16 => Just(0), 4 => Just(0x80), 1 => any::<u8>()];
    let known = [0x00, 0x01, 0x05, 0x06, 0x0b, 0x0c, 0x0e, 0x0f, 0x82, 0x83, 0x85, 0xef];
    let kind = prop_oneof![8 => proptest::sample::select(known.to_vec()), 1 => any::<u8>()];
    let first = prop_oneof![12 => 1..SECTORS, 1 => Just(0), 1 => any::<u32>()];
    let count = prop_oneof![12 => 0..SECTORS / 4, 1 => Just(0), 1 => any::<u32>()];
    (flag, kind.prop_filter("says that a GPT follows", |kind| *kind != 0xee), first, count)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    /// All that is taken is what sfdisk sees, and what is refused is refused for what sfdisk sees, too.
    #[test]
    fn any_four_entries_are_read_as_sfdisk_reads_them(entries in proptest::collection::vec(entry(), 0..=4)) {
        let scratch = tempfile::tempdir().unwrap();
        let disk = scratch.path().join("disk");
        write(&disk, &entries);
        let (label, mut seen) = sfdisk(&disk);
        prop_assert_eq!(label, "dos");
        // sfdisk lists entries without a type or without sectors, and logical partitions
        seen.retain(|(number, at, kind)| *number <= 4 && kind != "0" && !at.is_empty());
        let flags = entries.iter().any(|(flag, ..)| ![0, 0x80].contains(flag));
        let outside = seen.iter().any(|(_, at, _)| at.start == 0 || at.end > u64::from(SECTORS));
        let overlap = seen.iter().enumerate().any(|(n, (_, a, _))| {
            seen[n + 1..].iter().any(|(_, b, _)| a.start < b.end && b.start < a.end)
        });
        match read(&disk) {
            Ok((scheme, found)) => {
                prop_assert_eq!(scheme, Scheme::Mbr);
                prop_assert!(!flags && !outside && !overlap && !found.is_empty(), "{:?}", found);
                same(&found, &seen);
            }
            Err(TableError::Damaged { scheme: Scheme::Mbr, .. }) => prop_assert!(flags),
            Err(TableError::None) => prop_assert!(seen.is_empty()),
            Err(TableError::Outside { .. }) => prop_assert!(outside),
            Err(TableError::Overlap { .. }) => prop_assert!(overlap),
            Err(e) => prop_assert!(false, "{e:?}"),
        }
    }
}

use super::*;
use crate::disk::MemoryDevice;
use proptest::prelude::*;

const LEN: usize = 4 << 20;

/// An MBR with these entries: type, first sector, sectors.
fn mbr(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut disk = vec![0; LEN];
    for (n, (kind, first, sectors)) in entries.iter().enumerate() {
        let at = 446 + 16 * n;
        disk[at + 4] = *kind;
        disk[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        disk[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn read(disk: Vec<u8>) -> Result<(Scheme, Vec<Partition>), TableError> {
    partitions(&MemoryDevice::new(disk))
}

fn gpt_disk() -> Vec<u8> {
    let image = Box::new(io::Cursor::new(vec![0; LEN]));
    let mut disk = ::gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(::gpt::disk::LogicalBlockSize::Lb512)
        .create_from_device(image, None)
        .unwrap();
    disk.add_partition("boot", 1 << 20, ::gpt::partition_types::EFI, 0, None).unwrap();
    disk.add_partition("root", 1 << 20, ::gpt::partition_types::LINUX_FS, 0, None).unwrap();
    let mut bytes = disk.write().unwrap().into_inner();
    ::gpt::mbr::ProtectiveMBR::with_lb_size((LEN / 512 - 1) as u32)
        .overwrite_lba0(&mut io::Cursor::new(&mut bytes))
        .unwrap();
    bytes
}

#[test]
fn primary_partitions_of_an_mbr_are_found() {
    let (scheme, found) = read(mbr(&[(0x0c, 64, 1000), (0x83, 2048, 4096)])).unwrap();
    assert_eq!(scheme, Scheme::Mbr);
    let boot = Partition { number: 1, offset: 64 * 512, len: 1000 * 512, kind: Kind::Fat };
    let root = Partition { number: 2, offset: 2048 * 512, len: 4096 * 512, kind: Kind::Linux };
    assert_eq!(found, [boot, root]);
}

#[test]
fn an_impossible_boot_flag_is_damage_also_in_an_entry_that_is_not_used() {
    for (entry, flag) in [(0, 0x81), (1, 0x01), (3, 0xff)] {
        let mut disk = mbr(&[(0x0c, 64, 1000), (0x83, 2048, 4096)]);
        disk[446 + 16 * entry] = flag;
        let error = read(disk).unwrap_err();
        assert!(matches!(error, TableError::Damaged { scheme: Scheme::Mbr, .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("entry {} has the boot flag {flag:#04x}", entry + 1)));
    }
    let mut disk = mbr(&[(0x0c, 64, 1000), (0x83, 2048, 4096)]);
    disk[446] = 0x80;
    assert_eq!(read(disk).unwrap().1.len(), 2);
}

#[test]
fn entries_keep_their_numbers_and_extended_partitions_are_others() {
    let found = read(mbr(&[(0, 1, 1), (0x0c, 64, 1000), (0, 0, 0), (0x0f, 2048, 4096)])).unwrap().1;
    let seen: Vec<_> = found.iter().map(|p| (p.number, p.kind)).collect();
    assert_eq!(seen, [(2, Kind::Fat), (4, Kind::Other)]);
}

#[test]
fn partitions_of_a_gpt_are_found() {
    let (scheme, found) = read(gpt_disk()).unwrap();
    assert_eq!(scheme, Scheme::Gpt);
    let kinds: Vec<_> = found.iter().map(|p| (p.number, p.kind, p.len)).collect();
    assert_eq!(kinds, [(1, Kind::Fat, 1 << 20), (2, Kind::Linux, 1 << 20)]);
}

/// Changes a header and makes its checksum right again.
fn forge(disk: &mut [u8], sector: usize, change: impl Fn(&mut [u8])) {
    let header = &mut disk[sector * 512..][..92];
    change(header);
    header[16..20].fill(0);
    let mut crc = flate2::Crc::new();
    crc.update(header);
    header[16..20].copy_from_slice(&crc.sum().to_le_bytes());
}

#[test]
fn a_damaged_gpt_is_refused() {
    let last = LEN / 512 - 1;
    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    let set = |sector: usize, at: usize, bytes: &'static [u8]| -> Damage {
        Box::new(move |disk| forge(disk, sector, |h| h[at..at + bytes.len()].copy_from_slice(bytes)))
    };
    let cases: [(&str, Damage); 9] = [
        ("an entry", Box::new(|disk| disk[2 * 512 + 40] ^= 1)),
        ("a backup entry", Box::new(move |disk| disk[(last - 32) * 512 + 40] ^= 1)),
        ("the header", Box::new(|disk| disk[512 + 40] ^= 1)),
        ("the backup header", Box::new(move |disk| disk[last * 512] ^= 1)),
        ("the end cut off", Box::new(|disk| disk.truncate(LEN - 512))),
        ("large entries", set(1, 84, &[0, 1, 0, 0])),
        ("four billion entries", set(1, 80, &[0xff; 4])),
        ("entries elsewhere", set(1, 72, &[0xff; 8])),
        ("another disk's backup", set(last, 56, &[7; 16])),
    ];
    let mut said = String::new();
    for (name, damage) in cases {
        let mut disk = gpt_disk();
        damage(&mut disk);
        let error = read(disk).unwrap_err();
        assert!(matches!(error, TableError::Damaged { scheme: Scheme::Gpt, .. }), "{name}: {error:?}");
        said += &format!("{name}: {error}\n");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_card_may_be_larger_than_the_gpt_on_it() {
    let mut disk = gpt_disk();
    disk.resize(2 * LEN, 0);
    assert_eq!(read(disk).unwrap().1.len(), 2);
}

#[test]
fn of_a_hybrid_table_the_gpt_counts() {
    let mut disk = gpt_disk();
    // the protective entry, and beside it an MBR's view of the first partition
    let hybrid = mbr(&[(0xee, 1, 33), (0x0c, 2048, 2048)]);
    disk[446..510].copy_from_slice(&hybrid[446..510]);
    let (scheme, found) = read(disk).unwrap();
    assert_eq!((scheme, found.len()), (Scheme::Gpt, 2));
}

#[test]
fn what_is_no_table_is_said_to_be_none() {
    for disk in [vec![], vec![0; 100], vec![0; LEN], mbr(&[])] {
        assert!(matches!(read(disk), Err(TableError::None)));
    }
}

#[test]
fn partitions_outside_the_disk_or_over_the_table_are_refused() {
    for entry in [(0x83, 8000, 1000), (0x83, u32::MAX, u32::MAX), (0x83, 0, 10)] {
        assert!(matches!(read(mbr(&[entry])), Err(TableError::Outside { number: 1, .. })), "{entry:?}");
    }
}

#[test]
fn overlapping_partitions_are_refused() {
    let error = read(mbr(&[(0x83, 1000, 100), (0x0c, 64, 937)])).unwrap_err();
    assert!(matches!(error, TableError::Overlap { first: 2, second: 1 }), "{error:?}");
    assert!(read(mbr(&[(0x83, 1000, 100), (0x0c, 64, 936)])).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 66), gpt in any::<bool>()) {
        let mut disk = if gpt { gpt_disk() } else { mbr(&[]) };
        let at = if gpt { 512 } else { 446 };
        disk[at..at + 64].copy_from_slice(&garbage[..64]);
        if let Ok((_, found)) = read(disk) {
            prop_assert!(found.iter().all(|p| p.offset + p.len <= LEN as u64));
        }
    }
}

//! What a path leads to, and who has the drive open.

use std::path::{Path, PathBuf};

use pibake::drives::linux::{Found, Off};
use pibake::drives::{Bus, By, DeviceNumber, Eligibility, Needs, Purpose, Refusal};

use super::recorded::*;

const CARD: u64 = 31_914_983_424;

fn machine() -> Recorded {
    let mut m = Recorded::new();
    m.disk("sdb", USB, "8:16", CARD, &[("removable", "1")])
        .part("sdb", "sdb1", "8:17", GB, "vfat", "")
        .link("/dev/disk/by-id/usb-card", "/dev/sdb")
        .link("/dev/disk/by-id/usb-card-part1", "/dev/sdb1")
        .link("/dev/broken", "/dev/nothing");
    m
}

fn find(m: &Recorded, path: &str) -> Found {
    m.machine().find(Path::new(path), m.owned()).unwrap()
}

#[test]
fn links_lead_to_the_drive() {
    let m = machine();
    for path in ["/dev/sdb", "/dev/disk/by-id/usb-card"] {
        let Found::Drive(drive, real) = find(&m, path) else { panic!("{path}") };
        assert_eq!((drive.number.to_string().as_str(), real.to_str()), ("8:16", Some("/dev/sdb")));
        assert_eq!(drive.ids, [PathBuf::from("/dev/disk/by-id/usb-card")]);
        assert_eq!(Eligibility::of(&drive, Purpose::Card, Some(CARD)), Eligibility::Allowed);
        assert_eq!(
            Eligibility::of(&drive, Purpose::Card, Some(CARD + 1)),
            Eligibility::Refused(vec![Refusal::TooSmall { size: CARD, needed: CARD + 1 }])
        );
    }
}

#[test]
fn a_disk_that_a_node_starts_from_may_be_of_any_size_and_is_no_built_in_one_without_a_word() {
    const LARGE: u64 = 1_000_204_886_016;
    let mut m = Recorded::new();
    m.disk("sdb", USB, "8:16", LARGE, &[]);
    m.disk("sdc", USB, "8:32", GB, &[]);
    m.disk("nvme0n1", NVME, "259:7", LARGE, &[]);
    let of = |path: &str, purpose| {
        let Found::Drive(drive, _) = find(&m, path) else { panic!("{path}") };
        Eligibility::of(&drive, purpose, None)
    };
    assert_eq!(of("/dev/sdb", Purpose::Card), Eligibility::NeedsAllowFixed(vec![Needs::Large(LARGE)]));
    assert!(of("/dev/sdb", Purpose::Card).to_string().contains("boot-from"));
    assert_eq!(of("/dev/sdb", Purpose::Disk), Eligibility::Allowed);
    assert_eq!(of("/dev/sdc", Purpose::Disk), Eligibility::NeedsAllowFixed(vec![Needs::Small(GB)]));
    assert_eq!(
        of("/dev/nvme0n1", Purpose::Disk),
        Eligibility::NeedsAllowFixed(vec![Needs::Fixed(Bus::Nvme)])
    );
}

#[test]
fn what_is_no_drive_is_said_to_be_none() {
    let m = machine();
    std::fs::write(m.root().join("dev/file"), "x").unwrap();
    for path in ["/dev/sdb1", "/dev/disk/by-id/usb-card-part1"] {
        assert_eq!(find(&m, path), Found::Partition { drive: "/dev/sdb".into() });
    }
    for path in ["/dev/sdx", "/dev/broken", "/dev/sdb/x"] {
        assert_eq!(find(&m, path), Found::Missing, "{path}");
    }
    assert_eq!(find(&m, "/dev"), Found::Other("a folder"));
    assert_eq!(find(&m, "/dev/file"), Found::Other("a regular file"));
}

#[test]
fn who_writes_is_a_user_and_who_reads_is_none() {
    for (flags, open, used) in [
        ("0100000", "/dev/sdb", false),
        ("0100002", "/dev/sdb", true),
        ("0100001", "/dev/sdb1", true),
        ("0100002", "/dev/other", false),
    ] {
        let mut m = machine();
        m.process(4711, "dd", open, flags);
        let Found::Drive(drive, _) = find(&m, "/dev/sdb") else { panic!() };
        let by = By::Process { pid: 4711, name: "dd".into() };
        assert_eq!(drive.uses.iter().any(|u| u.by == by), used, "{flags} {open}");
        assert_eq!(Eligibility::of(&drive, Purpose::Card, None) == Eligibility::Allowed, !used);
    }
}

#[test]
fn only_automounts_may_be_unmounted() {
    for (at, possible) in [
        (vec!["/media/me/boot"], true),
        (vec!["/media/me/boot", "/run/media/me/root"], true),
        (vec!["/media/me/boot", "/mnt"], false),
        (vec!["/media"], false),
        (vec!["/mediacenter/x"], false),
        (vec![], false),
    ] {
        let mut m = machine();
        for at in &at {
            m.mount("8:17", at, "vfat", "/dev/sdb1");
        }
        let Found::Drive(drive, _) = find(&m, "/dev/sdb") else { panic!() };
        assert_eq!(
            Eligibility::of(&drive, Purpose::Card, None).only_automounts().is_some(),
            possible,
            "{at:?}"
        );
    }
}

#[test]
fn a_machine_without_sysfs_is_an_error_and_not_one_without_drives() {
    let m = machine();
    std::fs::remove_dir_all(m.root().join("sys/class")).unwrap();
    let error = m.machine().drives(&[]).unwrap_err().to_string();
    assert!(error.contains("/sys/class/block"), "{error}");
    let m = machine();
    let machine = m.machine();
    std::fs::remove_file(m.root().join("proc/self/mountinfo")).unwrap();
    assert!(machine.drives(&[]).unwrap_err().to_string().contains("mountinfo"));
}

/// The machine that the tests run on: whatever it is, the drive with its root is refused.
#[test]
fn this_machine_keeps_its_own_root() {
    let machine = pibake::drives::linux::Machine::this();
    for drive in machine.drives(&[]).unwrap() {
        if drive.uses.iter().any(|u| u.by == By::Mount("/".into())) {
            assert!(
                matches!(Eligibility::of(&drive, Purpose::Card, None), Eligibility::Refused(_)),
                "{drive:?}"
            );
        }
    }
}

#[test]
fn a_reader_is_switched_off_only_where_nothing_else_needs_it() {
    let number = |text: &str| DeviceNumber::parse(text).unwrap();
    let remove = "sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/remove";
    let was_told = |m: &Recorded| std::fs::read_to_string(m.root().join(remove)).ok();

    let m = machine();
    assert_eq!(m.machine().switch_off(number("8:16"), &[]), Off::Done);
    assert_eq!(was_told(&m).as_deref(), Some("1"));

    // another card in the same reader is mounted, or was not finished
    let two = || {
        let mut m = machine();
        m.disk("sdc", USB_LUN1, "8:32", CARD, &[("removable", "1")]);
        m
    };
    let mut mounted = two();
    mounted.mount("8:32", "/mnt", "vfat", "/dev/sdc");
    let idle = two();
    for (m, others, off) in
        [(&mounted, vec![], false), (&idle, vec![number("8:32")], false), (&idle, vec![number("8:48")], true)]
    {
        assert_eq!(m.machine().switch_off(number("8:16"), &others) == Off::Done, off);
        assert_eq!(was_told(m).is_some(), off);
    }

    let mut fixed = Recorded::new();
    fixed.disk("sdb", USB, "8:16", CARD, &[("removable", "1"), ("usb/removable", "fixed")]);
    assert!(matches!(fixed.machine().switch_off(number("8:16"), &[]), Off::Not(_)));
    assert_eq!(was_told(&fixed), None);
    let mut slot = Recorded::new();
    slot.disk("mmcblk0", RTSX, "179:0", CARD, &[("device/type", "SD")]);
    assert!(matches!(slot.machine().switch_off(number("179:0"), &[]), Off::Not(_)));
}

//! The card: options that spare it, and what is noticed of one that is about to die.

use std::fs;
use std::os::unix::fs::symlink;

use support::put_program;

use super::machine::{Machine, Ran};

const OPTIONS: &str = "rw,relatime,errors=remount-ro";

fn node(control_plane: bool) -> Machine {
    let machine = if control_plane { Machine::control_plane(3650, 365) } else { Machine::worker(365) };
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/overlays/common/usr/lib/pibake");
    machine.shell(&format!("cp -r '{tree}' $D/program"));
    for real in ["mv", "rm", "curl"] {
        fs::remove_file(machine.path("bin").join(real)).unwrap();
    }
    let program = |name: &str, text: &str| {
        let _ = fs::remove_file(machine.path("bin").join(name));
        put_program(&machine.path("bin").join(name), format!("#!/bin/sh\n{text}\n"));
    };
    program(
        "findmnt",
        "case $* in *FSTYPE*) cat \"$STATE/type\" ;; *OPTIONS*) cat \"$STATE/options\" ;; *SOURCE*) cat \"$STATE/source\" ;; esac",
    );
    program("mount", "echo \"mount $1 $2\" >>\"$STATE/deeds\"");
    program(
        "systemctl",
        "case $2 in is-enabled) [ -e \"$STATE/trims\" ] ;; *) echo \"$*\" >>\"$STATE/deeds\" ;; esac",
    );
    program(
        "journalctl",
        "case \" $* \" in *\" --since -7days _TRANSPORT=kernel \"*) cat \"$STATE/journal\" ;; *) exit 1 ;; esac",
    );
    program("blkid", "[ \"$1 $2 $4 $5\" = '-p -s -o value' ] && cat \"$STATE/$3-${6##*/}\"");
    program("curl", "[ \"${7}\" = http://127.0.0.1:2381/metrics ] && cat \"$STATE/metrics\"");
    // the disks that the tests speak of, as the kernel lists them
    for (disk, partition) in [("mmcblk0", "mmcblk0p2"), ("sda", "sda2")] {
        machine.put(&format!("sys/devices/{disk}/{partition}/partition"), "2\n");
        let blocks = machine.path("root/sys/class/block");
        fs::create_dir_all(&blocks).unwrap();
        symlink(format!("../../devices/{disk}/{partition}"), blocks.join(partition)).unwrap();
    }
    for (name, text) in [
        ("type", "ext4"),
        ("options", OPTIONS),
        ("source", "/dev/mmcblk0p2"),
        ("journal", ""),
        ("metrics", ""),
        ("trims", ""),
    ] {
        machine.state(name, text);
    }
    machine
}

fn look(machine: &Machine) -> (Ran, String) {
    let ran = machine.run_program(&machine.path("program/card"));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let told = machine.read("var/log/pibake/card");
    let told = told.lines().filter(|line| !line.starts_with("updated=")).collect::<Vec<_>>().join("\n");
    (ran, told)
}

#[test]
fn fewer_writes_once_and_not_again() {
    let machine = node(false);
    assert_eq!(look(&machine).1, "format=1\nnode=node-2\nstate=ok\nerrors=0\nmessage=");
    assert_eq!(machine.read_state("deeds"), "mount -o remount,noatime,commit=30\n");
    for (kind, options) in [
        ("ext4", "rw,noatime,commit=30,errors=remount-ro"),
        ("ext4", "rw,noatime,discard,commit=30"),
        ("ext4", "ro,relatime"),
        ("btrfs", "rw,relatime"),
    ] {
        machine.state("type", kind);
        machine.state("options", options);
        machine.state("deeds", "");
        look(&machine);
        assert_eq!(machine.read_state("deeds"), "", "{kind} {options}");
    }
    machine.state("type", "ext4");
    machine.state("options", "rw,noatime,commit=30");
    machine.unset_state("trims");
    look(&machine);
    assert_eq!(machine.read_state("deeds"), "--quiet enable --now fstrim.timer\n");
}

#[test]
fn a_card_that_is_about_to_die_is_noticed() {
    let machine = node(true);
    // As Linux 5.4 and 6.8 say it.
    for line in [
        "blk_update_request: I/O error, dev mmcblk0, sector 123456 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 0",
        "I/O error, dev mmcblk0, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 4 prio class 2",
        "Buffer I/O error on dev mmcblk0p2, logical block 12, lost async page write",
        "EXT4-fs error (device mmcblk0p2): ext4_journal_check_start:61: Detected aborted journal",
        "EXT4-fs (mmcblk0p2): Remounting filesystem read-only",
        "Aborting journal on device mmcblk0p2-8.",
        "mmc0: Timeout waiting for hardware interrupt.",
        "mmc0: error -110 whilst initialising SD card",
    ] {
        machine.state("journal", &format!("usb 1-1: new device\n{line}\n"));
        let (ran, told) = look(&machine);
        let begin = format!(
            "format=1\nnode=node-1\nstate=failing\nerrors=1\nmessage=the kernel met errors with mmcblk0, 1 within a week, the last one: {}. It may",
            line.trim_end_matches('.')
        );
        assert!(told.starts_with(&begin), "{told}");
        assert!(ran.said.contains("write another card"), "{}", ran.said);
    }
    // Of other disks, and of a card that is well.
    for line in [
        "I/O error, dev sda, sector 2048 op 0x0:(READ)",
        "EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode. Opts: (null)",
        "mmc0: new high speed SDHC card at address aaaa",
        "mmc1: error -110 whilst initialising SDIO card",
        "mmcblk0: mmc0:aaaa SC32G 29.7 GiB",
        "EXT4-fs (mmcblk0p2): re-mounted. Opts: commit=30,errors=remount-ro",
    ] {
        machine.state("journal", &format!("{line}\n"));
        assert!(look(&machine).1.contains("state=ok"), "{line}");
    }
    // An SSD.
    machine.state("source", "/dev/sda2");
    machine.state("journal", "I/O error, dev sda, sector 2048 op 0x0:(READ)\n");
    assert!(look(&machine).1.contains("state=failing\nerrors=1\nmessage=the kernel met errors with sda, 1 "));
}

#[test]
fn a_card_that_etcd_waits_for_is_slow() {
    let machine = node(true);
    let metrics = |quick: u32, all: u32| {
        machine.state(
            "metrics",
            &format!(
                "# TYPE etcd_disk_wal_fsync_duration_seconds histogram\n\
                 etcd_disk_wal_fsync_duration_seconds_bucket{{le=\"0.256\"}} 0\n\
                 etcd_disk_wal_fsync_duration_seconds_bucket{{le=\"0.512\"}} {quick}\n\
                 etcd_disk_wal_fsync_duration_seconds_bucket{{le=\"+Inf\"}} {all}\n\
                 etcd_disk_wal_fsync_duration_seconds_count {all}\n"
            ),
        );
    };
    metrics(9500, 10000);
    let (_, told) = look(&machine);
    assert!(
        told.contains("state=slow\nerrors=0\nmessage=mmcblk0 is slow: ")
            && told.contains(" in 5 of 100 cases"),
        "{told}"
    );
    // Too few to tell, and few among many.
    for (quick, all) in [(0, 999), (9900, 10000), (10000, 10000)] {
        metrics(quick, all);
        assert!(look(&machine).1.contains("state=ok"), "{quick} of {all}");
    }
    // No etcd.
    machine.state("metrics", "");
    assert!(look(&machine).1.contains("state=ok"));
}

#[test]
fn a_disk_that_is_a_copy_of_the_card_is_noticed() {
    let machine = node(false);
    machine.state("PART_ENTRY_UUID-mmcblk0p2", "1b2c3d4e-02\n");
    for (other, copied) in [("5f60718a-02\n", false), ("", false), ("1b2c3d4e-02\n", true)] {
        machine.state("PART_ENTRY_UUID-sda2", other);
        let (_, told) = look(&machine);
        let found = told.contains(
            "state=copied\nerrors=0\nmessage=another disk (sda) is a copy of this one (mmcblk0), and the next start may",
        );
        assert_eq!(found, copied, "{told}");
        assert_eq!(told.contains("state=ok"), !copied, "{told}");
    }
    // Errors of the card itself come first.
    machine.state("journal", "I/O error, dev mmcblk0, sector 2048 op 0x0:(READ)\n");
    assert!(look(&machine).1.contains("state=failing"));
}

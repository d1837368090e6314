//! Each machine with what is said of each of its drives. A line that changes here changes which
//! disks people lose.

use super::recorded::*;

macro_rules! machine {
    ($name:ident, |$m:ident| $build:expr) => {
        #[test]
        fn $name() {
            let mut recorded = Recorded::new();
            let $m = &mut recorded;
            $build;
            insta::assert_snapshot!(stringify!($name), recorded.eligibilities());
        }
    };
}

const CARD: u64 = 31_914_983_424;
const READER: [(&str, &str); 4] = [
    ("removable", "1"),
    ("device/vendor", "Generic-"),
    ("device/model", "SD/MMC"),
    ("usb/serial", "20120501030900000"),
];

fn reader_with_card(m: &mut Recorded) -> &mut Recorded {
    m.disk("sdb", USB, "8:16", CARD, &READER)
        .part("sdb", "sdb1", "8:17", 268_435_456, "vfat", "system-boot")
        .part("sdb", "sdb2", "8:18", CARD - 269_484_032, "ext4", "writable")
}

fn nvme(m: &mut Recorded) -> &mut Recorded {
    m.disk(
        "nvme0n1",
        NVME,
        "259:0",
        512 * GB,
        &[("device/model", "Samsung SSD 980 PRO 500GB"), ("device/serial", "S5GXNX0R123456")],
    )
}

machine!(laptop_with_luks_and_lvm_on_nvme, |m| {
    nvme(m)
        .part("nvme0n1", "nvme0n1p1", "259:1", GB, "vfat", "EFI")
        .part("nvme0n1", "nvme0n1p2", "259:2", 510 * GB, "crypto_LUKS", "")
        .volume("dm-0", "253:0", 510 * GB, "luks-1234")
        .volume("dm-1", "253:1", 400 * GB, "vg-root")
        .volume("dm-2", "253:2", 8 * GB, "vg-swap")
        .hold("nvme0n1p2", "dm-0")
        .hold("dm-0", "dm-1")
        .hold("dm-0", "dm-2")
        .mount("253:1", "/", "ext4", "/dev/mapper/vg-root")
        .mount("259:1", "/boot/efi", "vfat", "/dev/nvme0n1p1")
        .swap("/dev/dm-2");
    reader_with_card(m)
});

machine!(raspberry_pi_with_its_own_card_as_root, |m| m
    .disk(
        "mmcblk0",
        MMC,
        "179:0",
        CARD,
        &[("device/type", "SD"), ("device/name", "SC32G"), ("device/serial", "0x1234abcd"),]
    )
    .part("mmcblk0", "mmcblk0p1", "179:1", 268_435_456, "vfat", "system-boot")
    .part("mmcblk0", "mmcblk0p2", "179:2", CARD - 300_000_000, "ext4", "writable")
    .mount("179:2", "/", "ext4", "/dev/mmcblk0p2")
    .mount("179:1", "/boot/firmware", "vfat", "/dev/mmcblk0p1"));

machine!(usb_stick_with_swap, |m| m
    .disk(
        "sda",
        USB,
        "8:0",
        16 * GB,
        &[("removable", "1"), ("device/vendor", "SanDisk"), ("device/model", "Ultra")]
    )
    .part("sda", "sda1", "8:1", 15 * GB, "swap", "")
    .swap("/dev/sda1"));

machine!(raid_of_two_disks, |m| m
    .disk("sda", SATA, "8:0", 4000 * GB, &[("device/vendor", "ATA"), ("device/model", "WDC WD40EFRX")])
    .disk("sdb", SATA2, "8:16", 4000 * GB, &[("device/vendor", "ATA"), ("device/model", "WDC WD40EFRX")])
    .part("sda", "sda1", "8:1", 4000 * GB, "linux_raid_member", "nas:0")
    .part("sdb", "sdb1", "8:17", 4000 * GB, "linux_raid_member", "nas:0")
    .disk("md0", VIRTUAL, "9:0", 4000 * GB, &[])
    .hold("sda1", "md0")
    .hold("sdb1", "md0")
    .mount("9:0", "/srv", "ext4", "/dev/md0"));

machine!(raid_of_usb_sticks_that_nobody_mounted, |m| m
    .disk("sda", USB, "8:0", 32 * GB, &[("removable", "1")])
    .disk("sdb", USB2, "8:16", 32 * GB, &[("removable", "1")])
    .disk("md127", VIRTUAL, "9:127", 32 * GB, &[])
    .hold("sda", "md127")
    .hold("sdb", "md127"));

machine!(card_in_an_internal_reader, |m| {
    nvme(m).mount("259:0", "/", "ext4", "/dev/nvme0n1");
    m.disk(
        "mmcblk0",
        RTSX,
        "179:0",
        63_864_569_856,
        &[("device/type", "SD"), ("device/name", "SD64G"), ("device/serial", "0x7c2fd2ab")],
    )
    .part("mmcblk0", "mmcblk0p1", "179:1", 63 * GB, "exfat", "CANON_DC")
});

machine!(emmc_with_its_boot_areas, |m| m
    .disk("mmcblk0", MMC, "179:0", 62 * GB, &[("device/type", "MMC"), ("device/name", "DF4064")])
    .disk("mmcblk0boot0", &format!("{MMC}/block/mmcblk0"), "179:8", 4_194_304, &[("ro", "1")])
    .disk("mmcblk0boot1", &format!("{MMC}/block/mmcblk0"), "179:16", 4_194_304, &[("ro", "1")]));

machine!(usb_ssd_with_home, |m| m
    .disk("sda", USB, "8:0", 240 * GB, &[("device/vendor", "Samsung"), ("device/model", "Portable SSD T5")])
    .part("sda", "sda1", "8:1", 240 * GB, "ext4", "home")
    .mount("8:1", "/home", "ext4", "/dev/sda1"));

machine!(usb_ssd_with_nothing_mounted, |m| m
    .disk("sda", USB, "8:0", 240 * GB, &[("device/vendor", "Samsung"), ("device/model", "Portable SSD T5")])
    .part("sda", "sda1", "8:1", 240 * GB, "ext4", "home"));

machine!(usb_disk_of_two_terabytes, |m| m
    .disk("sda", USB, "8:0", 2000 * GB, &[("device/vendor", "WD"), ("device/model", "My Passport 25E2")])
    .part("sda", "sda1", "8:1", 2000 * GB, "ntfs", "Backup"));

machine!(usb_disk_that_is_soldered_in, |m| m.disk(
    "sda",
    USB,
    "8:0",
    64 * GB,
    &[("usb/removable", "fixed"), ("device/model", "Internal SSD"),]
));

machine!(loop_devices, |m| m
    .disk(
        "loop0",
        VIRTUAL,
        "7:0",
        64_000_000,
        &[("loop/backing_file", "/var/lib/snapd/snaps/core_1.snap"), ("ro", "1")]
    )
    .disk("loop1", VIRTUAL, "7:1", 8 * GB, &[("loop/backing_file", "/tmp/card.img")])
    .disk("loop2", VIRTUAL, "7:2", 0, &[])
    .mount("7:0", "/snap/core/1", "squashfs", "/dev/loop0"));

machine!(loop_device_over_a_card, |m| {
    reader_with_card(m).disk("loop0", VIRTUAL, "7:0", CARD, &[("loop/backing_file", "/dev/sdb")])
});

machine!(zram_as_swap, |m| m
    .disk("zram0", VIRTUAL, "253:0", 4 * GB, &[])
    .disk("ram0", VIRTUAL, "1:0", 67_108_864, &[])
    .swap("/dev/zram0"));

machine!(optical_drive_with_and_without_a_disc, |m| m
    .disk(
        "sr0",
        SATA,
        "11:0",
        4_700_000_000,
        &[("removable", "1"), ("device/type", "5"), ("ro", "1"), ("device/vendor", "HL-DT-ST")]
    )
    .disk("sr1", USB, "11:1", 1_073_741_312, &[("removable", "1"), ("device/type", "5")]));

machine!(floppy_drive, |m| m.disk("fd0", "platform/floppy.0", "2:0", 1_474_560, &[("removable", "1")]));

machine!(empty_reader_slot, |m| m.disk("sdb", USB, "8:16", 0, &READER));

machine!(reader_with_four_slots_and_one_card, |m| m
    .disk("sdb", USB, "8:16", 0, &[("removable", "1"), ("device/model", "CF")])
    .disk("sdc", USB_LUN1, "8:32", CARD, &[("removable", "1"), ("device/model", "SD")])
    .disk("sdd", USB_LUN2, "8:48", 0, &[("removable", "1"), ("device/model", "MS")])
    .part("sdc", "sdc1", "8:33", CARD, "vfat", "PHOTOS"));

machine!(multipath_over_two_paths, |m| m
    .disk("sda", SAS, "8:0", 100 * GB, &[("device/vendor", "IBM"), ("device/model", "2145")])
    .disk("sdb", SATA2, "8:16", 100 * GB, &[("device/vendor", "IBM"), ("device/model", "2145")])
    .volume("dm-0", "253:0", 100 * GB, "mpatha")
    .hold("sda", "dm-0")
    .hold("sdb", "dm-0"));

machine!(card_that_the_desktop_mounted, |m| {
    reader_with_card(m).mount("8:17", "/media/me/system-boot", "vfat", "/dev/sdb1").mount(
        "8:18",
        "/run/media/me/my\\040card",
        "ext4",
        "/dev/sdb2",
    )
});

machine!(card_mounted_by_hand, |m| {
    reader_with_card(m).mount("8:17", "/media/me/system-boot", "vfat", "/dev/sdb1").mount(
        "8:18",
        "/mnt",
        "ext4",
        "/dev/sdb2",
    )
});

machine!(card_with_the_lock_switch_on, |m| {
    let mut attributes = READER.to_vec();
    attributes.push(("ro", "1"));
    m.disk("sdb", USB, "8:16", CARD, &attributes)
});

machine!(mounted_under_another_name, |m| {
    // what the table of mounts calls it does not matter: the number is that of sdb2
    reader_with_card(m).mount("8:18", "/", "ext4", "/dev/root")
});

machine!(btrfs_over_a_disk_and_a_stick, |m| m
    .disk("sda", SATA, "8:0", 100 * GB, &[])
    .disk("sdb", USB, "8:16", CARD, &READER)
    .part("sda", "sda1", "8:1", 100 * GB, "btrfs", "pool")
    .part("sdb", "sdb1", "8:17", CARD, "btrfs", "pool")
    .btrfs(&["sda1", "sdb1"])
    .mount("0:44", "/", "btrfs", "/dev/sda1"));

machine!(home_with_pibakes_things_on_a_stick, |m| {
    reader_with_card(m)
        .mount("8:18", "/work", "ext4", "/dev/sdb2")
        .own("pibake.toml", "/work/cluster/pibake.toml")
        .own("pibake's cache", "/cache/pibake")
});

machine!(the_image_is_a_drive_itself, |m| {
    reader_with_card(m).disk("sdc", USB2, "8:32", CARD, &READER).own("the image", "/dev/sdc")
});

machine!(virtual_machine, |m| m
    .disk("vda", VIRTIO, "254:0", 40 * GB, &[])
    .part("vda", "vda1", "254:1", 40 * GB, "ext4", "")
    .disk("vdb", &VIRTIO.replace("virtio1", "virtio2"), "254:16", 32 * GB, &[("serial", "data-disk")])
    .mount("254:1", "/", "ext4", "/dev/vda1"));

machine!(nvme_that_nobody_uses, |m| nvme(m).part(
    "nvme0n1",
    "nvme0n1p1",
    "259:1",
    500 * GB,
    "ntfs",
    "Windows"
));

machine!(nvme_in_a_usb_case, |m| m.disk(
    "sda",
    USB,
    "8:0",
    250 * GB,
    &[("device/vendor", "ASMT"), ("device/model", "2462 NVME"), ("usb/removable", "removable"),]
));

machine!(cards_that_are_small_or_large, |m| m
    .disk("sda", USB, "8:0", 1_977_614_336, &READER)
    .disk("sdb", USB, "8:16", 3_965_190_144, &READER)
    .disk("sdc", USB, "8:32", 255_869_321_216, &READER)
    .disk("sdd", USB, "8:48", 512 * GB, &READER));

machine!(crypt_on_a_stick_that_is_open_and_not_mounted, |m| m
    .disk("sda", USB, "8:0", 32 * GB, &READER)
    .part("sda", "sda1", "8:1", 32 * GB, "crypto_LUKS", "")
    .volume("dm-0", "253:0", 32 * GB, "luks-stick")
    .hold("sda1", "dm-0"));

machine!(lvm_across_a_disk_and_a_card, |m| {
    reader_with_card(m)
        .disk("sda", SATA, "8:0", 100 * GB, &[])
        .volume("dm-0", "253:0", 120 * GB, "vg-data")
        .hold("sda", "dm-0")
        .hold("sdb2", "dm-0")
        .mount("253:0", "/data", "xfs", "/dev/mapper/vg-data")
});

machine!(bcache_with_an_ssd_on_usb, |m| m
    .disk("sda", SATA, "8:0", 2000 * GB, &[])
    .disk("sdb", USB, "8:16", 120 * GB, &[("device/model", "SSD")])
    .disk("bcache0", VIRTUAL, "252:0", 2000 * GB, &[])
    .hold("sda", "bcache0")
    .hold("sdb", "bcache0")
    .mount("252:0", "/srv", "ext4", "/dev/bcache0"));

machine!(swap_file_on_a_stick, |m| {
    reader_with_card(m).mount("8:18", "/mnt/stick", "ext4", "/dev/sdb2").own("swap", "/mnt/stick/swapfile");
    m.swap("/mnt/stick/swapfile")
});

machine!(old_raid_controller_with_slashes_in_names, |m| m
    .disk("cciss/c0d0", "pci0000:00/0000:06:00.0/cciss0/c0d0", "104:0", 146 * GB, &[])
    .mount("104:0", "/", "ext4", "/dev/cciss/c0d0"));

machine!(many_mounts_of_one_drive, |m| {
    nvme(m);
    for n in 1..=6 {
        m.part("nvme0n1", &format!("nvme0n1p{n}"), &format!("259:{n}"), GB, "ext4", "");
        m.mount(&format!("259:{n}"), &format!("/srv/{n}"), "ext4", &format!("/dev/nvme0n1p{n}"));
    }
});

machine!(reader_whose_data_udev_has, |m| {
    reader_with_card(m).udev(
        "8:16",
        &[
            "S:disk/by-id/usb-Generic-_SD_MMC_20120501030900000-0:0",
            "S:disk/by-path/pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0",
            "E:ID_SERIAL_SHORT=058F63666485",
            "E:ID_MODEL=SD_MMC",
        ],
    )
});

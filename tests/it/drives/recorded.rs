//! A machine as its kernel shows it: sysfs, the tables in /proc, what udev noted, and /dev.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pibake::drives::linux::Machine;
use pibake::drives::{Drive, Eligibility, Own, Purpose};
use pibake::io::sold_size;

/// Where buses put their drives, below /sys/devices.
pub const NVME: &str = "pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";
pub const SATA: &str = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0";
pub const SATA2: &str = "pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0";
pub const USB: &str = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:0";
pub const USB_LUN1: &str = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:1";
pub const USB_LUN2: &str = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:2";
pub const USB2: &str = "pci0000:00/0000:00:14.0/usb2/2-2/2-2:1.0/host5/target5:0:0/5:0:0:0";
pub const MMC: &str = "platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa";
pub const RTSX: &str = "pci0000:00/0000:00:1c.0/0000:02:00.0/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:1234";
pub const VIRTUAL: &str = "virtual";
pub const VIRTIO: &str = "pci0000:00/0000:00:04.0/virtio1";
pub const SAS: &str = "pci0000:00/0000:02:00.0/host2/port-2:0/end_device-2:0/target2:0:0/2:0:0:0";

pub const GB: u64 = 1_000_000_000;

/// The USB device above a drive: the directory over that of its interface.
fn usb_device(at: &str) -> Option<PathBuf> {
    let (device, _) = at.rsplit_once("/2-").filter(|_| at.contains("/usb"))?;
    Some(PathBuf::from("sys/devices").join(device))
}

pub struct Recorded {
    dir: tempfile::TempDir,
    mounts: String,
    swaps: String,
    own: Vec<Own>,
}

impl Recorded {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["sys/class/block", "sys/fs", "proc/self", "run/udev/data", "dev/disk/by-id"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        let swaps = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_owned();
        let mounts = "21 1 0:20 / /proc rw,nosuid shared:12 - proc proc rw\n".to_owned();
        Self { dir, mounts, swaps, own: Vec::new() }
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    fn put(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A drive. Attributes are paths below its directory in sysfs.
    pub fn disk(
        &mut self,
        name: &str,
        at: &str,
        number: &str,
        bytes: u64,
        attributes: &[(&str, &str)],
    ) -> &mut Self {
        let dir = PathBuf::from("sys/devices").join(at).join("block").join(name.replace('/', "!"));
        self.device(name, &dir, number, bytes);
        self.put(dir.join("removable"), "0\n");
        self.put(dir.join("queue/logical_block_size"), "512\n");
        self.put(dir.join("queue/physical_block_size"), "512\n");
        if let Some(usb) = usb_device(at) {
            self.put(usb.join("idVendor"), "0bda\n");
        }
        for (attribute, text) in attributes {
            match attribute.strip_prefix("usb/") {
                Some(attribute) => self.put(
                    usb_device(at).unwrap().join(attribute),
                    &format!(
                        "{text}
"
                    ),
                ),
                None => self.put(dir.join(attribute), &format!("{text}\n")),
            }
        }
        self
    }

    fn device(&self, name: &str, dir: &Path, number: &str, bytes: u64) {
        self.put(dir.join("dev"), &format!("{number}\n"));
        self.put(dir.join("size"), &format!("{}\n", bytes / 512));
        self.put(dir.join("ro"), "0\n");
        self.put(Path::new("dev").join(name), "");
        let real = fs::canonicalize(self.root().join(dir)).unwrap();
        symlink(real, self.root().join("sys/class/block").join(name.replace('/', "!"))).unwrap();
    }

    fn dir_of(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.root().join("sys/class/block").join(name)).unwrap()
    }

    /// A partition of a drive, with the file system that udev saw on it.
    pub fn part(
        &mut self,
        disk: &str,
        name: &str,
        number: &str,
        bytes: u64,
        fs_type: &str,
        label: &str,
    ) -> &mut Self {
        let real = self.dir_of(disk).join(name);
        let dir = real.strip_prefix(fs::canonicalize(self.root()).unwrap()).unwrap().to_owned();
        self.device(name, &dir, number, bytes);
        self.put(dir.join("partition"), "1\n");
        self.content(number, fs_type, label)
    }

    pub fn content(&mut self, number: &str, fs_type: &str, label: &str) -> &mut Self {
        let mut udev = Vec::new();
        if !fs_type.is_empty() {
            udev.push(format!("E:ID_FS_TYPE={fs_type}"));
        }
        if !label.is_empty() {
            udev.push(format!("E:ID_FS_LABEL={label}"));
        }
        self.udev(number, &udev.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn udev(&mut self, number: &str, lines: &[&str]) -> &mut Self {
        self.put(Path::new("run/udev/data").join(format!("b{number}")), &(lines.join("\n") + "\n"));
        self
    }

    /// `above` is built on `below`, as the device mapper and md tell.
    pub fn hold(&mut self, below: &str, above: &str) -> &mut Self {
        let (below_dir, above_dir) = (self.dir_of(below), self.dir_of(above));
        for (dir, sub, name, to) in
            [(&below_dir, "holders", above, &above_dir), (&above_dir, "slaves", below, &below_dir)]
        {
            fs::create_dir_all(dir.join(sub)).unwrap();
            symlink(to, dir.join(sub).join(name)).unwrap();
        }
        self
    }

    pub fn volume(&mut self, name: &str, number: &str, bytes: u64, alias: &str) -> &mut Self {
        self.disk(name, VIRTUAL, number, bytes, &[("dm/name", alias), ("dm/uuid", "x")])
    }

    pub fn mount(&mut self, number: &str, at: &str, fs_type: &str, source: &str) -> &mut Self {
        self.mounts += &format!("40 1 {number} / {at} rw,relatime shared:1 - {fs_type} {source} rw\n");
        self
    }

    pub fn swap(&mut self, path: &str) -> &mut Self {
        self.swaps += &format!("{path}                               partition\t8388604\t0\t-2\n");
        self
    }

    pub fn own(&mut self, what: &'static str, path: &str) -> &mut Self {
        self.own.push(Own { what, path: path.into() });
        self.put(path.trim_start_matches('/'), "");
        self
    }

    pub fn link(&mut self, link: &str, to: &str) -> &mut Self {
        let link = self.root().join(link.trim_start_matches('/'));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(self.root().join(to.trim_start_matches('/')), link).unwrap();
        self
    }

    pub fn btrfs(&mut self, devices: &[&str]) -> &mut Self {
        for device in devices {
            self.put(format!("sys/fs/btrfs/1b2c/devices/{device}/present"), "");
        }
        self
    }

    /// A process with one descriptor open.
    pub fn process(&mut self, pid: u32, name: &str, open: &str, flags: &str) -> &mut Self {
        self.put(format!("proc/{pid}/comm"), &format!("{name}\n"));
        self.put(format!("proc/{pid}/fdinfo/3"), &format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t30\n"));
        fs::create_dir_all(self.root().join(format!("proc/{pid}/fd"))).unwrap();
        symlink(open, self.root().join(format!("proc/{pid}/fd/3"))).unwrap();
        self
    }

    pub fn machine(&self) -> Machine {
        self.put("proc/self/mountinfo", &self.mounts);
        self.put("proc/swaps", &self.swaps);
        Machine::recorded(self.root())
    }

    pub fn owned(&self) -> &[Own] {
        &self.own
    }

    pub fn drives(&self) -> Vec<Drive> {
        self.machine().drives(&self.own).unwrap()
    }

    /// One line for each drive: what it is, and what may be done with it.
    pub fn eligibilities(&self) -> String {
        let line = |drive: &Drive| {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            format!(
                "{} {} | {} | {} | {} | {}\n    {}\n",
                drive.name(),
                drive.bus,
                sold_size(drive.size),
                or_dash(&drive.model),
                or_dash(&drive.serial),
                drive.summary(),
                Eligibility::of(drive, Purpose::Card, None)
            )
        };
        self.drives().iter().map(line).collect()
    }
}

//! What the system on a card calls its own two partitions: by ids that no other disk has.
//!
//! Labels, and the UUIDs of file systems, are the base's, so all cards that are made of it share them. A Pi with two such
//! disks, say an SSD and the card that it took the place of, would mount whichever the kernel met last.

use super::access::access_of;
use super::text::edit_lines;
use crate::disk::{PartitionId, ReadAt, TableError, partition_id};
use crate::fs::layout::Layout;
use crate::fs::{self, FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Access, KernelArgument};

/// How both name a partition by its id: fstab(5), and the kernel, with an initrd or without. Of a path below /dev/disk an
/// initrd would make that path the source of the mount, which programs take for the name of a device.
const BY_ID: &str = "PARTUUID=";

/// How fstab and the kernel's command line name a file system by what copies of it have as well.
const COPIED: [&[u8]; 8] = [
    b"LABEL=",
    b"UUID=",
    b"PARTLABEL=",
    b"PARTUUID=",
    b"/dev/disk/by-label/",
    b"/dev/disk/by-uuid/",
    b"/dev/disk/by-partlabel/",
    b"/dev/disk/by-partuuid/",
];

/// Longest fstab, in bytes.
const FSTAB_MAX: u64 = 1 << 20;

/// The kernel's argument that names the root file system.
const ROOT: &str = "root=";

/// The ids of a card's own partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDisk {
    boot: PartitionId,
    root: PartitionId,
}

impl OwnDisk {
    /// Of these partitions: the boot files', and the root file system's.
    #[must_use]
    pub fn new([boot, root]: [PartitionId; 2]) -> Self {
        Self { boot, root }
    }

    /// Of the disk, as its table has them.
    ///
    /// # Errors
    /// [`TableError`]
    pub(super) fn of(device: &dyn ReadAt, layout: &Layout) -> Result<Self, TableError> {
        let id = |number| partition_id(device, number);
        Ok(Self::new([id(layout.boot.number)?, id(layout.root.number)?]))
    }

    /// What is to be set and not to be there on a command line of these `words` besides `set`, so that `root=` names this
    /// disk's root file system: nothing where it names a device by itself, or where `set` says what it is to be.
    pub(super) fn arguments(
        &self,
        words: &[&str],
        set: &[KernelArgument],
    ) -> (Option<KernelArgument>, Vec<KernelArgument>) {
        let is_set = set.iter().any(|argument| argument.as_str().starts_with(ROOT));
        let named: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix(ROOT)).collect();
        if is_set || named.iter().any(|name| !is_copied(name.as_bytes())) {
            return (None, Vec::new());
        }
        let own = format!("{BY_ID}{}", self.root);
        let others = named.into_iter().filter(|name| *name != own);
        let others = others.map(|name| KernelArgument::new(format!("{ROOT}{name}"))).collect();
        (Some(KernelArgument::new(format!("{ROOT}{own}"))), others)
    }

    /// The fstab at `path` with this disk's own partitions, and its owner and mode; `None` where nothing of it changes, or
    /// there is none.
    ///
    /// # Errors
    /// [`fs::Error`]
    pub(super) fn edited_fstab(
        &self,
        fs: &dyn FsRead,
        path: &ImagePath,
    ) -> Result<Option<(Vec<u8>, Access)>, fs::Error> {
        let Some(found) = fs.metadata(path)?.filter(|found| found.kind == FileKind::File) else {
            return Ok(None);
        };
        let access = access_of(&found).unwrap_or(Access::root(0o644));
        Ok(self.fstab(&fs.content(path, FSTAB_MAX)?).map(|content| (content, access)))
    }

    /// fstab(5) with this disk's own partitions on `/` and on the folder of the boot files; nothing where it has them.
    fn fstab(&self, text: &[u8]) -> Option<Vec<u8>> {
        edit_lines(text, |line| {
            let start = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
            let end = start + line[start..].iter().position(u8::is_ascii_whitespace)?;
            let mut fields = line[end..].split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
            let own = match (fields.next()?, fields.next()?) {
                (b"/", _) => &self.root,
                (b"/boot/firmware", _) | (b"/boot", b"vfat" | b"msdos") => &self.boot,
                _ => return None,
            };
            let own = format!("{BY_ID}{own}");
            let named = &line[start..end];
            (is_copied(named) && named != own.as_bytes())
                .then(|| [&line[..start], own.as_bytes(), &line[end..]].concat())
        })
    }
}

/// Whether a file system is named by what copies of it have as well.
fn is_copied(name: &[u8]) -> bool {
    COPIED.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, DiskId, MemoryDevice};

    fn own() -> OwnDisk {
        let mut table = vec![0; 1024];
        table[510..512].copy_from_slice(&[0x55, 0xaa]);
        for (number, (kind, first)) in [(0x0c, 1_u8), (0x83, 2)].into_iter().enumerate() {
            let at = 446 + 16 * number;
            (table[at + 4], table[at + 8], table[at + 12]) = (kind, first, 1);
        }
        table.resize(3 * 512, 0);
        let device = MemoryDevice::new(table);
        disk::identify(&device, DiskId::new(*b"\x1d\x2c\x3b\x4aabcdefghijkl")).unwrap();
        let id = |number| partition_id(&device, number).unwrap();
        OwnDisk::new([id(1), id(2)])
    }

    /// The line as it becomes.
    fn arguments(line: &str, set: &[&str]) -> String {
        let set: Vec<KernelArgument> = set.iter().map(|word| word.parse().unwrap()).collect();
        let words: Vec<&str> = line.split(' ').collect();
        let (more, unset) = own().arguments(&words, &set);
        let set: Vec<_> = set.into_iter().chain(more).collect();
        crate::bake::command_line::edit(line.as_bytes(), &set, &unset).unwrap()
    }

    #[test]
    fn the_kernel_is_told_the_id_where_it_was_told_what_copies_share() {
        let own = "root=PARTUUID=4a3b2c1d-02";
        for copied in [
            "root=LABEL=writable",
            "root=UUID=7f1a9c52-6a0e-4c43-9f0b-0d2f5b1e2004",
            "root=PARTUUID=00000000-02",
            "root=/dev/disk/by-label/writable",
            "root=/dev/disk/by-partuuid/4a3b2c1d-02",
            "root=LABEL=a root=LABEL=b",
        ] {
            assert_eq!(arguments(&format!("{copied} quiet"), &[]), format!("quiet {own}"));
        }
        assert_eq!(arguments("quiet", &[]), format!("quiet {own}"));
        let once = format!("a {own} quiet");
        assert_eq!(arguments(&once, &[]), once);
    }

    #[test]
    fn a_device_that_is_named_stays() {
        for line in ["root=/dev/mmcblk0p2 quiet", "root=/dev/sda2 root=LABEL=writable", "root=/dev/nfs"] {
            assert_eq!(arguments(line, &[]), line);
        }
        assert_eq!(
            arguments("root=LABEL=writable a", &["root=/dev/sda2"]),
            "root=LABEL=writable a root=/dev/sda2"
        );
    }

    #[test]
    fn fstab_names_both_partitions_and_keeps_all_else() {
        let stock = "# LABEL=writable / x\nLABEL=writable\t/\t ext4\tdiscard,errors=remount-ro\t0 1\n\
            LABEL=system-boot       /boot/firmware  vfat    defaults        0       1\n\
            UUID=1 /data ext4\n/dev/sda1 / ext4\nLABEL=x /boot ext4\n\n";
        let edited = own().fstab(stock.as_bytes()).unwrap();
        let text = String::from_utf8(edited.clone()).unwrap();
        assert_eq!(
            text,
            "# LABEL=writable / x\nPARTUUID=4a3b2c1d-02\t/\t ext4\tdiscard,errors=remount-ro\t0 1\n\
            PARTUUID=4a3b2c1d-01       /boot/firmware  vfat    defaults        0       1\n\
            UUID=1 /data ext4\n/dev/sda1 / ext4\nLABEL=x /boot ext4\n\n"
        );
        assert_eq!(own().fstab(&edited), None);
        assert_eq!(own().fstab(b"\xff / ext4\nLABEL=x\nLABEL=x /\n"), None);
        let boot = own().fstab(b"  /dev/disk/by-uuid/A /boot vfat").unwrap();
        assert_eq!(boot, b"  PARTUUID=4a3b2c1d-01 /boot vfat");
    }
}

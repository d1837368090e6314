//! What the tests of faulty drives share: the image that cards are compared with, and what must be true
//! of a card whatever happened to it.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use pibake::disk::{FileDevice, Ranges, ReadAt};

use crate::disk::{BEFORE, Disk, Faults};
use crate::flash::work::{CARD, MIB, Work, assert_same, failed, said};
use crate::loops::Drive;

/// Of the first MiB, the part with the partition table, which is written for itself.
pub const TABLE: u64 = 4096;
/// What pibake says of a card from which nothing boots.
pub const BLANK: &str = "its first MiB is zero";
/// What it says of one of which it cannot know that.
pub const UNSURE: &str = "its first MiB is not known to be zero";
pub const BAD: &str = "this card is bad or lying about its size";

/// A folder with a base in its cache, and the images of three nodes.
pub struct Bench {
    pub work: Work,
}

impl Bench {
    pub fn new() -> Self {
        let work = Work::new();
        work.build(&["1", "2", "3"]);
        Self { work }
    }

    pub fn image(&self, node: usize) -> PathBuf {
        self.work.image(&format!("node-{node}"))
    }

    /// The next run decodes the base anew, and writes the cards meanwhile.
    pub fn forget_base(&self) {
        std::fs::remove_dir_all(self.work.path().join("cache")).unwrap();
    }

    /// Writes node-1 to `disk`.
    pub fn flash(&self, disk: &Disk, more: &[&str]) -> Output {
        let arguments = [disk.name(), "--base", "sample", "--node", "1"];
        self.work.flash(&[disk], &[&arguments[..], more].concat())
    }

    /// Writes node-1 to a drive with these faults, and looks whether what was said of it is true.
    pub fn try_card(&self, faults: Faults, more: &[&str]) -> (Disk, Output) {
        let disk = Disk::new(CARD, faults);
        let out = self.flash(&disk, more);
        self.assert_true(&disk, 1, &out);
        (disk, out)
    }

    /// What must be true of a card that was to become a node.
    pub fn assert_true(&self, disk: &Disk, node: usize, out: &Output) {
        let said = said(out);
        if out.status.success() {
            assert_same(disk, &self.image(node));
            return;
        }
        let of_it = said.lines().find(|line| line.contains(&format!("{} (node-{node}): ", disk.name())));
        match of_it {
            Some(line) if line.contains(BLANK) => assert!(disk.is_blank(), "it is not blank: {said}"),
            Some(line) if line.contains(UNSURE) => {}
            Some(line) => {
                assert!(line.contains("nothing was written to it"), "{said}");
                assert!(disk.chip().notes().replaced().next().is_none(), "{said}");
            }
            // of several cards, those that are done are in the table
            None => assert!(said.contains(&format!("node-{node} ")), "{said}"),
        }
        self.assert_no_half(disk, node);
    }

    /// Whoever finds a partition table on the card finds all that belongs to it.
    pub fn assert_no_half(&self, disk: &Disk, node: usize) {
        let table = disk.bytes(0, TABLE as usize);
        if table == self.read(node, 0, TABLE as usize) {
            assert_same(disk, &self.image(node));
        } else {
            assert!(table.iter().all(|b| [0, BEFORE].contains(b)), "half a table");
        }
    }

    pub fn read(&self, node: usize, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        FileDevice::open(&self.image(node)).unwrap().read_at(at, &mut bytes).unwrap();
        bytes
    }

    /// Which bytes of a node's image are in use.
    pub fn used(&self, node: usize) -> Ranges {
        let device: Arc<dyn ReadAt> = Arc::new(FileDevice::open(&self.image(node)).unwrap());
        pibake::fs::used(&device, &std::iter::once(0..MIB).collect()).unwrap().ranges
    }
}

/// Exit code 3, and the words for it.
pub fn is_bad(out: &Output) {
    failed(out, 3, BAD);
}

//! Damaged file systems: a bake of one is refused, or reads back as it was meant. Never a panic, a
//! hang, or a byte outside the two partitions.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::{CLOCK, bake};
use crate::writable::Memory;
use pibake::bake::Error;
use pibake::disk::{OVERLAY_BLOCK, ReadAt};
use pibake::image_path::ImagePath;
use pibake::recipe::{Access, Action, Change, Recipe, Secrecy, Volume};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::images::{self, Places, Spec, UBUNTU};

/// Longest that a case may take; it takes some milliseconds.
const HANG: Duration = Duration::from_secs(20);

/// A base with some of its bytes changed.
struct Flipped {
    base: Arc<Memory>,
    flips: BTreeMap<u64, u8>,
}

impl ReadAt for Flipped {
    fn len(&self) -> u64 {
        self.base.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.base.read_at(offset, buf)?;
        for (at, mask) in self.flips.range(offset..offset + buf.len() as u64) {
            buf[(at - offset) as usize] ^= mask;
        }
        Ok(())
    }
}

/// Touches everything that a bake can do, in few changes.
fn recipe() -> Recipe {
    let change = |volume, path: &str, action| Change { volume, path: ImagePath::new(path).unwrap(), action };
    let write =
        |content: Vec<u8>| Action::Write { content, access: Access::root(0o644), secrecy: Secrecy::Public };
    let arguments = Action::KernelArguments {
        line: None,
        set: vec!["cgroup_memory=1".parse().unwrap()],
        unset: vec!["quiet".parse().unwrap()],
    };
    Recipe {
        node: "node-1".into(),
        board: None,
        modules: vec![],
        disk_id: [7; 16],
        changes: vec![
            change(Volume::Boot, "/cmdline.txt", arguments),
            change(Volume::Boot, "/overlays/a long name.dtbo", write(vec![1; 20_000])),
            change(Volume::Boot, "/user-data", write(vec![2; 600])),
            change(Volume::Boot, "/meta-data", Action::Remove),
            change(Volume::Root, "/etc/fstab", Action::Fstab),
            change(Volume::Root, "/etc/hostname", write(b"node-1\n".to_vec())),
            change(Volume::Root, "/etc/many/new", write(vec![3; 40_000])),
            change(Volume::Root, "/etc/old", Action::Remove),
            change(Volume::Root, "/etc/link", Action::Symlink { target: "x".repeat(70) }),
            change(Volume::Root, "/var/lib/deep", Action::Directory { access: Access::root(0o700) }),
        ],
    }
}

/// An image whose file systems are small, and full of structure to damage.
fn image(features: &'static str) -> (Vec<u8>, Places) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for n in 0..150 {
        images::put(&root.join(format!("etc/many/file-with-a-name-{n}")), "");
        images::put(&root.join(format!("etc/old/{}/{n}", n % 5)), &"x".repeat(n * 20));
    }
    images::put(&root.join("etc/hostname"), "ubuntu\n");
    let options = &["-b", "1024", "-N", "512", "-J", "size=1"];
    let spec = Spec { fat_mib: 33, ext4_mib: 8, features, options, gpt: false };
    let (image, places) = spec.make_from(dir.path(), &root);
    // mkfs -d makes linear directories; e2fsck -D gives them their index
    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    let _ = support::tool("e2fsck", "e2fsprogs").args(["-fyD"]).arg(&ext4).output().unwrap();
    images::splice(&ext4, &image, places.root.0);
    (std::fs::read(image).unwrap(), places)
}

/// Bakes `cases` copies of `bytes`, each with up to 16 bytes changed among those that are written
/// within `region`.
fn damage(bytes: Vec<u8>, places: Places, region: Range<u64>, cases: Range<u64>) {
    let written: Vec<u64> = (region.start..region.end)
        .step_by(512)
        .filter(|at| bytes[*at as usize..*at as usize + 512].iter().any(|b| *b != 0))
        .collect();
    let base = Arc::new(Memory(bytes));
    let run = move |case: u64| {
        let mut rng = StdRng::seed_from_u64(case);
        let flips = (0..rng.random_range(1..=16))
            .map(|_| {
                let sector = written[rng.random_range(0..written.len())];
                (sector + rng.random_range(0..512), rng.random_range(1..=255))
            })
            .collect();
        let device = Arc::new(Flipped { base: Arc::clone(&base), flips });
        match bake(device, &recipe(), CLOCK) {
            Ok(patch) => {
                for range in patch.ranges().iter() {
                    // the partitions are neighbours; before them, the disk's id is in the block of the table
                    let inside = places.boot.0..places.root.0 + places.root.1;
                    assert!(
                        (range.start >= inside.start && range.end <= inside.end)
                            || range == (0..OVERLAY_BLOCK as u64),
                        "case {case} wrote at {range:?}"
                    );
                }
                "baked"
            }
            Err(Error::Panicked(_)) => "stopped",
            Err(_) => "refused",
        }
    };
    // what the editors say when they panic is not this test's output
    std::panic::set_hook(Box::new(|_| {}));
    let (report, reports) = channel();
    let half = cases.start + (cases.end - cases.start) / 2;
    let workers = [cases.start..half, half..cases.end].map(|cases| {
        let (run, report) = (run.clone(), report.clone());
        std::thread::spawn(move || {
            for case in cases {
                let _ = report.send((case, "begun"));
                let outcome = run(case);
                let _ = report.send((case, outcome));
            }
        })
    });
    drop(report);
    let mut under_way = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    loop {
        match reports.recv_timeout(HANG) {
            Ok((case, "begun")) => drop(under_way.insert(case, ())),
            Ok((case, outcome)) => {
                under_way.remove(&case);
                *outcomes.entry(outcome).or_insert(0u64) += 1;
            }
            Err(RecvTimeoutError::Timeout) => panic!("cases that hang: {:?}", under_way.keys()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    for worker in workers {
        if let Err(panic) = worker.join() {
            std::panic::resume_unwind(panic);
        }
    }
    println!("{outcomes:?}");
    assert_eq!(outcomes.values().sum::<u64>(), cases.end - cases.start);
    assert!(outcomes["refused"] > 0 && outcomes["baked"] > 0, "{outcomes:?}");
}

fn root_of(places: Places) -> Range<u64> {
    places.root.0..places.root.0 + places.root.1
}

#[test]
fn ext4_with_checksums() {
    let (bytes, places) = image(UBUNTU);
    damage(bytes, places, root_of(places), 0..5_000);
}

#[test]
fn ext4_without_checksums() {
    let features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,\
                    large_file,huge_file,dir_nlink,extra_isize,uninit_bg";
    let (bytes, places) = image(features);
    damage(bytes, places, root_of(places), 5_000..10_000);
}

#[test]
fn fat() {
    let (bytes, places) = image(UBUNTU);
    let region = places.boot.0..places.boot.0 + places.boot.1;
    damage(bytes, places, region, 10_000..12_000);
}

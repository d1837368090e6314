//! Bakes on every kind of image that a Pi may have, as the kernel sees them: what the recipe names
//! is there as it says, and everything else is the base's, to the last attribute.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use pibake::bake::{Clock, Shared, Size, bake};
use pibake::disk::{FileDevice, ReadAt};
use pibake::io::CancelToken;
use pibake::progress::Silent;
use pibake::recipe::{Access, Action, Change, Recipe, Volume};
use pibake::sink::{Build, Format};

use crate::fixture;
use crate::opened::{Entry, Opened, assert_unnamed_is_the_same, tree};
use support::images::{self, Places, Spec};
use support::{run, tool};

const CLOCK: &Clock = &Clock::new(1_700_000_000);

/// With 16-bit checksums alone, as before 2020.
const UNINIT_BG: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,\
large_file,huge_file,dir_nlink,extra_isize,uninit_bg";

/// As mke2fs makes them since 1.47.
const SEED_AND_ORPHANS: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed,orphan_file";

pub fn trials() -> Vec<Trial> {
    let plain = |name: &str, spec: Spec| {
        Trial::test(format!("variants::{name}"), move || -> Result<(), Failed> {
            Variant::new(&spec, &|_| ()).is_baked();
            Ok(())
        })
    };
    let ubuntu = Spec::default;
    vec![
        plain("ubuntus_layout", ubuntu()),
        plain("a_boot_partition_of_512_mib", Spec { fat_mib: 512, ..ubuntu() }),
        plain("uninit_bg_without_checksums_and_64bit", Spec { features: UNINIT_BG, ..ubuntu() }),
        plain("metadata_csum_seed_and_orphan_file", Spec { features: SEED_AND_ORPHANS, ..ubuntu() }),
        plain("blocks_of_1_kib", Spec { options: &["-b", "1024"], ..ubuntu() }),
        plain("a_gpt", Spec { gpt: true, ..ubuntu() }),
        Trial::test("variants::nearly_full", || -> Result<(), Failed> {
            nearly_full();
            Ok(())
        }),
        Trial::test("variants::directories_with_an_index", || -> Result<(), Failed> {
            directories_with_an_index();
            Ok(())
        }),
    ]
}

/// A base image with something of everything in it.
struct Variant {
    dir: tempfile::TempDir,
    base: std::path::PathBuf,
    places: Places,
}

impl Variant {
    /// `fill` puts more into the root file system.
    fn new(spec: &Spec, fill: &dyn Fn(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for (path, content) in images::ROOT_FILES {
            images::put(&root.join(path), content);
        }
        for n in 0..200 {
            images::put(&root.join(format!("usr/share/vendor/{n}/file")), &"v".repeat(n * 90));
        }
        std::os::unix::fs::symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
        let linked = "usr/share/vendor/7";
        std::fs::hard_link(root.join(linked).join("file"), root.join(linked).join("link")).unwrap();
        fill(&root);
        let (base, places) = spec.make_from(dir.path(), &root);
        Self { dir, base, places }
    }

    /// Bakes the book's first two nodes, and looks at them.
    fn is_baked(&self) {
        let cluster = fixture::book();
        let before = Opened::new(&self.base);
        let (boot, root) = (tree(&before.boot), tree(&before.root));
        drop(before);
        for number in [1, 2] {
            let recipe = fixture::of(&cluster, number);
            let node = self.build(&recipe);
            images::assert_clean(&node, self.places);
            self.assert_nothing_outside(&node);
            let after = Opened::new(&node);
            for change in &recipe.changes {
                assert_made(change, &after);
            }
            let named = |volume| -> BTreeSet<&str> {
                recipe.changes.iter().filter(|c| c.volume == volume).map(|c| c.path.as_str()).collect()
            };
            let name = &recipe.node;
            assert_unnamed_is_the_same(name, &named(Volume::Boot), &boot, &tree(&after.boot));
            assert_unnamed_is_the_same(name, &named(Volume::Root), &root, &tree(&after.root));
        }
    }

    /// The image of a node, as `pibake build` writes it.
    fn build(&self, recipe: &Recipe) -> std::path::PathBuf {
        let dir = self.dir.path().join("images");
        let build =
            Build::prepare(&dir, Format::Raw, vec![recipe.node.clone()], None, &CancelToken::default())
                .unwrap();
        let bake = |_: &str| {
            let device: Arc<dyn ReadAt> = Arc::new(FileDevice::open(&self.base).unwrap());
            Ok(bake(device, &Shared::default(), recipe, Size::default(), CLOCK)?.0)
        };
        let written = build.finish(&self.base, &bake, &Silent).unwrap_or_else(|e| panic!("{e}: {e:?}"));
        written[0].path.clone()
    }

    /// The partition table, but for its ids, and what lies between the partitions is as in the base.
    fn assert_nothing_outside(&self, node: &Path) {
        let Places { boot, root } = self.places;
        let end = std::fs::metadata(&self.base).unwrap().len();
        assert_eq!(std::fs::metadata(node).unwrap().len(), end);
        assert_eq!(table_without_ids(node), table_without_ids(&self.base));
        // an MBR is one sector; a GPT has 33 more at either end of the disk
        for (from, to) in [(34 * 512, boot.0), (boot.0 + boot.1, root.0), (root.0 + root.1, end - 33 * 512)] {
            let read = |path: &Path| {
                let mut bytes = vec![0; (to - from) as usize];
                std::fs::File::open(path).unwrap().read_exact_at(&mut bytes, from).unwrap();
                bytes
            };
            assert!(read(&self.base) == read(node), "bytes {from} to {to} differ");
        }
    }
}

/// What sfdisk makes of a disk's table.
fn table_without_ids(image: &Path) -> String {
    let told = run(tool("sfdisk", "fdisk").arg("--dump").arg(image));
    let lines = told.lines().filter(|line| !line.starts_with("label-id:") && !line.starts_with("device:"));
    let line = |line: &str| {
        let fields = line.rsplit(" : ").next().unwrap_or(line).split(", ");
        fields.filter(|field| !field.starts_with("uuid=")).collect::<Vec<_>>().join(", ")
    };
    lines.map(line).collect::<Vec<_>>().join("\n")
}

fn assert_made(change: &Change, after: &Opened) {
    let boot = change.volume == Volume::Boot;
    let at = if boot { &after.boot } else { &after.root }.join(&change.path.as_str()[1..]);
    let about = format!("{} ({:?})", change.path, change.volume);
    let assert_access = |access: &Access| {
        let found = Entry::of(&at);
        // FAT knows neither
        if !boot {
            assert_eq!(found.mode & 0o7777, u32::from(access.mode), "{about}");
            assert_eq!(found.owner, (access.uid, access.gid), "{about}");
        }
    };
    match &change.action {
        Action::Write { content, access, .. } => {
            assert!(std::fs::read(&at).unwrap() == *content, "{about}");
            assert_access(access);
        }
        Action::Directory { access } => {
            assert!(Entry::of(&at).is_dir(), "{about}");
            assert_access(access);
        }
        Action::Symlink { target } => {
            assert_eq!(std::fs::read_link(&at).unwrap(), Path::new(target), "{about}");
        }
        // what it comes to with either table: tests/it/bake/own_disk.rs
        Action::Fstab => {}
        Action::Remove => assert!(std::fs::symlink_metadata(&at).is_err(), "{about}: it is there"),
        Action::KernelArguments { set, .. } => {
            let line = std::fs::read_to_string(&at).unwrap();
            assert_eq!(line.lines().count(), 1, "{about}");
            assert!(
                set.iter().all(|word| line.split_whitespace().any(|w| w == word.as_str())),
                "{about}: {line}"
            );
        }
    }
}

fn free_blocks(variant: &Variant) -> usize {
    let ext4 = variant.dir.path().join("counted");
    images::extract(&variant.base, variant.places.root, &ext4);
    let told = run(tool("dumpe2fs", "e2fsprogs").arg("-h").arg(&ext4));
    let line = told.lines().find_map(|l| l.strip_prefix("Free blocks:")).unwrap();
    line.trim().parse().unwrap()
}

/// A few dozen blocks more than the bake needs are left.
fn nearly_full() {
    const LEFT: usize = 200;
    // no blocks are kept back for root: pibake is root there
    let spec = Spec { options: &["-m", "0"], ..Spec::default() };
    let filler = |blocks: usize| {
        move |root: &Path| std::fs::write(root.join("filler"), vec![b'f'; blocks * 4096]).unwrap()
    };
    let blocks = free_blocks(&Variant::new(&spec, &filler(1)));

    let variant = Variant::new(&spec, &filler(blocks - LEFT));
    let left = free_blocks(&variant);
    assert!(left <= LEFT + 8, "{left} blocks are free");
    variant.is_baked();
}

/// The directories that a bake writes to are large ones.
fn directories_with_an_index() {
    let spec = Spec { ext4_mib: 128, ..Spec::default() };
    let variant = Variant::new(&spec, &|root| {
        for n in 0..1500 {
            for dir in ["etc", "etc/systemd/system", "usr/lib"] {
                images::put(&root.join(dir).join(format!("a-file-with-a-name-{n}")), "");
            }
        }
    });
    images::index_directories(&variant.base, variant.places);
    let ext4 = variant.dir.path().join("dumped");
    images::extract(&variant.base, variant.places.root, &ext4);
    for dir in ["/etc", "/etc/systemd/system", "/usr/lib"] {
        let request = format!("htree_dump {dir}");
        let tree = run(tool("debugfs", "e2fsprogs").args(["-R", &request]).arg(&ext4));
        assert!(tree.contains("Root node"), "{dir}: {tree}");
    }
    variant.is_baked();
}

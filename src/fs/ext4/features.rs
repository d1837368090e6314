//! The features of ext4, by the names that mke2fs has for them, and what becomes of each here.
//!
//! Two programs must know a feature for a file system to be edited: the editor (`rust-fs-ext4`), which
//! has to keep right what the feature describes, and the reader that looks at its work afterwards
//! (`ext4-view`). Each line was tried with the real mke2fs and e2fsck; what neither of them was seen to
//! do is refused, for "unknown" is no better than "wrong". Numbers are those of
//! `Documentation/filesystems/ext4/super.rst`.

/// Which of the three words of a superblock a feature is in. A file system with an unknown bit in
/// the first may be written, in the last may be read, in the middle one must be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Compat,
    Incompat,
    RoCompat,
}

/// What becomes of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Both programs keep it.
    Kept,
    /// Not edited; `tune2fs -O ^NAME` takes it away from a file system that is not mounted.
    Removable,
    /// Not edited; only mke2fs makes a file system without it.
    Refused,
}

use Fate::{Kept, Refused, Removable};
use Word::{Compat, Incompat, RoCompat};

const FEATURES: [(Word, u32, &str, Fate); 45] = [
    (Compat, 0x1, "dir_prealloc", Kept),
    (Compat, 0x2, "imagic_inodes", Refused),
    (Compat, 0x4, "has_journal", Kept),
    (Compat, 0x8, "ext_attr", Kept),
    (Compat, 0x10, "resize_inode", Kept),
    (Compat, 0x20, "dir_index", Kept),
    (Compat, 0x40, "lazy_bg", Refused),
    (Compat, 0x100, "snapshot_bitmap", Refused),
    (Compat, 0x200, "sparse_super2", Kept),
    (Compat, 0x400, "fast_commit", Kept),
    (Compat, 0x800, "stable_inodes", Kept),
    (Compat, 0x1000, "orphan_file", Kept),
    (Incompat, 0x1, "compression", Refused),
    (Incompat, 0x2, "filetype", Kept),
    // a pending journal: refused elsewhere, with what to do
    (Incompat, 0x4, "needs_recovery", Kept),
    (Incompat, 0x8, "journal_dev", Refused),
    (Incompat, 0x10, "meta_bg", Refused),
    (Incompat, 0x40, "extent", Kept),
    (Incompat, 0x80, "64bit", Kept),
    (Incompat, 0x100, "mmp", Removable),
    (Incompat, 0x200, "flex_bg", Kept),
    (Incompat, 0x400, "ea_inode", Refused),
    (Incompat, 0x1000, "dirdata", Refused),
    (Incompat, 0x2000, "metadata_csum_seed", Kept),
    (Incompat, 0x4000, "large_dir", Refused),
    (Incompat, 0x8000, "inline_data", Refused),
    (Incompat, 0x10000, "encrypt", Refused),
    (Incompat, 0x20000, "casefold", Refused),
    (RoCompat, 0x1, "sparse_super", Kept),
    (RoCompat, 0x2, "large_file", Kept),
    (RoCompat, 0x4, "btree_dir", Refused),
    (RoCompat, 0x8, "huge_file", Kept),
    (RoCompat, 0x10, "uninit_bg", Kept),
    (RoCompat, 0x20, "dir_nlink", Kept),
    (RoCompat, 0x40, "extra_isize", Kept),
    (RoCompat, 0x80, "snapshot", Refused),
    (RoCompat, 0x100, "quota", Removable),
    (RoCompat, 0x200, "bigalloc", Refused),
    (RoCompat, 0x400, "metadata_csum", Kept),
    (RoCompat, 0x800, "replica", Refused),
    (RoCompat, 0x1000, "read-only", Removable),
    (RoCompat, 0x2000, "project", Removable),
    (RoCompat, 0x4000, "shared_blocks", Refused),
    (RoCompat, 0x8000, "verity", Refused),
    // files that wait to be freed: refused elsewhere, with what to do
    (RoCompat, 0x10000, "orphan_present", Kept),
];

/// Features without which nothing is edited.
const WANTED: [(Feature, &str); 2] = [
    ((Incompat, 0x2), "directory entries without types (no filetype)"),
    ((Incompat, 0x40), "blocks mapped as in ext2 and ext3 (no extent)"),
];

/// A feature by its word and its bit.
pub(super) type Feature = (Word, u32);

/// There is a journal.
pub(super) const HAS_JOURNAL: Feature = (Compat, 0x4);
/// An inode owns the blocks that are kept back for descriptors.
pub(super) const RESIZE_INODE: Feature = (Compat, 0x10);
/// Two groups, which the superblock names, have backups.
pub(super) const SPARSE_SUPER2: Feature = (Compat, 0x200);
/// The journal holds changes that were never written back.
pub(super) const NEEDS_RECOVERY: Feature = (Incompat, 0x4);
/// It is a journal alone.
pub(super) const JOURNAL_DEV: Feature = (Incompat, 0x8);
/// Descriptors lie in the groups that they are of.
pub(super) const META_BG: Feature = (Incompat, 0x10);
/// Numbers of blocks have 64 bits.
pub(super) const WIDE: Feature = (Incompat, 0x80);
/// Several groups have their tables together.
pub(super) const FLEX_BG: Feature = (Incompat, 0x200);
/// The superblock keeps what checksums begin with.
pub(super) const CSUM_SEED: Feature = (Incompat, 0x2000);
/// Groups that are powers of 3, 5 and 7 have backups.
pub(super) const SPARSE_SUPER: Feature = (RoCompat, 0x1);
/// Descriptors have a checksum, of the old kind.
pub(super) const GDT_CSUM: Feature = (RoCompat, 0x10);
/// A bit of a bitmap stands for more than a block.
pub(super) const BIGALLOC: Feature = (RoCompat, 0x200);
/// All metadata has checksums.
pub(super) const METADATA_CSUM: Feature = (RoCompat, 0x400);
/// Files that were deleted while open wait to be freed.
pub(super) const ORPHAN_PRESENT: Feature = (RoCompat, 0x10000);

/// The three words of a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Features {
    pub compat: u32,
    pub incompat: u32,
    pub ro_compat: u32,
}

impl Features {
    fn word(self, word: Word) -> u32 {
        match word {
            Compat => self.compat,
            Incompat => self.incompat,
            RoCompat => self.ro_compat,
        }
    }

    /// Whether it has this one.
    pub(super) fn has(self, (word, bit): Feature) -> bool {
        self.word(word) & bit != 0
    }

    /// Names of what it has, or lacks, that it is not edited for.
    pub(super) fn refused(self) -> Vec<String> {
        let words = [Compat, Incompat, RoCompat];
        let refused = words.into_iter().flat_map(|word| refused_bits(word, self.word(word)));
        let missing = WANTED.iter().filter(|(feature, _)| !self.has(*feature));
        refused.chain(missing.map(|(_, name)| (*name).to_owned())).collect()
    }
}

/// Names of what is refused of `bits` in `word`.
fn refused_bits(word: Word, bits: u32) -> Vec<String> {
    let of_word = || FEATURES.iter().filter(move |(w, ..)| *w == word);
    let mut names: Vec<String> = of_word()
        .filter(|(_, bit, ..)| bits & bit != 0)
        .filter_map(|(_, _, name, fate)| match fate {
            Kept => None,
            Removable => Some(format!("{name} (tune2fs -O ^{name} removes it)")),
            Refused => Some((*name).to_owned()),
        })
        .collect();
    let unknown = bits & !of_word().fold(0, |known, (_, bit, ..)| known | bit);
    let word = match word {
        // by its meaning an unknown one does no harm
        Compat => return names,
        Incompat => "incompat",
        RoCompat => "ro_compat",
    };
    if unknown != 0 {
        names.push(format!("unknown {word} bits {unknown:#x}"));
    }
    names
}

/// The names of all `bits` in `word`, whatever becomes of them.
pub(super) fn named(word: Word, bits: u32) -> String {
    let known = FEATURES.iter().filter(|(w, bit, ..)| *w == word && bits & bit != 0);
    let mut names: Vec<String> = known.clone().map(|(_, _, name, _)| (*name).to_owned()).collect();
    let unknown = bits & !known.fold(0, |known, (_, bit, ..)| known | bit);
    if unknown != 0 {
        names.push(format!("unknown bits {unknown:#x}"));
    }
    names.join(", ")
}

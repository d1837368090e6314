//! qcow2, version 3: only clusters with data in them, in the order of the image; standalone, or
//! over a raw backing file that holds all the others.
//! The format is described in QEMU's `docs/interop/qcow2.rst`; numbers are big-endian.
//!
//! The file is header, refcount table, L1 table, then data clusters with each L2 table behind the
//! clusters that it names, then the refcount blocks. All that is held in memory is one L2 table
//! and the L1 table. The header comes last, so that a part of a file is never taken for a whole.

use std::fs::File;
use std::io;

use super::merge::Sequential;
use crate::io::AtomicFile;
use crate::io::chunk::GRAIN;
use crate::io::magic::QCOW2;

const CLUSTER: u64 = GRAIN;
const CLUSTER_BITS: u32 = CLUSTER.trailing_zeros();
/// Entries of an L2 table, which is one cluster of 8-byte entries.
const L2_ENTRIES: u64 = CLUSTER / 8;
/// Refcounts in a block: 16 bits each, the default (`refcount_order` 4).
const REFCOUNTS: u64 = CLUSTER / 2;
const REFCOUNT_ORDER: u32 = 4;
/// In an entry of L1 or L2: the refcount is exactly one, so the cluster may be written in place.
const COPIED: u64 = 1 << 63;
const SECTOR: u64 = 512;
const HEADER_LEN: u32 = 104;
/// Type of the header extension that says what the backing file is.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// Most bytes that the name of a backing file may have.
const BACKING_NAME_MAX: usize = 1023;

/// An L2 table being filled.
struct Table {
    index: usize,
    entries: Vec<u64>,
}

/// A qcow2 image being written.
pub(super) struct Qcow2 {
    temp: AtomicFile,
    /// Size of the disk in it; QEMU knows whole sectors only.
    size: u64,
    l1: Vec<u64>,
    l2: Option<Table>,
    refcount_table_clusters: u64,
    /// Where the next cluster goes.
    next: u64,
    /// Name of the raw file that holds what this one does not.
    backing: Option<Vec<u8>>,
}

impl Qcow2 {
    /// An image of a disk with `len` bytes.
    pub(super) fn new(temp: AtomicFile, len: u64) -> Self {
        let size = len.next_multiple_of(SECTOR);
        let clusters = size.div_ceil(CLUSTER);
        let l1_entries = clusters.div_ceil(L2_ENTRIES);
        // All that can ever be there, with the refcount blocks themselves (fewer than one cluster
        // in a thousand) generously rounded up.
        let most = clusters + l1_entries + l1_entries.div_ceil(L2_ENTRIES) + clusters / 1000 + 1000;
        let refcount_table_clusters = most.div_ceil(REFCOUNTS).div_ceil(CLUSTER / 8);
        let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
        Self {
            temp,
            size,
            l1: vec![0; l1_entries as usize],
            l2: None,
            refcount_table_clusters,
            next: (1 + refcount_table_clusters + l1_clusters) * CLUSTER,
            backing: None,
        }
    }

    /// Makes `name`, a raw file, hold all that is not written here.
    pub(super) fn over(mut self, name: &[u8]) -> io::Result<Self> {
        if name.is_empty() || name.len() > BACKING_NAME_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidFilename,
                "the name of a backing file has 1 to 1023 bytes",
            ));
        }
        self.backing = Some(name.to_owned());
        Ok(self)
    }

    fn l1_offset(&self) -> u64 {
        (1 + self.refcount_table_clusters) * CLUSTER
    }

    fn write_l2(&mut self) -> io::Result<()> {
        let Some(table) = self.l2.take() else { return Ok(()) };
        self.temp.write_cached(self.next, &big_endian(&table.entries))?;
        if let Some(entry) = self.l1.get_mut(table.index) {
            *entry = self.next | COPIED;
        }
        self.next += CLUSTER;
        Ok(())
    }

    /// Refcount blocks and their table. Every cluster of the file is used exactly once.
    fn write_refcounts(&mut self) -> io::Result<()> {
        let used = self.next / CLUSTER;
        let mut blocks = used.div_ceil(REFCOUNTS);
        while (used + blocks).div_ceil(REFCOUNTS) > blocks {
            blocks += 1;
        }
        let total = used + blocks;
        let mut table = Vec::new();
        for first in (0..blocks).map(|n| n * REFCOUNTS) {
            let ones = (total - first).min(REFCOUNTS) as usize;
            let mut block = [0, 1].repeat(ones);
            block.resize(CLUSTER as usize, 0);
            self.temp.write_cached(self.next, &block)?;
            table.push(self.next);
            self.next += CLUSTER;
        }
        table.resize((self.refcount_table_clusters * CLUSTER / 8) as usize, 0);
        self.temp.write_cached(CLUSTER, &big_endian(&table))
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_LEN as usize);
        header.extend(QCOW2);
        let put32 = |header: &mut Vec<u8>, n: u32| header.extend(n.to_be_bytes());
        let put64 = |header: &mut Vec<u8>, n: u64| header.extend(n.to_be_bytes());
        put32(&mut header, 3); // version
        let extension = self.backing.as_ref().map(|_| backing_format()).unwrap_or_default();
        let name = self.backing.as_deref().unwrap_or_default();
        let name_at = if name.is_empty() { 0 } else { HEADER_LEN as usize + extension.len() };
        put64(&mut header, name_at as u64); // where the backing file's name is
        put32(&mut header, name.len() as u32);
        put32(&mut header, CLUSTER_BITS);
        put64(&mut header, self.size);
        put32(&mut header, 0); // encryption: none
        put32(&mut header, self.l1.len() as u32);
        put64(&mut header, self.l1_offset());
        put64(&mut header, CLUSTER); // offset of the refcount table
        put32(&mut header, self.refcount_table_clusters as u32);
        put32(&mut header, 0); // snapshots
        put64(&mut header, 0); // their offset
        put64(&mut header, 0); // incompatible features
        put64(&mut header, 0); // compatible features
        put64(&mut header, 0); // autoclear features
        put32(&mut header, REFCOUNT_ORDER);
        put32(&mut header, HEADER_LEN);
        header.extend(extension);
        header.extend(name);
        header
    }

    /// Writes the tables and the header and puts the image under its final name, durably.
    pub(super) fn keep(mut self) -> io::Result<File> {
        self.write_l2()?;
        self.write_refcounts()?;
        let l1 = big_endian(&self.l1);
        self.temp.write_cached(self.l1_offset(), &l1)?;
        // The end of the last data cluster may lie past the end of the disk.
        self.temp.file().set_len(self.next)?;
        self.temp.write_cached(0, &self.header())?;
        self.temp.keep()
    }
}

impl Sequential for Qcow2 {
    fn run(&mut self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let cluster = offset / CLUSTER;
            let index = (cluster / L2_ENTRIES) as usize;
            if self.l2.as_ref().is_none_or(|table| table.index != index) {
                self.write_l2()?;
                self.l2 = Some(Table { index, entries: vec![0; L2_ENTRIES as usize] });
            }
            let first = (cluster % L2_ENTRIES) as usize;
            let room = (L2_ENTRIES as usize - first) * CLUSTER as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let clusters = now.len().div_ceil(CLUSTER as usize);
            self.temp.write(self.next, now)?;
            if let Some(table) = &mut self.l2 {
                for entry in table.entries.iter_mut().skip(first).take(clusters) {
                    *entry = self.next | COPIED;
                    self.next += CLUSTER;
                }
            }
            offset += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }
}

/// The header extensions of an image with a raw backing file: its format, without which QEMU would
/// guess it from the content, and the end.
fn backing_format() -> Vec<u8> {
    let mut extension = Vec::new();
    extension.extend(BACKING_FORMAT.to_be_bytes());
    extension.extend(3_u32.to_be_bytes());
    extension.extend(b"raw\0\0\0\0\0"); // padded to a multiple of eight
    extension.extend([0; 8]); // the end of the extensions
    extension
}

fn big_endian(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

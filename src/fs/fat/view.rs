//! A second, read-only reader of FAT that shares no code with the editor: what the editor wrote is
//! checked with it.

use std::io::Write;

use super::super::{Error, FileKind, FsRead, Metadata};
use super::bpb::{Bpb, RootDirectory};
use crate::disk::ReadAt;
use crate::image_path::ImagePath;

const ENTRY_LEN: usize = 32;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTE_LABEL: u8 = 0x08;
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;
const DELETED: u8 = 0xe5;
/// No directory may be longer, by the format (65,536 entries).
const DIRECTORY_MAX: u64 = 65_536 * ENTRY_LEN as u64;

/// A FAT file system, for reading alone.
pub struct FatView<D> {
    device: D,
    bpb: Bpb,
}

/// A directory entry, with its long name if it has one.
struct Entry {
    name: String,
    short_name: String,
    is_dir: bool,
    first_cluster: u64,
    len: u64,
}

/// Where a path leads.
enum Found {
    /// To the root directory, which has no entry.
    Root,
    Entry(Entry),
}

impl Entry {
    fn metadata(&self) -> Metadata {
        let kind = if self.is_dir { FileKind::Directory } else { FileKind::File };
        Metadata { kind, len: self.len, attributes: None }
    }
}

impl<D: ReadAt> FatView<D> {
    /// Opens the file system in `device`.
    ///
    /// # Errors
    /// As [`Bpb::read`].
    pub fn open(device: D) -> Result<Self, Error> {
        let bpb = Bpb::read(&device)?;
        Ok(Self { device, bpb })
    }

    /// The content of the file at `path`; `None` if nothing is there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a chain that ends early, loops or leaves the file system;
    /// [`Error::Path`] for a directory.
    pub fn content(&self, path: &ImagePath) -> Result<Option<Vec<u8>>, Error> {
        match self.find(path)? {
            None => Ok(None),
            Some(Found::Entry(Entry { is_dir: false, first_cluster, len, .. })) => {
                self.chain(first_cluster, Some(len), path).map(Some)
            }
            Some(_) => Err(Error::path(path, "is a directory")),
        }
    }

    /// The volume label: the one in the root directory, or else the one in the boot sector.
    ///
    /// # Errors
    /// [`Error::Corrupt`], as for [`FatView::content`].
    pub fn label(&self) -> Result<String, Error> {
        let root = self.directory(&Found::Root, &ImagePath::root())?;
        let entries = root.chunks_exact(ENTRY_LEN).take_while(|raw| raw[0] != 0);
        let listed = entries.filter(|raw| raw[0] != DELETED).find(|raw| raw[11] & 0x3f == ATTRIBUTE_LABEL);
        Ok(listed.map_or_else(
            || self.bpb.label.clone(),
            |raw| String::from_utf8_lossy(&raw[..11]).trim_end().to_owned(),
        ))
    }

    fn find(&self, path: &ImagePath) -> Result<Option<Found>, Error> {
        let mut found = Found::Root;
        for part in path.components() {
            if matches!(found, Found::Entry(Entry { is_dir: false, .. })) {
                return Ok(None);
            }
            let wanted = part.to_uppercase();
            let mut entries = parse(&self.directory(&found, path)?).into_iter();
            match entries.find(|e| e.name.to_uppercase() == wanted || e.short_name == wanted) {
                Some(entry) => found = Found::Entry(entry),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The raw entries of a directory.
    fn directory(&self, found: &Found, path: &ImagePath) -> Result<Vec<u8>, Error> {
        match (found, self.bpb.root) {
            (Found::Entry(Entry { is_dir: false, .. }), _) => Err(Error::path(path, "is not a directory")),
            (Found::Entry(entry), _) => self.chain(entry.first_cluster, None, path),
            (Found::Root, RootDirectory::Chain(first)) => self.chain(first, None, path),
            (Found::Root, RootDirectory::Fixed { offset, len }) => self.bytes(offset, len as usize),
        }
    }

    /// Where the directory at `path` begins in the device; `None` if there is none, or for the root.
    pub(super) fn directory_offset(&self, path: &ImagePath) -> Result<Option<u64>, Error> {
        match self.find(path)? {
            Some(Found::Entry(Entry { is_dir: true, first_cluster, .. })) => {
                let index = first_cluster.checked_sub(2).filter(|n| *n < self.bpb.clusters);
                let index = index.ok_or_else(|| Error::corrupt(path, "its first cluster is impossible"))?;
                Ok(Some(self.bpb.data_offset + index * self.bpb.cluster_len))
            }
            _ => Ok(None),
        }
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.device.read_at(offset, &mut bytes).map_err(|e| Error::io("reading the FAT file system", e))?;
        Ok(bytes)
    }

    /// The bytes of a chain of clusters: `len` of them, or for a directory all there are.
    fn chain(&self, first: u64, len: Option<u64>, path: &ImagePath) -> Result<Vec<u8>, Error> {
        let limit = len.unwrap_or(DIRECTORY_MAX).min(self.bpb.len);
        if len.is_some_and(|len| len > self.bpb.len) {
            return Err(Error::corrupt(path, "it is longer than its file system"));
        }
        let mut bytes = Vec::new();
        let mut cluster = first;
        while (bytes.len() as u64) < limit {
            if cluster < 2 || cluster >= self.bpb.clusters + 2 {
                return match len {
                    None if self.ends(cluster) => Ok(bytes),
                    _ => Err(Error::corrupt(path, format!("its chain leads to cluster {cluster}"))),
                };
            }
            let offset = self.bpb.data_offset + (cluster - 2) * self.bpb.cluster_len;
            bytes.extend(self.bytes(offset, self.bpb.cluster_len as usize)?);
            cluster = self.next(cluster)?;
        }
        match len {
            Some(len) => bytes.truncate(len as usize),
            None => return Err(Error::corrupt(path, "its directory is longer than any may be")),
        }
        Ok(bytes)
    }

    fn next(&self, cluster: u64) -> Result<u64, Error> {
        let (width, mask) = if self.bpb.fat32 { (4, 0x0fff_ffff) } else { (2, 0xffff) };
        let mut entry = [0; 4];
        let raw = self.bytes(self.bpb.fat_offset + cluster * width, width as usize)?;
        entry[..raw.len()].copy_from_slice(&raw);
        Ok(u64::from(u32::from_le_bytes(entry) & mask))
    }

    /// Whether a table entry marks the end of a chain.
    fn ends(&self, entry: u64) -> bool {
        entry >= if self.bpb.fat32 { 0x0fff_fff8 } else { 0xfff8 }
    }
}

impl<D: ReadAt> FsRead for FatView<D> {
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        Ok(self.find(path)?.map(|found| match found {
            Found::Root => Metadata { kind: FileKind::Directory, len: 0, attributes: None },
            Found::Entry(entry) => entry.metadata(),
        }))
    }

    fn list(&self, path: &ImagePath) -> Result<Vec<(String, FileKind)>, Error> {
        let found = self.find(path)?.ok_or_else(|| Error::path(path, "no such directory"))?;
        let entries = parse(&self.directory(&found, path)?).into_iter();
        let listed = entries.filter(|e| e.name != "." && e.name != "..").map(|e| {
            let kind = e.metadata().kind;
            (e.name, kind)
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(listed)
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let content = self.content(path)?.ok_or_else(|| Error::path(path, "no such file or directory"))?;
        out.write_all(&content).map_err(|e| Error::io(format!("copying {path}"), e))
    }
}

/// The entries of a directory, without the volume label.
fn parse(directory: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long: Vec<u16> = Vec::new();
    for raw in directory.chunks_exact(ENTRY_LEN) {
        let attributes = raw[11];
        match raw[0] {
            0 => break,
            DELETED => long.clear(),
            _ if attributes & 0x3f == ATTRIBUTE_LONG_NAME => {
                // pieces of 13 characters, the last one first
                let piece = [&raw[1..11], &raw[14..26], &raw[28..32]].concat();
                let units = piece.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
                long.splice(0..0, units.take_while(|u| *u != 0));
            }
            _ if attributes & ATTRIBUTE_LABEL != 0 => long.clear(),
            _ => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_uppercase();
                let (base, extension) = (text(&raw[..8]), text(&raw[8..11]));
                let short_name = if extension.is_empty() { base } else { format!("{base}.{extension}") };
                let name = if long.is_empty() { short_name.clone() } else { String::from_utf16_lossy(&long) };
                let (high, low) =
                    (u16::from_le_bytes([raw[20], raw[21]]), u16::from_le_bytes([raw[26], raw[27]]));
                entries.push(Entry {
                    name,
                    short_name,
                    is_dir: attributes & ATTRIBUTE_DIRECTORY != 0,
                    first_cluster: u64::from(high) << 16 | u64::from(low),
                    len: u64::from(u32::from_le_bytes([raw[28], raw[29], raw[30], raw[31]])),
                });
                long.clear();
            }
        }
    }
    entries
}

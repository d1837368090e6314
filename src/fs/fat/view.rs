//! The reader of FAT, which shares no code with the library that writes it: the editor looks with it where
//! things are, and what was written is checked with it.

use std::io::Write;

use super::super::{Error, FileKind, FsRead, Metadata};
use super::bpb::{Bpb, RootDirectory, table_entry};
use super::entries::{ATTRIBUTE_LABEL, DELETED, ENTRY_LEN, Entry, parse};
use crate::disk::ReadAt;
use crate::image_path::ImagePath;

/// No directory may be longer, by the format (65,536 entries).
const DIRECTORY_MAX: u64 = 65_536 * ENTRY_LEN as u64;

/// What takes the bytes of a file as they are read.
type Put<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// A FAT file system, for reading alone.
pub struct FatView<D> {
    device: D,
    bpb: Bpb,
}

/// Where a path leads.
enum Found {
    /// To the root directory, which has no entry.
    Root,
    Entry(Entry),
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

    /// The volume label: the one in the root directory, or else the one in the boot sector.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a chain that ends early, loops or leaves the file system.
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
        let first = match (found, self.bpb.root) {
            (Found::Entry(Entry { is_dir: false, .. }), _) => {
                return Err(Error::path(path, "is not a directory"));
            }
            (Found::Entry(entry), _) => entry.first_cluster,
            (Found::Root, RootDirectory::Chain(first)) => first,
            (Found::Root, RootDirectory::Fixed { offset, len }) => return self.bytes(offset, len as usize),
        };
        let mut raw = Vec::new();
        self.chain(first, None, path, &mut |bytes| {
            raw.extend(bytes);
            Ok(())
        })?;
        Ok(raw)
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

    /// Gives the bytes of a chain of clusters to `put`: `len` of them, or for a directory all there are.
    fn chain(&self, first: u64, len: Option<u64>, path: &ImagePath, put: Put<'_>) -> Result<(), Error> {
        if len.is_some_and(|len| len > self.bpb.len) {
            return Err(Error::corrupt(path, "it is longer than its file system"));
        }
        let mut left = len.unwrap_or(DIRECTORY_MAX).min(self.bpb.len);
        let mut cluster = first;
        while left > 0 {
            if cluster < 2 || cluster >= self.bpb.clusters + 2 {
                return match len {
                    None if self.ends(cluster) => Ok(()),
                    _ => Err(Error::corrupt(path, format!("its chain leads to cluster {cluster}"))),
                };
            }
            let offset = self.bpb.data_offset + (cluster - 2) * self.bpb.cluster_len;
            let now = left.min(self.bpb.cluster_len);
            put(&self.bytes(offset, now as usize)?)?;
            left -= now;
            cluster = self.next(cluster)?;
        }
        match len {
            Some(_) => Ok(()),
            None => Err(Error::corrupt(path, "its directory is longer than any may be")),
        }
    }

    fn next(&self, cluster: u64) -> Result<u64, Error> {
        let width = self.bpb.entry_len();
        let raw = self.bytes(self.bpb.fat_offset + cluster * width, width as usize)?;
        Ok(table_entry(&raw))
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

    // not by a path for each name: a directory is read once, and an entry is what it is also where two
    // have one name
    fn entries(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        let found = self.find(path)?.ok_or_else(|| Error::path(path, "no such directory"))?;
        let mut entries = parse(&self.directory(&found, path)?);
        entries.retain(|entry| entry.name != "." && entry.name != "..");
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let told = entries.into_iter().map(|entry| {
            let metadata = entry.metadata();
            (entry.name.into_bytes(), metadata)
        });
        Ok(told.collect())
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        match self.find(path)? {
            Some(Found::Entry(Entry { is_dir: false, first_cluster, len, .. })) => {
                let copying = |e| Error::io(format!("copying {path}"), e);
                self.chain(first_cluster, Some(len), path, &mut |bytes| out.write_all(bytes).map_err(copying))
            }
            Some(_) => Err(Error::path(path, "is a directory")),
            None => Err(Error::path(path, "no such file or directory")),
        }
    }
}

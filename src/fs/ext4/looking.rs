//! What looking into a file system needs beyond editing it: names of any bytes, and parts of files.

use super::Ext4;
use super::editor::{explain, metadata};
use crate::fs::{Error, FileKind, FsRead, Metadata};
use crate::image_path::ImagePath;

impl Ext4 {
    /// What is in the directory at `path`, sorted by name; names are bytes, as the kernel has them.
    ///
    /// # Errors
    /// [`Error`]
    pub(super) fn all_entries(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        let entries = self.fs.read_dir_ino(self.inode(path)?).map_err(|e| explain(path, e))?;
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries.into_iter().filter(|e| e.name != b"." && e.name != b"..") {
            let inode = self.fs.stat_ino(entry.inode).map_err(|e| explain(path, e))?;
            found.push((entry.name, metadata(&inode)));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// The last bytes of the file at `path`, at most `limit` of them.
    ///
    /// # Errors
    /// [`Error`]
    pub(super) fn tail(&self, path: &ImagePath, limit: usize) -> Result<Vec<u8>, Error> {
        let number = self.inode(path)?;
        let len = match self.metadata(path)? {
            Some(Metadata { kind: FileKind::File, len, .. }) => len,
            _ => return Err(Error::path(path, "is not a file")),
        };
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(limit)];
        let start = len - bytes.len() as u64;
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = start + filled as u64;
            match self.fs.read_ino(number, at, rest).map_err(|e| explain(path, e))? {
                0 => return Err(Error::corrupt(path, "it ends before its length says")),
                n => filled += n,
            }
        }
        Ok(bytes)
    }
}

//! A second, read-only reader of ext4: the crate `ext4-view`, which shares no code with the editor.

use std::io::Write;

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use super::super::{Attributes, Error, FileKind, Metadata};
use crate::disk::BlockDevice;
use crate::image_path::ImagePath;

/// Files are copied in pieces of this many bytes.
const PIECE: u64 = 1 << 16;

/// An ext4 file system, for reading alone.
pub struct Ext4View(Ext4);

/// A device as `ext4-view` wants it.
struct Reader<D>(D);

impl<D: BlockDevice> Ext4Read for Reader<D> {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(self.0.read_at(start_byte, dst)?)
    }
}

impl Ext4View {
    /// Opens the file system in `device`.
    ///
    /// # Errors
    /// [`Error::NotThere`]
    pub fn open(device: impl BlockDevice + 'static) -> Result<Self, Error> {
        let absent = |e: Ext4Error| Error::NotThere { wanted: "ext4", why: e.to_string() };
        Ext4::load(Box::new(Reader(device))).map(Self).map_err(absent)
    }

    /// What is at `path`, a link not followed in its last part; `None` if nothing is.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        let found = match self.0.symlink_metadata(path.as_str()) {
            Ok(found) => found,
            Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => return Ok(None),
            Err(e) => return Err(damaged(path, &e)),
        };
        let kind = match found.file_type() {
            t if t.is_regular_file() => FileKind::File,
            t if t.is_dir() => FileKind::Directory,
            t if t.is_symlink() => FileKind::Symlink,
            _ => FileKind::Other,
        };
        let attributes = Attributes {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
            mtime: found.modified().seconds(),
        };
        Ok(Some(Metadata { kind, len: found.len(), attributes: Some(attributes) }))
    }

    /// Copies the content of the file at `path`, or the target of the link there, to `out`.
    ///
    /// # Errors
    /// [`Error::Corrupt`]; [`Error::Io`] for what `out` answers.
    pub fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let mut put =
            |bytes: &[u8]| out.write_all(bytes).map_err(|e| Error::io(format!("copying {path}"), e));
        if self.metadata(path)?.is_some_and(|m| m.kind == FileKind::Symlink) {
            let target = self.0.read_link(path.as_str()).map_err(|e| damaged(path, &e))?;
            return put(target.as_ref());
        }
        let mut file = self.0.open(path.as_str()).map_err(|e| damaged(path, &e))?;
        let mut piece = vec![0; file.metadata().len().clamp(1, PIECE) as usize];
        loop {
            match file.read_bytes(&mut piece).map_err(|e| damaged(path, &e))? {
                0 => return Ok(()),
                n => put(&piece[..n])?,
            }
        }
    }
}

fn damaged(path: &ImagePath, error: &Ext4Error) -> Error {
    Error::corrupt(path, error.to_string())
}

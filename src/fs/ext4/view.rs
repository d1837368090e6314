//! A second, read-only reader of ext4: the crate `ext4-view`, which shares no code with the editor.

use std::io::Write;
use std::sync::Arc;

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use super::super::{Attributes, Error, FileKind, FsRead, Metadata};
use super::retimed::Retimed;
use super::times::Time;
use crate::disk::ReadAt;
use crate::image_path::ImagePath;

/// Files are copied in pieces of this many bytes.
const PIECE: u64 = 1 << 16;

/// An ext4 file system, for reading alone.
pub struct Ext4View {
    fs: Ext4,
    device: Arc<Retimed<Arc<dyn ReadAt>>>,
}

/// A device as `ext4-view` wants it.
struct Reader(Arc<Retimed<Arc<dyn ReadAt>>>);

impl Ext4Read for Reader {
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
    /// [`Error::NotThere`], or what speaks against the superblock or the groups.
    pub fn open(device: impl ReadAt + 'static) -> Result<Self, Error> {
        let device = Arc::new(Retimed::new(Arc::new(device) as Arc<dyn ReadAt>)?);
        let absent = |e: Ext4Error| match e {
            Ext4Error::Incompatible(_) => Error::Incompatible { fs: "ext4", features: e.to_string() },
            e => Error::NotThere { wanted: "ext4", why: e.to_string() },
        };
        let fs = Ext4::load(Box::new(Reader(Arc::clone(&device)))).map_err(absent)?;
        Ok(Self { fs, device })
    }

    /// When the content of what is at `path` was last changed, a link not followed in its last part; `None` if
    /// nothing is.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub fn modified(&self, path: &ImagePath) -> Result<Option<Time>, Error> {
        self.inode(path)?.map(|found| self.modified_of(path, &found)).transpose()
    }

    fn modified_of(&self, path: &ImagePath, found: &ext4_view::Metadata) -> Result<Time, Error> {
        let time = self.device.modified(found.accessed().seconds(), found.modified().seconds());
        time.map_err(|e| Error::io(format!("reading the times of {path}"), e))
    }

    fn inode(&self, path: &ImagePath) -> Result<Option<ext4_view::Metadata>, Error> {
        match self.fs.symlink_metadata(path.as_str()) {
            Ok(found) => Ok(Some(found)),
            Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => Ok(None),
            Err(e) => Err(damaged(path, &e)),
        }
    }
}

impl FsRead for Ext4View {
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        let Some(found) = self.inode(path)? else { return Ok(None) };
        let kind = kind(found.file_type());
        let attributes = Attributes {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
            mtime: self.modified_of(path, &found)?.seconds,
        };
        Ok(Some(Metadata { kind, len: found.len(), attributes: Some(attributes) }))
    }

    fn list(&self, path: &ImagePath) -> Result<Vec<(String, FileKind)>, Error> {
        let mut names = Vec::new();
        for entry in self.fs.read_dir(path.as_str()).map_err(|e| damaged(path, &e))? {
            let entry = entry.map_err(|e| damaged(path, &e))?;
            let name = entry.file_name();
            let name = name
                .as_str()
                .map_err(|_| Error::path(path, format!("holds a name that is not UTF-8: {name:?}")))?;
            if name != "." && name != ".." {
                let kind = kind(entry.file_type().map_err(|e| damaged(path, &e))?);
                names.push((name.to_owned(), kind));
            }
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let mut put =
            |bytes: &[u8]| out.write_all(bytes).map_err(|e| Error::io(format!("copying {path}"), e));
        if self.metadata(path)?.is_some_and(|m| m.kind == FileKind::Symlink) {
            let target = self.fs.read_link(path.as_str()).map_err(|e| damaged(path, &e))?;
            return put(target.as_ref());
        }
        let mut file = self.fs.open(path.as_str()).map_err(|e| damaged(path, &e))?;
        let mut piece = vec![0; file.metadata().len().clamp(1, PIECE) as usize];
        loop {
            match file.read_bytes(&mut piece).map_err(|e| damaged(path, &e))? {
                0 => return Ok(()),
                n => put(&piece[..n])?,
            }
        }
    }
}

fn kind(of: ext4_view::FileType) -> FileKind {
    match of {
        t if t.is_regular_file() => FileKind::File,
        t if t.is_dir() => FileKind::Directory,
        t if t.is_symlink() => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// What is wrong at `path`: it is damaged, or of a kind that the reader does not know.
fn damaged(path: &ImagePath, error: &Ext4Error) -> Error {
    if matches!(error, Ext4Error::Incompatible(_)) {
        return Error::Incompatible { fs: "ext4", features: format!("{error} (at {path})") };
    }
    if matches!(error, Ext4Error::TooManySymlinks) {
        return Error::path(path, "a link above it leads in a circle");
    }
    Error::corrupt(path, error.to_string())
}

//! A second, read-only reader of ext4: the crate `ext4-view`, which shares no code with the editor.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use super::super::{Attributes, Error, FileKind, FsRead, Metadata, TARGET_MAX};
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
    /// What was found at the path that was looked up last: who asks for one thing about a path asks for the next, and
    /// each time all directories above it would be read and their checksums computed.
    last: Mutex<Option<(ImagePath, Option<ext4_view::Metadata>)>>,
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
        Ok(Self { fs, device, last: Mutex::default() })
    }

    /// When what is at `path`, a link not followed in its last part, was last changed; `None` if nothing is there.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub fn modified(&self, path: &ImagePath) -> Result<Option<Time>, Error> {
        self.inode(path)?.map(|found| self.time_of(path, &found)).transpose()
    }

    fn time_of(&self, path: &ImagePath, found: &ext4_view::Metadata) -> Result<Time, Error> {
        let time = self.device.modified(found.accessed().seconds(), found.modified().seconds());
        time.map_err(|e| Error::io(format!("reading the time of {path}"), e))
    }

    /// What is told of an inode that is at `path`, or of an entry of the directory there.
    fn told(&self, path: &ImagePath, found: &ext4_view::Metadata) -> Result<Metadata, Error> {
        let attributes = Attributes {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
            mtime: self.time_of(path, found)?.seconds,
        };
        Ok(Metadata { kind: kind(found.file_type()), len: found.len(), attributes: Some(attributes) })
    }

    fn inode(&self, path: &ImagePath) -> Result<Option<ext4_view::Metadata>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = last.as_ref().filter(|(known, _)| known == path) {
            return Ok(found.clone());
        }
        let found = match self.fs.symlink_metadata(path.as_str()) {
            Ok(found) => Some(found),
            Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => None,
            Err(e) => return Err(damaged(path, &e)),
        };
        *last = Some((path.clone(), found.clone()));
        Ok(found)
    }
}

impl FsRead for Ext4View {
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        self.inode(path)?.map(|found| self.told(path, &found)).transpose()
    }

    fn entries(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        let mut entries = Vec::new();
        for entry in self.fs.read_dir(path.as_str()).map_err(|e| damaged(path, &e))? {
            let entry = entry.map_err(|e| damaged(path, &e))?;
            let name = entry.file_name().as_ref().to_vec();
            if name != b"." && name != b".." {
                let found = entry.metadata().map_err(|e| damaged(path, &e))?;
                entries.push((name, self.told(path, &found)?));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let mut put =
            |bytes: &[u8]| out.write_all(bytes).map_err(|e| Error::io(format!("copying {path}"), e));
        if let Some(found) = self.metadata(path)?.filter(|found| found.kind == FileKind::Symlink) {
            // the reader takes all of it at once
            if found.len > TARGET_MAX {
                return Err(Error::too_large(path, found.len, TARGET_MAX));
            }
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

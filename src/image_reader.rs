//! An image or a card, opened for looking into it: nothing is ever written.
//!
//! A card whose power was cut has a pending journal and a FAT that was not unmounted, and is the
//! very one to look into: the journal is replayed into memory, and FAT is read as it is.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::disk::{self, FileDevice, Overlay, Partition, PartitionId, ReadAt, Scheme, TableError};
use crate::error::{Classified, ErrorClass};
use crate::fs::ext4::Ext4;
use crate::fs::fat::FatView;
use crate::fs::layout::{self, Layout};
use crate::fs::{self, FileKind, FsRead, Metadata};
use crate::image_path::{ImagePath, InvalidImagePath};
use crate::io::magic::Wrapping;
use crate::node_paths::BOOT_MOUNT;

/// Why an image cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("opening {path}")]
    Open {
        /// The image or device.
        path: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// It is packed.
    #[error("{path} is {packed}: unpack it first, with {tool}")]
    Packed {
        /// The image.
        path: String,
        /// How it is packed.
        packed: &'static str,
        /// What unpacks it.
        tool: &'static str,
    },
    /// It has no usable partition table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// One of its file systems cannot be read.
    #[error(transparent)]
    FileSystem(#[from] fs::Error),
    /// The path asked for is none.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Open { source, .. } => ErrorClass::of_named(source),
            Self::Packed { .. } => ErrorClass::Usage,
            Self::Table(error) => error.class(),
            Self::FileSystem(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}

/// An image whose partitions are known.
pub struct ImageReader {
    /// Which partition table it has.
    pub scheme: Scheme,
    /// All its partitions.
    pub partitions: Vec<Partition>,
    /// Size of the whole in bytes.
    pub len: u64,
    device: Arc<dyn ReadAt>,
}

impl ImageReader {
    /// Opens the image or device at `path` and reads its partition table.
    ///
    /// # Errors
    /// [`Error`]
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.display().to_string(), source };
        let mut head = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(8).read_to_end(&mut head).map_err(failed)?;
        if let Some((packed, tool)) = Wrapping::of(&head).map(Wrapping::words) {
            return Err(Error::Packed { path: path.display().to_string(), packed, tool });
        }
        Self::of(Arc::new(FileDevice::open(path).map_err(failed)?))
    }

    /// Reads the partition table of an image that is open already, such as a base with a patch over it.
    ///
    /// # Errors
    /// [`Error::Table`]
    pub fn of(device: Arc<dyn ReadAt>) -> Result<Self, Error> {
        let (scheme, partitions) = disk::partitions(&device)?;
        Ok(Self { scheme, partitions, len: device.len(), device })
    }

    /// Which partition is which.
    ///
    /// # Errors
    /// [`Error::FileSystem`]
    pub fn layout(&self) -> Result<Layout, Error> {
        Ok(layout::find(&self.device, &self.partitions)?)
    }

    /// The ids of the boot partition and of the root file system's.
    ///
    /// # Errors
    /// [`Error::FileSystem`], [`Error::Table`]
    pub fn partition_ids(&self) -> Result<[PartitionId; 2], Error> {
        let layout = self.layout()?;
        let id = |partition: &Partition| disk::partition_id(&self.device, partition.number);
        Ok([id(&layout.boot)?, id(&layout.root)?])
    }

    /// The file system of the boot partition.
    ///
    /// # Errors
    /// [`Error::FileSystem`]
    pub fn boot(&self) -> Result<Box<dyn FsRead>, Error> {
        Ok(Box::new(FatView::open(self.layout()?.boot.open(Arc::clone(&self.device))?)?))
    }

    /// The root file system, with what is in its journal.
    ///
    /// # Errors
    /// [`Error::FileSystem`]
    pub fn root(&self) -> Result<Box<dyn FsRead>, Error> {
        let overlay = Overlay::new(self.layout()?.root.open(Arc::clone(&self.device))?);
        Ok(Box::new(Ext4::open_for_reading(overlay)?))
    }

    /// The file system that holds `path` as the running node sees it, and the path within it.
    fn locate(&self, path: &ImagePath) -> Result<(Box<dyn FsRead>, ImagePath), Error> {
        let below = path.as_str().strip_prefix(BOOT_MOUNT);
        match below.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(rest) => {
                let within = if rest.is_empty() { ImagePath::root() } else { ImagePath::new(rest)? };
                Ok((self.boot()?, within))
            }
            None => Ok((self.root()?, path.clone())),
        }
    }

    /// What is at `path`, as the running node sees it: the boot partition is below `/boot/firmware`.
    ///
    /// # Errors
    /// [`Error`]
    pub fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        let (fs, within) = self.locate(path)?;
        Ok(fs.metadata(&within)?)
    }

    /// What is in the directory at `path`, sorted by name. A name is any bytes.
    ///
    /// # Errors
    /// [`Error`]
    pub fn list(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        let (fs, within) = self.locate(path)?;
        Ok(fs.entries(&within)?)
    }

    /// The content of the file at `path`, or a link's target; `None` if nothing is there. Cards and
    /// images come from anywhere: what is held in memory has a `limit`, in bytes.
    ///
    /// # Errors
    /// [`fs::Error::TooLarge`], and what [`Self::read`] answers.
    pub fn read_whole(&self, path: &ImagePath, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let (fs, within) = self.locate(path)?;
        let Some(found) = fs.metadata(&within)? else { return Ok(None) };
        check_readable(path, Some(found.kind))?;
        let content = fs.content(&within, limit).map_err(|fault| match fault {
            // as the caller calls it
            fs::Error::TooLarge { len, limit, .. } => fs::Error::too_large(path, len, limit),
            other => other,
        });
        Ok(Some(content?))
    }

    /// The same as text, in which what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`Self::read_whole`]; [`Error::Path`]
    pub fn text(&self, path: &str, limit: u64) -> Result<Option<String>, Error> {
        let content = self.read_whole(&ImagePath::new(path)?, limit)?;
        Ok(content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The last bytes of the file at `path`, at most `limit` of them.
    ///
    /// # Errors
    /// [`Error`]
    pub fn read_tail(&self, path: &ImagePath, limit: usize) -> Result<Vec<u8>, Error> {
        let (fs, within) = self.locate(path)?;
        Ok(fs.read_tail(&within, limit)?)
    }

    /// Copies the content of the file at `path` to `out`; of a link, its target.
    ///
    /// # Errors
    /// [`Error`]
    pub fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let (fs, within) = self.locate(path)?;
        check_readable(path, fs.metadata(&within)?.map(|found| found.kind))?;
        fs.read(&within, out)?;
        Ok(())
    }
}

fn check_readable(path: &ImagePath, kind: Option<FileKind>) -> Result<(), fs::Error> {
    match kind {
        Some(FileKind::File | FileKind::Symlink) => Ok(()),
        Some(_) => Err(fs::Error::path(path, "is neither a file nor a link")),
        None => Err(fs::Error::path(path, "no such file or directory")),
    }
}

//! File systems inside an image: one trait for reading them, one for editing them in userspace.

pub mod error;
pub mod ext4;
pub mod fat;
pub mod layout;
pub mod probe;
mod used;

pub use error::Error;
pub use used::{Used, used};

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use crate::image_path::ImagePath;

/// Transfers that one editing session may make with a file system. A bake makes some thousands;
/// damaged metadata that sends an editor in circles ends here instead of never.
const TRANSFER_LIMIT: u64 = 4_000_000;

/// Longest target of a symbolic link that is read, in bytes: Linux makes and follows none that is longer (`PATH_MAX`).
pub const TARGET_MAX: u64 = 4096;

/// What is known of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What is there.
    pub kind: FileKind,
    /// Length of the content in bytes; for a symbolic link, of its target.
    pub len: u64,
    /// Owner, permissions and time; `None` where the file system keeps none (FAT).
    pub attributes: Option<Attributes>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe or a socket.
    Other,
}

/// Owner, permissions and time of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits of the mode, at most 0o7777.
    pub mode: u16,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// When the content was last changed, in seconds since 1970.
    pub mtime: i64,
}

/// A file system that is read. No path follows a symbolic link in its last part; links in the parts
/// before it are not followed either and are an error.
pub trait FsRead {
    /// What is at `path`; `None` if nothing is.
    ///
    /// # Errors
    /// [`Error`], as for all that follow: the device fails, or the file system contradicts itself.
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error>;

    /// What is in a directory, sorted by name, without `.` and `..`. Names are bytes, as the file system has
    /// them.
    fn entries(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error>;

    /// Copies a file's content, or a symbolic link's target, to `out`. Of a file only a part is in memory at a time, and a
    /// target has at most [`TARGET_MAX`] bytes.
    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error>;

    /// The names in a directory, sorted; an error for one that is not UTF-8.
    fn names(&self, path: &ImagePath) -> Result<Vec<String>, Error> {
        let text = |(name, _)| {
            String::from_utf8(name)
                .map_err(|e| Error::path(path, format!("holds a name that is not UTF-8: {:?}", e.as_bytes())))
        };
        self.entries(path)?.into_iter().map(text).collect()
    }

    /// The content of a file, or a symbolic link's target, where it has at most `limit` bytes. Whoever made an image has
    /// its files be as long as they like, and what is held in memory is decided here.
    ///
    /// # Errors
    /// [`Error::TooLarge`]
    fn content(&self, path: &ImagePath, limit: u64) -> Result<Vec<u8>, Error> {
        let said = self.metadata(path)?.map_or(0, |found| found.len);
        if said > limit {
            return Err(Error::too_large(path, said, limit));
        }
        let mut content = Limited { bytes: Vec::new(), limit, refused: None };
        let read = self.read(path, &mut content);
        // it is longer than it says
        if let Some(len) = content.refused {
            return Err(Error::too_large(path, len, limit));
        }
        read.map(|()| content.bytes)
    }

    /// The last bytes of a file, at most `limit` of them.
    fn read_tail(&self, path: &ImagePath, limit: usize) -> Result<Vec<u8>, Error> {
        let mut tail = Tail { bytes: VecDeque::new(), limit };
        self.read(path, &mut tail)?;
        Ok(tail.bytes.into())
    }
}

/// Keeps what is written, up to a limit.
struct Limited {
    bytes: Vec<u8>,
    limit: u64,
    /// What there would have been, where that is more.
    refused: Option<u64>,
}

impl Write for Limited {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        let len = (self.bytes.len() + new.len()) as u64;
        if len > self.limit {
            self.refused = Some(len);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend(new);
        Ok(new.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the end of what is written.
struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl Write for Tail {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        self.bytes.extend(new);
        self.bytes.drain(..self.bytes.len().saturating_sub(self.limit));
        Ok(new.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same where it can be edited, too. A change lands where its path says.
pub trait FsEdit: FsRead {
    /// Makes `path` a regular file with this content, in place of the file or link that was there.
    /// The directory above must be there.
    fn write(&self, path: &ImagePath, content: &mut dyn Read, attributes: Attributes) -> Result<(), Error>;

    /// Makes a directory; the one above must be there, and nothing at `path`.
    fn create_dir(&self, path: &ImagePath, attributes: Attributes) -> Result<(), Error>;

    /// Makes a symbolic link in place of the file or link that was there.
    fn symlink(&self, path: &ImagePath, target: &str) -> Result<(), Error>;

    /// Removes a file, a link or an empty directory.
    fn remove(&self, path: &ImagePath) -> Result<(), Error>;

    /// Writes out what is still held, and leaves the file system as a clean unmount does.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Deepest that [`remove_all`] goes below its path. No one nests this deep; damaged directories may
/// contain themselves.
const MAX_DEPTH: usize = 128;

/// Removes what is at `path`, with all below it; says whether anything was there.
///
/// # Errors
/// [`Error`]
pub fn remove_all(fs: &dyn FsEdit, path: &ImagePath) -> Result<bool, Error> {
    remove_below(fs, path, MAX_DEPTH)
}

fn remove_below(fs: &dyn FsEdit, path: &ImagePath, depth: usize) -> Result<bool, Error> {
    let Some(found) = fs.metadata(path)? else { return Ok(false) };
    if found.kind == FileKind::Directory {
        let depth =
            depth.checked_sub(1).ok_or_else(|| Error::corrupt(path, "directories lie in a circle"))?;
        for name in fs.names(path)? {
            let below = path.join(&name).map_err(|e| Error::corrupt(path, e.to_string()))?;
            remove_below(fs, &below, depth)?;
        }
    }
    fs.remove(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is longer than it says, or says that it is longer than it is.
    struct Liar {
        said: u64,
        len: usize,
    }

    impl FsRead for Liar {
        fn metadata(&self, _: &ImagePath) -> Result<Option<Metadata>, Error> {
            Ok(Some(Metadata { kind: FileKind::File, len: self.said, attributes: None }))
        }
        fn entries(&self, _: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
            Ok(Vec::new())
        }
        fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
            let put =
                |piece: &[u8]| out.write_all(piece).map_err(|e| Error::io(format!("copying {path}"), e));
            vec![7; self.len].chunks(13).try_for_each(put)
        }
    }

    #[test]
    fn no_more_is_held_of_a_file_than_was_asked_for() {
        let path = ImagePath::new("/x").unwrap();
        for (said, len, read) in [
            (0, 0, true),
            (100, 100, true),
            (101, 1, false),
            (1, 101, false),
            (u64::MAX, 0, false),
            (0, 5000, false),
        ] {
            match (Liar { said, len }.content(&path, 100), read) {
                (Ok(content), true) => assert_eq!(content.len(), len),
                (Err(Error::TooLarge { path, len, limit }), false) => {
                    assert!(path == "/x" && len > 100 && limit == 100, "{path} {len} {limit}");
                }
                (other, _) => panic!("{said} {len}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_tail_is_the_end_of_all_pieces_and_holds_no_more() {
        for limit in [0, 1, 7, 50, 1000] {
            for piece in [1, 3, 7, 64] {
                let all: Vec<u8> = (0..250).collect();
                let mut tail = Tail { bytes: VecDeque::new(), limit };
                for part in all.chunks(piece) {
                    tail.write_all(part).unwrap();
                    assert!(tail.bytes.len() <= limit);
                }
                assert_eq!(Vec::from(tail.bytes), all[all.len().saturating_sub(limit)..]);
            }
        }
    }
}

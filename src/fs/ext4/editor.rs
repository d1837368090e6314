//! What the editor says, in the words of this room.

use std::io;

use super::features::{self, Word};
use crate::fs::{Attributes, Error, FileKind, Metadata};

/// What is told of a file, by its inode.
pub(super) fn metadata(inode: &fs_ext4::inode::Inode) -> Metadata {
    let attributes =
        Attributes { mode: inode.mode & 0o7777, uid: inode.uid, gid: inode.gid, mtime: inode.mtime };
    Metadata { kind: kind(inode.mode), len: inode.size, attributes: Some(attributes) }
}

/// The upper four bits of the mode are the file type, as in POSIX.
fn kind(mode: u16) -> FileKind {
    match mode >> 12 {
        0o10 => FileKind::File,
        0o04 => FileKind::Directory,
        0o12 => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// The editor's error, told apart by what the user can do about it.
pub(super) fn explain(what: impl ToString, error: fs_ext4::Error) -> Error {
    use fs_ext4::Error as E;
    let path = what.to_string();
    match error {
        // what `Limited` says when it ends a walk in circles
        E::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            Error::Corrupt { path, why: source.to_string() }
        }
        E::Io(source) => Error::Io { doing: format!("editing {path}"), source },
        E::NoSpaceLeftOnDevice => Error::Full { path },
        E::NotFound => Error::Path { path, why: "no such file or directory".into() },
        E::NotADirectory => Error::Path { path, why: "a part of it is not a directory".into() },
        E::AlreadyExists => Error::Path { path, why: "something is there already".into() },
        E::DirectoryNotEmpty => Error::Path { path, why: "the directory is not empty".into() },
        E::UnsupportedIncompat(bits) => {
            Error::Incompatible { fs: "ext4", features: features::named(Word::Incompat, bits) }
        }
        E::UnsupportedRoCompat(bits) => {
            Error::Incompatible { fs: "ext4", features: features::named(Word::RoCompat, bits) }
        }
        E::InvalidArgument(why) => Error::Path { path, why: why.into() },
        E::Unsupported(why) => Error::Incompatible { fs: "ext4", features: format!("{why} (at {path})") },
        other => Error::Corrupt { path, why: other.to_string() },
    }
}

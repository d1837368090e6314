//! What is to change on one node's card: an ordered list of changes to two file systems. Pure
//! data; printing, comparing and applying it are other modules' work.

use crate::image_path::ImagePath;

/// All that is to change on the card of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Host name of the node, for messages and file names.
    pub node: String,
    /// The changes, in the order in which they are to be made.
    pub changes: Vec<Change>,
}

/// One change to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file system that holds the path.
    pub volume: Volume,
    /// The path within that file system.
    pub path: ImagePath,
    /// What is to be true of the path afterwards.
    pub action: Action,
}

/// The two file systems of a Pi image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volume {
    /// `system-boot`: FAT, read by the firmware and by whoever plugs in the card. No owner, no
    /// modes, no secrets.
    Boot,
    /// `writable`: ext4, mounted on `/`.
    Root,
}

/// What a [`Change`] does. Parent directories that do not exist are made (0755, root).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The path is a regular file with this content; a file that was there is replaced.
    Write {
        /// The whole content.
        content: Vec<u8>,
        /// Who may do what with it.
        access: Access,
        /// The content is never shown: `plan` masks it.
        secret: bool,
    },
    /// The path is a directory; one that was there keeps its content.
    Directory {
        /// Who may do what with it.
        access: Access,
    },
    /// The path is a symbolic link to `target`, replacing a file or link that was there.
    Symlink {
        /// The link's text, not resolved.
        target: String,
    },
    /// Nothing is at the path: a file, a link, or a directory with all below it is removed. That
    /// nothing was there is no error.
    Remove,
    /// The path is the kernel's command line, one line of arguments: those in `set` are there
    /// exactly once, those in `unset` are not there, all others stay as and where they are.
    KernelArguments {
        /// `key=value` or `key`; replaces arguments with the same whole text, and appends.
        set: Vec<String>,
        /// Arguments to drop, compared with the whole text or, when it ends in `=`, with the key.
        unset: Vec<String>,
    },
}

/// Owner and permissions, as ext4 keeps them. FAT has none and ignores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The permission bits of the mode, at most 0o7777.
    pub mode: u16,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

impl Access {
    /// Owned by root, with these permission bits.
    pub const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

//! What is to change on one node's card: an ordered list of changes to two file systems. Pure
//! data; printing, comparing and applying it are other modules' work.

mod apt;
mod baked;
mod build;
mod context;
mod dhcp;
mod extras;
mod file_policy;
mod firewall;
mod first_boot;
mod inputs;
mod instance_id;
mod kernel;
mod kubeadm;
mod manifests;
mod netplan;
mod overlays;
mod packages;
mod proxy;
pub mod quote;
mod radio;
mod registries;
mod render;
mod renderer;
mod secret_scanner;
mod secrets;
pub mod show;
mod user_data;
mod wifi_files;
mod wifi_secrets;
mod yaml;

pub use apt::{KeyError, KeySource, key_sources, read_key};
pub use baked::BakedList;
pub use build::{preview, recipe};
pub use extras::{Extras, ExtrasError};
pub use manifests::{Manifest, ManifestError};
pub use overlays::{MAX_OVERLAY_BYTES, OverlayError, Overlays};
pub use packages::packages;
pub use user_data::{CloudConfig, ExtraError};
pub use wifi_files::{WifiFile, WifiFileError};

use crate::boards::Board;
pub use crate::cluster::KernelArgument;
use crate::cluster::Problem;
use crate::error::{Classified, ErrorClass};
use crate::image_path::{ImagePath, InvalidImagePath};

/// Why no recipe can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No node runs the control plane.
    #[error("no node of the cluster has the role control-plane")]
    NoControlPlane,
    /// The versions asked for do not go together, or not with the image.
    #[error(transparent)]
    Software(#[from] Problem),
    /// A template cannot be rendered.
    #[error("rendering {template}: {}", words(error))]
    Template {
        /// Where it is: a file of this machine, or the path that pibake's own makes.
        template: String,
        /// Why not, with the line.
        error: minijinja::Error,
    },
    /// A template is not UTF-8.
    #[error("rendering {template}: it is not UTF-8; without .j2 a file is baked as it is")]
    TemplateEncoding {
        /// The file.
        template: String,
    },
    /// A secret would stand where anyone who holds the card can read it.
    #[error(
        "{template} would put a secret ({variables}) onto the boot partition, which anyone who holds the card can read: \
         put the file into overlays/common, where it is readable by root alone"
    )]
    SecretOnBoot {
        /// The file.
        template: String,
        /// What templates call the secret.
        variables: String,
    },
    /// The user's command line for the kernel is none.
    #[error("{file} cannot be the kernel's command line: {why}")]
    CommandLine {
        /// The file.
        file: String,
        /// Why not.
        why: &'static str,
    },
    /// The user's cloud-init settings do not go with pibake's.
    #[error(transparent)]
    UserData(#[from] ExtraError),
    /// A node's host key cannot be made.
    #[error(transparent)]
    HostKey(#[from] crate::identity::Error),
    /// A name makes a path that no image can hold.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoControlPlane
            | Self::Template { .. }
            | Self::TemplateEncoding { .. }
            | Self::SecretOnBoot { .. }
            | Self::CommandLine { .. } => ErrorClass::Configuration,
            Self::Software(error) => error.class(),
            Self::UserData(error) => error.class(),
            Self::HostKey(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}

/// What minijinja says, and what that came from: the reason is only in the latter.
fn words(error: &minijinja::Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    format!("{line}{detail}")
}

/// All that is to change on the card of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Host name of the node, for messages and file names.
    pub node: String,
    /// The board that the card is for, where the description says so; on another one it may not start.
    pub board: Option<Board>,
    /// The kernel modules that it cannot be without.
    pub modules: Vec<KernelModule>,
    /// What the ids of its disk and partitions are made of, by which the system knows its own from others that were made
    /// of the same image.
    pub disk_id: [u8; 16],
    /// The changes, in the order in which they are to be made.
    pub changes: Vec<Change>,
}

/// A kernel module that not every image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelModule {
    /// Its name, without `.ko`.
    pub name: &'static str,
    /// The key of the description that asks for it.
    pub setting: &'static str,
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
        /// Whether it holds a secret.
        secrecy: Secrecy,
    },
    /// The path is a directory; one that was there, or that a link there leads to, stays as it is.
    Directory {
        /// Who may do what with it, if it is made.
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
    /// The path is fstab(5), if there is one: what it mounts on `/` and as boot files are this disk's own partitions, and
    /// not any with the same label.
    Fstab,
    /// The path is the kernel's command line, one line of arguments: those in `set` are there
    /// exactly once, those in `unset` are not there, all others stay as and where they are. Unless `set` has a `root=`, or
    /// there is one that names a device, `root=` names this disk's own partition.
    KernelArguments {
        /// The line to start from, if it is not the one that is there.
        line: Option<String>,
        /// What is not there is appended.
        set: Vec<KernelArgument>,
        /// Arguments to drop; one that ends in `=` stands for the key with any value.
        unset: Vec<KernelArgument>,
    },
}

/// Whether a file holds a secret: seen by what went into it, not by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Anyone may read it.
    Public,
    /// Nobody but root may, and it is never shown.
    Secret,
    /// The file on the card is secret; this is a preview of it, with masks in the secrets' places.
    Masked,
}

impl Secrecy {
    /// Whether the file on the card holds a secret.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Masked)
    }
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
    #[must_use]
    pub const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

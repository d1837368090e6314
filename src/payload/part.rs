//! The files that nodes get.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use super::error::Result;
use crate::apt::{Install, Plan};
use crate::base::Cache;
use crate::catalog::Digest;
use crate::cluster::Role;
use crate::image_path::ImagePath;
use crate::node_paths::PAYLOAD;
use crate::oci::{Archive, Image};

/// What is laid into the root file systems of the nodes of each role.
#[derive(Debug)]
pub struct Payload {
    pub(super) parts: BTreeMap<Role, Part>,
    /// What the nodes of all roles install, by name.
    pub(super) packages: BTreeMap<String, Install>,
}

/// What the nodes of one role get.
#[derive(Debug)]
pub struct Part {
    /// The files, in the order of their paths.
    pub files: Vec<PayloadFile>,
    /// What its packages change on the base.
    pub plan: Plan,
    /// The images in its archive.
    pub images: Vec<Image>,
}

/// A file that is laid into a root file system, also in the place of one that the recipe has there. It is root's, and
/// everybody may read it.
#[derive(Debug)]
pub struct PayloadFile {
    /// Its path.
    pub path: ImagePath,
    /// What it is, for people.
    pub what: String,
    /// Whether the nodes of all roles get it.
    pub is_common: bool,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// Made for this payload.
    Bytes(Vec<u8>),
    /// As it is in the cache.
    Cached { digest: Digest, len: u64 },
    /// Put together of what is in the cache.
    Archive(Archive),
}

impl Payload {
    /// What the nodes of this role get; `None` where the cluster has no such node.
    #[must_use]
    pub fn part(&self, role: Role) -> Option<&Part> {
        self.parts.get(&role)
    }

    /// What the nodes of all roles install, by name.
    pub fn packages(&self) -> impl Iterator<Item = &Install> {
        self.packages.values()
    }

    /// What the nodes of each role get.
    pub fn parts(&self) -> impl Iterator<Item = (Role, &Part)> {
        self.parts.iter().map(|(role, part)| (*role, part))
    }
}

impl Part {
    /// Bytes of its packages.
    #[must_use]
    pub fn package_bytes(&self) -> u64 {
        self.plan.install.iter().map(|package| package.size).sum()
    }

    /// Bytes of what its images are made of; what several of them have counts once.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        let parts: BTreeMap<Digest, u64> =
            self.images.iter().flat_map(Image::blobs).map(|blob| (blob.digest, blob.len)).collect();
        parts.values().sum()
    }
}

impl PayloadFile {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Cached { len, .. } => *len,
            Content::Archive(archive) => archive.size(),
        }
    }

    /// The digest by which the cache has it, where it is there as it is.
    #[must_use]
    pub fn cached(&self) -> Option<Digest> {
        match &self.content {
            Content::Cached { digest, .. } => Some(*digest),
            Content::Bytes(_) | Content::Archive(_) => None,
        }
    }

    /// Its text, where it was made for this payload and is not a package or an archive.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.content {
            Content::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Content::Cached { .. } | Content::Archive(_) => None,
        }
    }

    /// Opens its content. What comes from the cache is verified while it is read.
    ///
    /// # Errors
    /// What the system answers. Reading ends in an error of kind [`io::ErrorKind::InvalidData`] where the cache no
    /// longer has what was verified; what was read until then must not be used.
    pub fn open<'a>(&'a self, cache: &'a Cache) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match &self.content {
            Content::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Content::Cached { digest, len } => Box::new(cache.read_file(digest, *len)?),
            Content::Archive(archive) => Box::new(archive.read(cache)),
        })
    }
}

/// A path in the folder of the payload.
pub(super) fn place(name: &str) -> Result<ImagePath> {
    Ok(ImagePath::new(format!("{PAYLOAD}/{name}"))?)
}

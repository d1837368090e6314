//! Bills of what is on the cards that are made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::system::OS_RELEASE_MAX;
use super::unlisted::Unlisted;
use super::{Error, Prepared, preload, system};
use crate::apt;
use crate::bake::{Proof, Written};
use crate::bill::{self, Added, BaseImage, Bill, ContainerImage, File, Mode, Package};
use crate::boards::Board;
use crate::catalog::{Digest, shown};
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::io::{Folder, Owner, assignment, atomic::remove_remnants};
use crate::node_paths::BOOT_MOUNT;
use crate::recipe::Volume;
use crate::registry::Version;

/// Where dpkg keeps what is installed.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";
/// The list of a whole distribution has 60 MB, and that of an image a hundredth of it.
const STATUS_MAX: u64 = 64 << 20;

/// What the bills of one run have in common.
pub struct Bills<'p> {
    prepared: &'p Prepared,
    system: Option<(String, String)>,
    installed: Vec<Package>,
    /// Where preloaded packages are on the cards, by their digests.
    places: BTreeMap<Digest, ImagePath>,
}

/// Of what is the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// An image, beside which it is.
    Image,
    /// A card that was written without an image.
    Card,
}

/// The name of the file of a node's bill: that of a card is another than that beside an image, which may be an
/// older one.
#[must_use]
pub fn bill_name(node: &str, medium: Medium) -> String {
    match medium {
        Medium::Image => format!("{node}.{}", bill::EXTENSION),
        Medium::Card => format!("{node}.card.{}", bill::EXTENSION),
    }
}

/// Whether a file is called as bills are.
#[must_use]
pub fn is_bill(name: &str) -> bool {
    name.strip_suffix(bill::EXTENSION).is_some_and(|rest| rest.ends_with('.'))
}

/// What `image` has installed, by its list; nothing where it has no list.
pub(super) fn installed(image: &ImageReader) -> Result<Vec<Package>, Unlisted> {
    let text = image.read_whole(&ImagePath::new(STATUS)?, STATUS_MAX)?.unwrap_or_default();
    let package = |found: apt::Installed| {
        let apt::Installed { package: name, architecture, version } = found;
        Package { name, architecture, version }
    };
    Ok(apt::installed(text.as_slice())?.into_iter().map(package).collect())
}

impl Prepared {
    /// Makes ready to write bills: looks once at what the base has.
    ///
    /// # Errors
    /// [`Error::Listing`] where the base cannot be looked into, or its list of packages is damaged.
    pub fn bills(&self) -> Result<Bills<'_>, Error> {
        let path = self.base().path();
        let base = preload::open(path)?;
        let listing = |source| Error::Listing { image: path.to_owned(), source };
        let installed = installed(&base).map_err(listing)?;
        let release =
            system::OS_RELEASE.iter().find_map(|name| base.text(name, OS_RELEASE_MAX).ok().flatten());
        let value = |name: &str| {
            let text = assignment(release.as_deref()?, name)?;
            Some(text.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
        };
        let system = value("ID").zip(value("VERSION_ID"));
        let files = self.payload().into_iter().flat_map(|payload| payload.parts());
        let files = files.flat_map(|(_, part)| &part.files);
        let places = files.filter_map(|file| Some((file.cached()?, file.path.clone()))).collect();
        Ok(Bills { prepared: self, system, installed, places })
    }
}

impl Bills<'_> {
    /// The bill of the node of this name, which was baked with this proof.
    ///
    /// # Errors
    /// [`Error::Bill`]
    pub fn of(&self, node: &str, proof: &Proof) -> Result<Vec<u8>, Error> {
        let base = self.prepared.base();
        let of = self.prepared.nodes().into_iter().find(|n| n.name.as_str() == node);
        let (role, board) = (of.map(|node| node.role), of.and_then(|node| node.board));
        let payload = self.prepared.payload();
        let part = payload.zip(role).and_then(|(payload, role)| payload.part(role));
        let added = part.into_iter().flat_map(|part| &part.plan.install).map(|package| Added {
            package: Package {
                name: package.package.clone(),
                architecture: package.architecture.clone(),
                version: package.version.clone(),
            },
            sha256: package.sha256,
            url: shown(&package.url),
            file: self.places.get(&package.sha256),
        });
        let images = part.into_iter().flat_map(|part| &part.images).map(|image| ContainerImage {
            repository: format!("{}/{}", image.name.host(), image.name.path()),
            tag: match image.name.version() {
                Version::Tag(tag) => Some(tag.as_str()),
                Version::Digest(_) => None,
            },
            digest: image.manifest.digest,
        });
        let (mut files, mut secrets) = (Vec::new(), Vec::new());
        for written in proof.files() {
            let path = seen_by_node(written.volume, written.path)?;
            match file(&written, &path) {
                Some(file) => files.push(file),
                None => secrets.push(path),
            }
        }
        let bill = Bill {
            node,
            board: board.map(Board::as_str),
            created: self.prepared.project().build_time(),
            pibake: env!("CARGO_PKG_VERSION"),
            base: BaseImage {
                name: &base.name,
                digest: base.digest,
                url: base.url.as_deref(),
                system: self.system.as_ref().map(|(id, version)| (id.as_str(), version.as_str())),
                installed: &self.installed,
            },
            added: added.collect(),
            images: images.collect(),
            files,
            secrets,
        };
        Ok(bill.text()?)
    }
}

/// A file whose content may be told.
fn file(written: &Written<'_>, path: &ImagePath) -> Option<File> {
    let access = written.access;
    let mode = Mode { mode: access.mode, uid: access.uid, gid: access.gid };
    Some(File {
        path: path.clone(),
        checksums: written.checksums?,
        // FAT keeps none
        access: (written.volume == Volume::Root).then_some(mode),
        is_preloaded: written.is_preloaded,
    })
}

/// A path of one of the two file systems as the running node has it.
pub(super) fn seen_by_node(volume: Volume, path: &ImagePath) -> Result<ImagePath, Error> {
    match volume {
        Volume::Boot => Ok(ImagePath::new(format!("{BOOT_MOUNT}{path}"))?),
        Volume::Root => Ok(path.clone()),
    }
}

/// Puts the text of a bill into `dir`, whole or not at all, for whoever new files there belong to. Gives where it is.
///
/// # Errors
/// What the system answers.
pub fn put_bill(dir: &Path, name: &str, text: &[u8]) -> std::io::Result<PathBuf> {
    let folder = Folder::open(dir)?;
    remove_remnants(&folder, |remnant| remnant == name)?;
    folder.replace(name, text, 0o666, Owner::of_new_in(dir))?;
    Ok(dir.join(name))
}

//! What a new bake would change on a card that was baked before. Nothing is written, fetched or made.

use super::{Described, Error, preload};
use crate::bake::{self, Card, Difference, OwnDisk};
use crate::cluster::Node;
use crate::fs::{FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::image_reader::{self, ImageReader};
use crate::node_paths;
use crate::payload::PayloadFile;
use crate::recipe::BakedList;

/// Longest list of what was baked, in bytes: one of a user with ten thousand files of their own.
const LIST_MAX: u64 = 4 << 20;
/// Longest file of a payload whose text is compared; packages and archives have their versions in their names, or
/// another size.
const TEXT_MAX: u64 = 16 << 20;

/// What a new bake would change on a node's card.
#[derive(Debug)]
pub struct CardDifference {
    /// Whether the card says what was baked onto it; else nothing is known of what is not written any more.
    pub lists_files: bool,
    /// Whether the base image is here; else the kernel's command line is made of the card's own.
    pub is_base_here: bool,
    /// Path by path.
    pub paths: Vec<Difference>,
    /// What is preloaded; `None` where that is not known yet, and nothing is and was preloaded.
    pub payload: Option<PayloadDifference>,
}

/// What a bake would preload otherwise than it is on the card: paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PayloadDifference {
    /// Not on the card.
    pub added: Vec<ImagePath>,
    /// On the card alone.
    pub removed: Vec<ImagePath>,
    /// Of another size, or with another text.
    pub changed: Vec<ImagePath>,
}

impl Described {
    /// What a new bake of `node` would change on `card`.
    ///
    /// # Errors
    /// [`Error::NotHere`] where only the base can tell what runs on it, and it is not here; else what keeps the node
    /// from being baked, and what `card` cannot be read for.
    pub fn difference(&self, node: &Node, card: &ImageReader) -> Result<CardDifference, Error> {
        let (platform, _) = self.platform()?;
        let recipe = match self.project.known_recipe(node, &platform)? {
            Some(recipe) => recipe,
            None => self.project.preview(node, &platform)?,
        };
        let base = self.base_boot()?;
        let (boot, root) = (card.boot().map_err(unread)?, card.root().map_err(unread)?);
        let list = card.text(node_paths::BAKED, LIST_MAX).map_err(unread)?;
        let list = list.and_then(|text| BakedList::read(&text));
        let own = OwnDisk::new(card.partition_ids().map_err(unread)?);
        let compared = Card { boot: boot.as_ref(), root: root.as_ref(), own, list: list.as_ref() };
        let mut paths = bake::diff(&compared, base.as_deref(), &recipe)?;
        let payload = self.payload_difference(node, root.as_ref())?;
        // what is preloaded takes the place of a file of the recipe
        if let Some((_, files)) = &payload {
            paths.retain(|difference| !files.contains(&difference.path));
        }
        Ok(CardDifference {
            lists_files: list.is_some(),
            is_base_here: base.is_some(),
            paths,
            payload: payload.map(|(difference, _)| difference),
        })
    }

    /// The boot partition of the base, where that is here.
    fn base_boot(&self) -> Result<Option<Box<dyn FsRead>>, Error> {
        match self.wanted().and_then(|wanted| self.base_path(&wanted)) {
            Ok(path) => {
                let boot = preload::open(&path)?.boot();
                Ok(Some(boot.map_err(|source| Error::Examining { image: path, source: source.into() })?))
            }
            Err(Error::NotHere { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is preloaded, and the paths of all files that would be; `None` where nothing is, or where it is not known.
    fn payload_difference(
        &self,
        node: &Node,
        root: &dyn FsRead,
    ) -> Result<Option<(PayloadDifference, Vec<ImagePath>)>, Error> {
        let preload = self.preload()?;
        let is_known = preload.is_some() || !self.project.cluster.image.preload;
        let part = preload.as_ref().and_then(|preload| preload.payload.part(node.role));
        let wanted = part.map_or(&[][..], |part| part.files.as_slice());
        let read = |source: crate::fs::Error| unread(source.into());
        let there = match ImagePath::new(node_paths::PAYLOAD) {
            Ok(folder) => files_below(root, &folder, 2).map_err(read)?,
            Err(fault) => return Err(unread(fault.into())),
        };
        if !is_known || (wanted.is_empty() && there.is_empty()) {
            return Ok(None);
        }
        let mut difference = PayloadDifference::default();
        for file in wanted {
            match is_same(root, file).map_err(read)? {
                Some(true) => {}
                Some(false) => difference.changed.push(file.path.clone()),
                None => difference.added.push(file.path.clone()),
            }
        }
        difference.removed =
            there.into_iter().filter(|path| wanted.iter().all(|f| f.path != *path)).collect();
        Ok(Some((difference, wanted.iter().map(|file| file.path.clone()).collect())))
    }
}

/// Whether the file on the card is this one; `None` if it is not there.
fn is_same(root: &dyn FsRead, file: &PayloadFile) -> Result<Option<bool>, crate::fs::Error> {
    let Some(found) = root.metadata(&file.path)? else { return Ok(None) };
    if found.kind != FileKind::File || found.len != file.size() {
        return Ok(Some(false));
    }
    Ok(Some(match file.text().filter(|_| found.len <= TEXT_MAX) {
        Some(text) => root.content(&file.path, TEXT_MAX)? == text.as_bytes(),
        None => true,
    }))
}

/// The files in a folder and so many levels of folders in it.
fn files_below(
    root: &dyn FsRead,
    folder: &ImagePath,
    levels: usize,
) -> Result<Vec<ImagePath>, crate::fs::Error> {
    if root.metadata(folder)?.is_none_or(|found| found.kind != FileKind::Directory) {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for (name, found) in root.entries(folder)? {
        let Some(path) = std::str::from_utf8(&name).ok().and_then(|name| folder.join(name).ok()) else {
            continue;
        };
        match found.kind {
            FileKind::Directory if levels > 0 => files.extend(files_below(root, &path, levels - 1)?),
            FileKind::Directory => {}
            _ => files.push(path),
        }
    }
    Ok(files)
}

/// The card cannot be read.
fn unread(source: image_reader::Error) -> Error {
    Error::Card(source)
}

//! The files that land in an image: pibake's own, built into the program, and the user's, which
//! take the place of pibake's or come on top.

mod error;
mod purposes;
mod rules;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use self::error::{MAX_OVERLAY_BYTES, OverlayError};
pub(super) use self::purposes::purpose;
use self::rules::{baked_mode, fat_name, path_below, reserved};
use super::file_policy::{FilePolicy, When};
use super::{Access, Volume};
use crate::cluster::Role;
use crate::image_path::ImagePath;

/// The ending that makes a file a template; it is not part of the name that lands.
const TEMPLATE: &str = ".j2";

/// A file of pibake's own; build.rs makes the table of all.
struct BuiltIn {
    layer: Layer,
    /// Where it lands.
    path: &'static str,
    content: &'static [u8],
    template: bool,
    policy: FilePolicy,
    /// What it is for, in words.
    why: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// Which cards a file lands on, and on which of their file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Layer {
    /// `cloud-init/`: the boot file system of every node.
    CloudInit,
    /// `common/`: the root file system of every node.
    Common,
    /// `control-plane/`: the root file system of the control plane's node, over `common/`.
    ControlPlane,
    /// `worker/`: the root file system of the workers, over `common/`.
    Worker,
}

impl Layer {
    const ALL: [Self; 4] = [Self::CloudInit, Self::Common, Self::ControlPlane, Self::Worker];

    /// The folder's name.
    const fn folder(self) -> &'static str {
        match self {
            Self::CloudInit => "cloud-init",
            Self::Common => "common",
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }

    /// The file system that it lands on.
    const fn volume(self) -> Volume {
        match self {
            Self::CloudInit => Volume::Boot,
            Self::Common | Self::ControlPlane | Self::Worker => Volume::Root,
        }
    }

    /// Whether there is a node, and a file system of it, that gets both.
    fn shares(self, other: Self) -> bool {
        self == other || (self.volume() == other.volume() && (self == Self::Common || other == Self::Common))
    }

    /// Whether nodes of that role get it.
    const fn is_for(self, role: Role) -> bool {
        match self {
            Self::CloudInit | Self::Common => true,
            Self::ControlPlane => matches!(role, Role::ControlPlane),
            Self::Worker => matches!(role, Role::Worker),
        }
    }
}

/// One thing that lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What it is.
    pub(super) kind: ItemKind,
    /// The file of this machine that it came from; `None` for pibake's own.
    pub(super) from: Option<PathBuf>,
    /// What the manifest says of it, or of the file of pibake's that it takes the place of.
    pub(super) policy: Option<FilePolicy>,
}

/// What an [`Item`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemKind {
    /// A file with this content.
    File {
        /// The bytes, which are those that land unless it is a template.
        content: Cow<'static, [u8]>,
        /// The content is a template.
        template: bool,
        /// Permission bits, unless the manifest's hold: 0755, 0644, 0700 or 0600.
        mode: u16,
    },
    /// A symbolic link with this text.
    Symlink(String),
    /// A directory with nothing in it, or one that others are kept out of: made with these
    /// permission bits where there is none.
    Directory(u16),
}

/// All that lands, by layer and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlays {
    items: BTreeMap<(Layer, ImagePath), Item>,
}

impl Overlays {
    /// Pibake's own.
    pub(super) fn built_in() -> Self {
        let item = |file: &BuiltIn| {
            let content = Cow::Borrowed(file.content);
            let kind = ItemKind::File { content, template: file.template, mode: file.policy.access.mode };
            let item = Item { kind, from: None, policy: Some(file.policy) };
            // The folder is pibake's own, and a test goes through all of its names.
            ImagePath::new(file.path).ok().map(|path| ((file.layer, path), item))
        };
        Self { items: BUILT_IN.iter().filter_map(item).collect() }
    }

    /// Pibake's own, with those in `dir` in their place and on top.
    pub fn with_dir(dir: &Path) -> Result<Self, OverlayError> {
        let mut found = BTreeMap::new();
        let mut room = MAX_OVERLAY_BYTES;
        for (name, path) in entries(dir)? {
            let layer = Layer::ALL.into_iter().find(|layer| layer.folder() == name && path.is_dir());
            let Some(layer) = layer else { return Err(OverlayError::NoLayer { path }) };
            let mut walk = Walk { layer, dir, room: &mut room, found: &mut found };
            walk.folder(&path, &ImagePath::root())?;
        }
        let mut all = Self::built_in();
        for ((layer, path), mut item) in found {
            if let Some(from) = &item.from
                && let Some(place) = all.other_kind(layer, &path, &item.kind)
            {
                return Err(OverlayError::OtherKind { path: from.clone(), place: place.clone() });
            }
            item.policy = all.replace(layer, &path);
            all.items.insert((layer, path), item);
        }
        Ok(all)
    }

    /// The path of a file of pibake's that `kind` at `path` leaves no place for: a folder where the file is to be, or
    /// something else where its folder is to be. A link may lead to a folder.
    fn other_kind(&self, layer: Layer, path: &ImagePath, kind: &ItemKind) -> Option<&ImagePath> {
        let is_folder = matches!(kind, ItemKind::Directory(_));
        let is_file = matches!(kind, ItemKind::File { .. });
        let clash = |place: &ImagePath| {
            (is_folder && place == path)
                || path_below(path, place.as_str())
                || (is_file && path_below(place, path.as_str()))
        };
        let own = self.items.iter().filter(|((other, _), item)| item.from.is_none() && other.shares(layer));
        own.map(|((_, place), _)| place).find(|place| clash(place))
    }

    /// A user's file lands instead of pibake's own at the same path, whichever layer that is in.
    /// Gives what the manifest says of that one.
    fn replace(&mut self, layer: Layer, path: &ImagePath) -> Option<FilePolicy> {
        let mut policy = None;
        self.items.retain(|&(other, ref place), item| {
            let beaten = place == path
                && item.from.is_none()
                && (other == layer || (layer == Layer::Common && other.volume() == Volume::Root));
            if beaten {
                policy = item.policy;
            }
            !beaten
        });
        policy
    }

    /// What lands on a node of that role: of two layers with the same path, the role's.
    pub(super) fn for_role(&self, role: Role) -> impl Iterator<Item = (Volume, &ImagePath, &Item)> {
        let mut landing = BTreeMap::new();
        for ((layer, path), item) in &self.items {
            if layer.is_for(role) {
                landing.insert((layer.volume(), path), item);
            }
        }
        landing.into_iter().map(|((volume, path), item)| (volume, path, item))
    }
}

struct Walk<'a> {
    layer: Layer,
    dir: &'a Path,
    room: &'a mut u64,
    found: &'a mut BTreeMap<(Layer, ImagePath), Item>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, at: &ImagePath) -> Result<(), OverlayError> {
        for (name, path) in entries(folder)? {
            let meta = fs::symlink_metadata(&path).map_err(|source| read_error(&path, source))?;
            let boot = self.layer.volume() == Volume::Boot;
            let place = |name: &str| {
                at.join(name).map_err(|e| OverlayError::Name { path: path.clone(), reason: e.to_string() })
            };
            let mode = meta.permissions().mode();
            if boot {
                fat_name(&path, &name)?;
            }
            if meta.is_dir() {
                let place = place(&name)?;
                let mode = baked_mode(mode);
                let empty = entries(&path)?.is_empty();
                if empty || (mode & 0o077 == 0 && !boot) {
                    self.add(&path, place.clone(), ItemKind::Directory(mode))?;
                }
                self.folder(&path, &place)?;
            } else if meta.is_symlink() && name.ends_with(TEMPLATE) {
                return Err(OverlayError::LinkedTemplate { path });
            } else if meta.is_symlink() && !boot {
                let target = fs::read_link(&path).map_err(|source| read_error(&path, source))?;
                let target = unicode(&path, target.as_os_str())?;
                self.add(&path, place(&name)?, ItemKind::Symlink(target))?;
            } else if meta.is_file() {
                if mode & 0o6000 != 0 {
                    return Err(OverlayError::SetId { path });
                }
                let content = self.content(&path)?;
                // One ending is the template's; what is left may end like it, and is a name.
                let bare = name.strip_suffix(TEMPLATE).filter(|bare| !bare.is_empty());
                let mode = baked_mode(mode);
                if boot && mode & 0o077 == 0 {
                    return Err(OverlayError::PrivateOnBoot { path });
                }
                let kind = ItemKind::File { content: content.into(), template: bare.is_some(), mode };
                self.add(&path, place(bare.unwrap_or(&name))?, kind)?;
            } else {
                return Err(OverlayError::Kind { path, boot });
            }
        }
        Ok(())
    }

    fn content(&mut self, path: &Path) -> Result<Vec<u8>, OverlayError> {
        use io::Read;
        let mut content = Vec::new();
        let read = fs::File::open(path)
            .and_then(|file| file.take(*self.room + 1).read_to_end(&mut content))
            .map_err(|source| read_error(path, source))?;
        let used = u64::try_from(read).unwrap_or(u64::MAX);
        *self.room =
            self.room.checked_sub(used).ok_or_else(|| OverlayError::TooLarge { dir: self.dir.to_owned() })?;
        Ok(content)
    }

    fn add(&mut self, path: &Path, place: ImagePath, kind: ItemKind) -> Result<(), OverlayError> {
        if let Some(instead) = reserved(self.layer.volume(), &place) {
            return Err(OverlayError::Reserved { path: path.to_owned(), instead });
        }
        let same =
            |at: &ImagePath| at != &place && at.as_str().to_lowercase() == place.as_str().to_lowercase();
        if self.layer.volume() == Volume::Boot
            && let Some((_, other)) =
                self.found.iter().find(|((layer, at), _)| *layer == self.layer && same(at))
        {
            let other = other.from.clone().unwrap_or_default();
            return Err(OverlayError::SameName { path: path.to_owned(), other });
        }
        let item = Item { kind, from: Some(path.to_owned()), policy: None };
        match self.found.insert((self.layer, place), item) {
            None => Ok(()),
            Some(_) => Err(OverlayError::Twice { path: path.to_owned() }),
        }
    }
}

/// Names and paths of what is in `folder`, in the order of their names.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, OverlayError> {
    let failed = |source| read_error(folder, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_owned();
        found.push((unicode(&path, &name)?, path));
    }
    found.sort();
    Ok(found)
}

fn unicode(path: &Path, text: &std::ffi::OsStr) -> Result<String, OverlayError> {
    text.to_str()
        .map(str::to_owned)
        .ok_or_else(|| OverlayError::Name { path: path.to_owned(), reason: "it is not Unicode".to_owned() })
}

fn read_error(path: &Path, source: io::Error) -> OverlayError {
    OverlayError::Read { path: path.to_owned(), source }
}

//! The two file systems of an image, under way from a base to what is baked.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::access::access_of;
use super::check::{Expected, SHARED_MODE};
use super::error::Error;
use super::large_file::LargeFile;
use super::own_disk::OwnDisk;
use super::{kernel_line, links};
use crate::boards::Board;
use crate::disk::{Cached, OVERLAY_BLOCK, Overlay, ReadAt};
use crate::fs::ext4::Ext4;
use crate::fs::fat::{Clock, Fat};
use crate::fs::layout::Layout;
use crate::fs::{self, Attributes, FileKind, FsEdit, Metadata};
use crate::image_path::ImagePath;
use crate::recipe::{Access, Action, Change, Volume};

/// A base whose small pieces are read once.
pub(super) fn cached(base: Arc<dyn ReadAt>) -> Arc<dyn ReadAt> {
    Arc::new(Cached::new(base, OVERLAY_BLOCK))
}

/// The editors are other people's code over bytes from outside. A panic of theirs leaves the overlay
/// half changed, and it is thrown away with all else that they touched.
pub(super) fn catching<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(Error::Panicked(text.to_owned()))
    })
}

/// The two file systems under way, and what must be true of them at the end.
pub(super) struct ImageEditor {
    pub(super) boot: Box<dyn FsEdit>,
    pub(super) root: Box<dyn FsEdit>,
    expected: BTreeMap<(Volume, ImagePath), Expected>,
    /// Directories that were seen or made, and not removed since: most changes share theirs.
    directories: BTreeSet<(Volume, ImagePath)>,
    /// Where changes were made, and how the recipe calls the path: two of its paths may be one in an
    /// image with links.
    changed: BTreeMap<(Volume, ImagePath), ImagePath>,
    now: i64,
}

impl ImageEditor {
    /// Opens both file systems in `device`, so that neither is edited if the other must not be. Files of so many
    /// `bytes` are to be put there besides small ones.
    pub(super) fn open<D: ReadAt + 'static>(
        device: &Arc<Overlay<D>>,
        layout: &Layout,
        bytes: u64,
        clock: &'static Clock,
    ) -> Result<Self, Error> {
        let now = clock.seconds();
        let on = |volume| move |source| Error::FileSystem { volume, source };
        let boot = layout.boot.open(Arc::clone(device)).and_then(|p| Fat::open(p, clock));
        let root = layout.root.open(Arc::clone(device)).and_then(|p| Ext4::open_for(p, now, bytes));
        Ok(Self {
            boot: Box::new(boot.map_err(on(Volume::Boot))?),
            root: Box::new(root.map_err(on(Volume::Root))?),
            expected: BTreeMap::new(),
            directories: BTreeSet::new(),
            changed: BTreeMap::new(),
            now,
        })
    }

    fn on(&self, volume: Volume) -> &dyn FsEdit {
        match volume {
            Volume::Boot => self.boot.as_ref(),
            Volume::Root => self.root.as_ref(),
        }
    }

    fn attributes(&self, access: Access) -> Attributes {
        Attributes { mode: access.mode, uid: access.uid, gid: access.gid, mtime: self.now }
    }

    pub(super) fn apply(&mut self, change: &Change, own: &OwnDisk) -> Result<(), Error> {
        self.change(change, own).map_err(|source| Error::FileSystem { volume: change.volume, source })
    }

    fn change(&mut self, Change { volume, path, action }: &Change, own: &OwnDisk) -> Result<(), fs::Error> {
        let path = &self.place(*volume, path, action)?;
        if !matches!(action, Action::Remove | Action::Fstab) {
            self.make_parents(*volume, path)?;
        }
        let fs = self.on(*volume);
        let expected = match action {
            Action::Write { content, access, secrecy } => {
                fs.write(path, &mut content.as_slice(), self.attributes(*access))?;
                Expected::File { content: content.clone(), access: *access, secret: secrecy.is_secret() }
            }
            Action::Directory { access } => {
                let access = match fs.metadata(path)? {
                    // What uses it relies on its owner and mode.
                    Some(found @ Metadata { kind: FileKind::Directory, .. }) => {
                        access_of(&found).unwrap_or(*access)
                    }
                    Some(_) => {
                        return Err(fs::Error::path(path, "is not a directory, and one is needed there"));
                    }
                    None => {
                        fs.create_dir(path, self.attributes(*access))?;
                        *access
                    }
                };
                Expected::Directory { access }
            }
            Action::Symlink { target } => {
                fs.symlink(path, target)?;
                Expected::Symlink { target: target.clone() }
            }
            Action::Remove => {
                fs::remove_all(fs, path)?;
                let below = format!("{path}/");
                let stays = |v: &Volume, p: &ImagePath| v != volume || !p.as_str().starts_with(&below);
                self.expected.retain(|(v, p), _| stays(v, p));
                self.directories.retain(|(v, p)| stays(v, p) && (v, p) != (volume, path));
                Expected::Absent
            }
            Action::Fstab => match own.edited_fstab(fs, path)? {
                Some((content, access)) => {
                    fs.write(path, &mut content.as_slice(), self.attributes(access))?;
                    Expected::File { content, access, secret: false }
                }
                None => return Ok(()),
            },
            Action::KernelArguments { line, set, unset } => {
                let line = kernel_line::edited(fs, path, line.as_deref(), set, unset, own)?;
                let access = Access::root(0o644);
                fs.write(path, &mut line.as_bytes(), self.attributes(access))?;
                Expected::File { content: line.into_bytes(), access, secret: false }
            }
        };
        self.expected.insert((*volume, path.clone()), expected);
        Ok(())
    }

    /// Edits every file that the firmware of this board, or of any, may take the kernel's command line from.
    pub(super) fn set_arguments(
        &mut self,
        change: &Change,
        board: Option<Board>,
        own: &OwnDisk,
    ) -> Result<(), Error> {
        let boot = self.boot.as_ref();
        kernel_line::refuse_pending(boot, change, board)?;
        let lines = kernel_line::files(boot, change, board)?;
        lines.into_iter().try_for_each(|path| self.apply(&Change { path, ..change.clone() }, own))
    }

    /// Where in this image the recipe's `path` lies.
    fn place(&mut self, volume: Volume, path: &ImagePath, action: &Action) -> Result<ImagePath, fs::Error> {
        // FAT has no links.
        if volume == Volume::Boot {
            return Ok(path.clone());
        }
        let place = match action {
            Action::Directory { .. } => links::resolve(self.root.as_ref(), path)?,
            _ => links::resolve_parents(self.root.as_ref(), path)?,
        };
        match self.changed.insert((volume, place.clone()), path.clone()) {
            Some(other) if other != *path => {
                let why =
                    format!("is {place} in this image, and so is {other}: only one of them can be baked");
                Err(fs::Error::path(path, why))
            }
            _ => Ok(place),
        }
    }

    /// Makes the directories above `path` that are not there.
    fn make_parents(&mut self, volume: Volume, path: &ImagePath) -> Result<(), fs::Error> {
        let access = Access::root(0o755);
        for parent in path.ancestors() {
            if self.directories.contains(&(volume, parent.clone())) {
                continue;
            }
            let fs = self.on(volume);
            match fs.metadata(&parent)?.map(|m| m.kind) {
                Some(FileKind::Directory) => {}
                Some(_) => {
                    let why = format!("is not a directory, and {path} is to be put below it");
                    return Err(fs::Error::path(&parent, why));
                }
                None => {
                    fs.create_dir(&parent, self.attributes(access))?;
                    self.expected.insert((volume, parent.clone()), Expected::Directory { access });
                }
            }
            self.directories.insert((volume, parent));
        }
        Ok(())
    }

    /// Puts a file where the recipe of a node may have one, too.
    pub(super) fn lay(&mut self, file: &LargeFile<'_>) -> Result<(), Error> {
        let on_root = |source| Error::FileSystem { volume: Volume::Root, source };
        let access = Access::root(SHARED_MODE);
        // any action but that of a directory: a link in the last part is replaced
        let path = self.place(Volume::Root, &file.path, &Action::Remove).map_err(on_root)?;
        self.make_parents(Volume::Root, &path).map_err(on_root)?;
        let mut source = file.source()?;
        let written = self.root.write(&path, &mut source, self.attributes(access));
        let (checksums, len) = source.finish()?;
        written.map_err(on_root)?;
        self.expected.insert((Volume::Root, path), Expected::Large { checksums, len });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<BTreeMap<(Volume, ImagePath), Expected>, Error> {
        let on = |volume| move |source| Error::FileSystem { volume, source };
        self.boot.finish().map_err(on(Volume::Boot))?;
        self.root.finish().map_err(on(Volume::Root))?;
        Ok(self.expected)
    }
}

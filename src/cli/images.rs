//! Whose images are in a folder: those of one cluster never take the place of another's.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::baked::baked;
use super::gitignore::close_to_git;
use crate::error::{Doing, DoingAs, ErrorClass, Failure};
use crate::identity::Identity;
use crate::image_reader::ImageReader;
use crate::io::atomic::remove_remnants;
use crate::io::folder::keeps_modes;
use crate::io::{FileLock, Folder, Owner};
use crate::workflow::{Control, Warning};

/// Says of each image in the folder which cluster it is of.
const LIST: &str = ".pibake-images.toml";
/// Held while the list is written.
const LOCK: &str = ".pibake-images.lock";
/// A list is shorter.
const LIST_MAX: u64 = 1 << 20;
/// So is what is looked at in an image that pibake baked.
const BAKED_MAX: u64 = 1 << 20;

/// The images in a folder, by file name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    #[serde(default)]
    images: BTreeMap<String, Entry>,
}

/// Which cluster an image is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The cluster's name.
    pub(super) cluster: String,
    /// The hash of its CA, which no two clusters share.
    pub(super) ca: String,
}

/// A folder that images of one cluster may be written to.
#[derive(Debug)]
pub(super) struct Images<'a> {
    dir: &'a Path,
    list: List,
}

impl Entry {
    /// The cluster with this identity.
    pub(super) fn of(identity: &Identity) -> Self {
        Self { cluster: identity.cluster.clone(), ca: identity.ca_hash.clone() }
    }
}

impl<'a> Images<'a> {
    /// Looks whether images of these names may be written to `dir`, for this cluster or for one that is still to be
    /// made. `usual`: nobody named the folder.
    pub(super) fn check(
        dir: &'a Path,
        usual: bool,
        files: &[String],
        own: Option<&Entry>,
        control: &Control,
    ) -> Result<Self, Failure> {
        let list = read(dir)?;
        for file in files {
            let other = match list.images.get(file) {
                Some(entry) => own.is_none_or(|own| own.ca != entry.ca),
                None => is_others(&dir.join(file), own),
            };
            if other {
                return Err(refused(&dir.join(file), list.images.get(file)));
            }
        }
        let other = list.images.iter().find(|(file, entry)| {
            own.is_none_or(|own| own.ca != entry.ca) && dir.join(file.as_str()).exists()
        });
        if let Some((file, entry)) = other {
            if usual {
                return Err(refused(&dir.join(file), Some(entry)));
            }
            control.warn(Warning::OthersImage { path: dir.join(file), cluster: entry.cluster.clone() });
        }
        Ok(Self { dir, list })
    }

    /// Closes the folder to git where it was made for the images, and says so where everybody can read it.
    pub(super) fn prepare(&self, is_new: bool, control: &Control) -> Result<(), Failure> {
        Self::close(self.dir, is_new, control)
    }

    /// The same of any folder that images go to.
    pub(super) fn close(dir: &Path, is_new: bool, control: &Control) -> Result<(), Failure> {
        let making = || format!("writing into the folder {}", dir.display());
        if is_new {
            let folder = Folder::open(dir).doing(making)?;
            close_to_git(&folder, "Images hold", 0o666, Owner::of_new_in(dir)).doing(making)?;
        }
        if let Ok(false) = keeps_modes(dir) {
            control.warn(Warning::NoModes { dir: dir.to_owned() });
        }
        Ok(())
    }

    /// Writes down that these images are there now.
    pub(super) fn record(
        mut self,
        files: &[String],
        entry: &Entry,
        control: &Control,
    ) -> Result<(), Failure> {
        let writing = || format!("writing {}", self.dir.join(LIST).display());
        // Builds in one folder at once must not take each other's lines away.
        let waits = || {
            let dir = self.dir.display();
            control.progress().wait(&format!(
                "another pibake is writing the list of images in {dir}; waiting for it (Ctrl-C cancels)"
            ));
        };
        let _lock = FileLock::take(&self.dir.join(LOCK), control.cancel(), waits).doing(writing)?;
        self.list = read(self.dir)?;
        let before = self.list.images.clone();
        self.list.images.retain(|file, _| self.dir.join(file).exists());
        self.list.images.extend(files.iter().map(|file| (file.clone(), entry.clone())));
        if self.list.images == before {
            return Ok(());
        }
        let text = toml::to_string(&self.list).doing_as(ErrorClass::Internal, writing)?;
        let folder = Folder::open(self.dir).doing(writing)?;
        remove_remnants(&folder, |name| name == LIST).doing(writing)?;
        folder.replace(LIST, text.as_bytes(), 0o666, Owner::of_new_in(self.dir)).doing(writing)
    }
}

fn refused(path: &Path, entry: Option<&Entry>) -> Failure {
    let whose = entry.map_or_else(String::new, |entry| format!(" ({:?})", entry.cluster));
    let text = format!(
        "{} is of another cluster{whose}, and stays: name another folder with -o; or move it away; or, if it is of \
         this cluster, put the .pibake that it was made with back",
        path.display()
    );
    Failure::refused(text)
}

fn read(dir: &Path) -> Result<List, Failure> {
    let reading = || format!("reading {}", dir.join(LIST).display());
    let Ok(folder) = Folder::open(dir) else { return Ok(List::default()) };
    let Some(bytes) = folder.read(LIST, LIST_MAX).doing(reading)? else { return Ok(List::default()) };
    let text = String::from_utf8(bytes).doing_as(ErrorClass::Damaged, reading)?;
    toml::from_str(&text)
        .doing_as(ErrorClass::Damaged, || format!("{}: remove it if nothing else helps", reading()))
}

/// Whether an image that no list names was baked by pibake for another cluster, as its own files say.
fn is_others(path: &Path, own: Option<&Entry>) -> bool {
    let Ok(image) = ImageReader::open(path) else { return false };
    let text = |path: &str| image.text(path, BAKED_MAX).ok().flatten();
    let Some(config) = text("/etc/pibake/kubeadm.yaml") else { return false };
    let Some(own) = own else { return true };
    match baked(&image).ok().flatten().and_then(|baked| baked.ca_hash) {
        Some(ca) => ca != own.ca,
        // of a version that did not say it itself
        None => !config.contains(&own.ca),
    }
}

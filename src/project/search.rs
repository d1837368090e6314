//! Which description is meant, and where its secrets are.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::io::{Owner, ownership};

/// The description's name, where none is given.
pub const FILE: &str = "pibake.toml";
/// The directory with the secrets, beside the description.
pub const STATE: &str = ".pibake";

/// A description's place, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The description, where there is one.
    pub file: Option<PathBuf>,
    /// The folder that it lies in, or would; empty for the one that the program runs in.
    pub dir: PathBuf,
    /// Where its secrets are.
    pub state: PathBuf,
    /// Where its images go, unless told otherwise.
    pub images: PathBuf,
}

impl Place {
    /// The place of the description at `path`, which was named.
    ///
    /// # Errors
    /// [`Error::NoConfig`] where nothing is there.
    pub fn named(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::NoConfig { path: path.to_owned() });
        }
        Ok(Self::of(path))
    }

    /// The place of the description that is meant where none is named: in this folder or the nearest
    /// one above with a pibake.toml or the secrets of one, up to the user's home or the end of the file
    /// system. Without any it is this folder.
    ///
    /// # Errors
    /// [`Error::Slip`] where there is no description but a file with nearly its name, [`Error::Stranger`] where
    /// it is another user's.
    pub fn search() -> Result<Self, Error> {
        let here = std::env::current_dir().map_err(Error::Here)?;
        let place = find(&here, ownership::home().as_deref())?;
        // the secrets alone are there where the description was renamed
        let dir = place.as_deref().unwrap_or(&here);
        if !dir.join(FILE).exists()
            && let Some(found) = slip(dir)
        {
            return Err(Error::Slip { found });
        }
        // as the user sees it from here
        let dir = place.filter(|found| *found != here).map(|found| above(&here, &found));
        Ok(Self::within(&dir.unwrap_or_default()))
    }

    /// The place of the pibake.toml in `dir`, whether it is there or not.
    fn within(dir: &Path) -> Self {
        let file = dir.join(FILE);
        Self { file: file.exists().then(|| file.clone()), ..Self::of(&file) }
    }

    fn of(file: &Path) -> Self {
        let dir = file.parent().unwrap_or(Path::new("")).to_owned();
        // two names that are not UTF-8 are two clusters
        let name = |usual: &str| {
            let mut name = OsString::from(usual);
            if let Some(own) = own_name(file) {
                name.push("-");
                name.push(own);
            }
            dir.join(name)
        };
        Self { state: name(STATE), images: name("images"), file: Some(file.to_owned()), dir }
    }

    /// The description's file name.
    pub fn name(&self) -> String {
        let name = self.file.as_deref().and_then(Path::file_name);
        name.map_or_else(|| FILE.to_owned(), |name| name.to_string_lossy().into_owned())
    }
}

/// What sets the folders of a description apart from those of the pibake.toml beside it; `None` for
/// that itself.
fn own_name(file: &Path) -> Option<&OsStr> {
    if file.file_name()? == FILE {
        return None;
    }
    let toml = file.extension().is_some_and(|extension| extension == "toml");
    if toml { file.file_stem() } else { file.file_name() }
}

/// The nearest folder from `here` upwards that is a project's.
fn find(here: &Path, home: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    let device = |dir: &Path| dir.metadata().map(|found| found.dev());
    let start = device(here).map_err(Error::Here)?;
    let home = home.and_then(|home| home.canonicalize().ok());
    for dir in here.ancestors() {
        // Another file system is somebody else's place: a mount, a container's root.
        if device(dir).ok() != Some(start) {
            break;
        }
        // What lies in /tmp is nobody's project but for those who work in it.
        if dir != here && dir.metadata().is_ok_and(|found| found.mode() & 0o002 != 0) {
            continue;
        }
        let found = [FILE, STATE].iter().map(|name| dir.join(name)).find(|path| path.exists());
        if let Some(found) = found {
            if dir != here {
                refuse_stranger(&found)?;
            }
            return Ok(Some(dir.to_owned()));
        }
        if home.as_deref() == Some(dir) {
            break;
        }
    }
    Ok(None)
}

/// A description of somebody else's in a folder above must not decide what is made
/// here.
fn refuse_stranger(path: &Path) -> Result<(), Error> {
    let owner = std::fs::symlink_metadata(path).map_err(Error::Here)?.uid();
    let me = rustix::process::geteuid().as_raw();
    let caller = Owner::caller().map(|caller| caller.uid);
    if owner == me || owner == 0 || Some(owner) == caller {
        return Ok(());
    }
    Err(Error::Stranger { path: path.to_owned(), owner })
}

/// `found` as seen from `here`, which is below it.
fn above(here: &Path, found: &Path) -> PathBuf {
    let steps = here.strip_prefix(found).map_or(0, |below| below.components().count());
    std::iter::repeat_n("..", steps).collect()
}

/// A file that was probably meant to be the description.
fn slip(dir: &Path) -> Option<PathBuf> {
    const ENDINGS: [&str; 4] = ["pibake.yaml", "pibake.yml", "pibake.json", "pibake.toml.txt"];
    let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>).ok()?;
    let files = entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut near: Vec<String> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            let lower = name.to_lowercase();
            ENDINGS.contains(&lower.as_str()) || strsim::osa_distance(&lower, FILE) <= 2
        })
        .collect();
    near.sort_by_key(|name| strsim::osa_distance(&name.to_lowercase(), FILE));
    near.first().map(|name| dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_one_above_is_taken_up_to_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap().join("home");
        let deep = home.join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(find(&deep, Some(&home)).unwrap(), None);
        fs::write(home.parent().unwrap().join(FILE), "").unwrap();
        assert_eq!(find(&deep, Some(&home)).unwrap(), None, "beyond home");
        fs::write(home.join(FILE), "").unwrap();
        assert_eq!(find(&deep, Some(&home)).unwrap(), Some(home.clone()));
        fs::create_dir(home.join("a").join(STATE)).unwrap();
        assert_eq!(find(&deep, Some(&home)).unwrap(), Some(home.join("a")), "secrets without a description");
        assert_eq!(above(&deep, &home.join("a")), Path::new("../.."));
    }

    #[test]
    fn slips_of_the_name_are_told_from_other_files() {
        for (name, is_slip) in [
            ("pibake.tml", true),
            ("Pibake.toml", true),
            ("pibake.toml.txt", true),
            ("pibake.yaml", true),
            ("pibak.toml", true),
            ("pibake.lock", false),
            ("cluster.toml", false),
            ("pibake.example.toml", false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(slip(dir.path()).is_some(), is_slip, "{name}");
        }
    }

    #[test]
    fn each_description_has_folders_of_its_own() {
        let state = |file: &str| Place::of(Path::new(file)).state;
        assert_eq!(state("pibake.toml"), Path::new(".pibake"));
        assert_eq!(state("a/pibake.toml"), Path::new("a/.pibake"));
        assert_eq!(state("a/attic.toml"), Path::new("a/.pibake-attic"));
        assert_ne!(state("attic"), state("pibake.toml"));
        let odd = |name: &[u8]| {
            Place::of(Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name))).state
        };
        assert_ne!(odd(b"\xff.toml"), odd(b"\xfe.toml"));
        assert_eq!(Place::of(Path::new("x/attic.toml")).images, Path::new("x/images-attic"));
    }
}

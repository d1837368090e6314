//! Where the kernel's own tables of drives are.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A machine whose drives can be asked for.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    /// The tables of another one, in files.
    pub(super) recorded: bool,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        Self { root: PathBuf::from("/"), recorded: false }
    }

    /// One whose `/sys`, `/proc`, `/run` and `/dev` are below `root`. Device files are plain files
    /// there, for making others takes root.
    #[must_use]
    pub fn recorded(root: &Path) -> Self {
        Self { root: root.to_owned(), recorded: true }
    }

    /// Where a path of the machine's is found.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        if !self.recorded {
            return path.to_owned();
        }
        let inside = path.components().filter(|c| !matches!(c, Component::RootDir));
        self.root.join(inside.collect::<PathBuf>())
    }

    /// A path of the machine's, without links.
    pub(super) fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let real = fs::canonicalize(self.at(path))?;
        if !self.recorded {
            return Ok(real);
        }
        let root = fs::canonicalize(&self.root)?;
        let inside = real.strip_prefix(&root).map_err(io::Error::other)?;
        Ok(Path::new("/").join(inside))
    }

    /// One of the kernel's tables.
    pub(super) fn text(&self, path: &str) -> io::Result<String> {
        match fs::read(self.at(Path::new(path))) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            // a kernel without swap has no such table
            Err(e) if e.kind() == io::ErrorKind::NotFound && path == "/proc/swaps" => Ok(String::new()),
            Err(e) => Err(io::Error::new(e.kind(), format!("reading {path}: {e}"))),
        }
    }
}

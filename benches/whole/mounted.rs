//! File systems mounted by the kernel, as root, until dropped.

use std::fs;
use std::path::{Path, PathBuf};

use support::{run, tool};

/// A mounted file system.
pub struct Mounted(PathBuf);

impl Mounted {
    /// A new XFS of `size` bytes in a sparse file in `dir`.
    pub fn xfs(dir: &Path, size: u64) -> Self {
        let disk = dir.join("xfs");
        fs::File::create(&disk).and_then(|f| f.set_len(size)).expect("a file for XFS");
        run(tool("mkfs.xfs", "xfsprogs").args(["-q", "-m", "reflink=1"]).arg(&disk));
        Self::loop_at(&disk, None, &dir.join("mounted"))
    }

    /// The file system in `image`, or the one in these bytes of it, at `at`, which is made.
    pub fn loop_at(image: &Path, part: Option<(u64, u64)>, at: &Path) -> Self {
        fs::create_dir_all(at).expect("a mount point");
        let options = match part {
            None => "loop".to_owned(),
            Some((offset, len)) => format!("loop,offset={offset},sizelimit={len}"),
        };
        run(tool("mount", "mount").args(["-o", &options]).args([image, at]));
        Self(at.to_owned())
    }

    pub fn at(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = tool("umount", "mount").arg(&self.0).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

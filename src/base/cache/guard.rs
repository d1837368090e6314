//! Whether nobody else can change what the cache holds.
//!
//! An image in the cache is baked without being read in full first, so whoever can write to it decides
//! what runs on the nodes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::base::{Error, Result};
use crate::io::Owner;

/// Write permission for the group and for others.
const OTHERS_WRITE: u32 = 0o022;

/// Refuses what others can write to, or what belongs to another user. `cache` is the folder that the
/// remedy is for.
pub(crate) fn check(path: &Path, found: &Metadata, cache: &Path) -> Result<()> {
    if !is_trusted(found.uid()) {
        return Err(Error::NotOurs {
            path: path.to_owned(),
            owner: found.uid(),
            user: user(),
            cache: cache.to_owned(),
        });
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(Error::Writable {
            path: path.to_owned(),
            mode: found.mode() & 0o7777,
            cache: cache.to_owned(),
        });
    }
    Ok(())
}

/// Whether [`check`] would pass it.
pub(crate) fn is_safe(found: &Metadata) -> bool {
    is_trusted(found.uid()) && found.mode() & OTHERS_WRITE == 0
}

/// Whose a cache should be that this process uses.
fn user() -> u32 {
    Owner::caller().map_or_else(|| rustix::process::geteuid().as_raw(), |caller| caller.uid)
}

/// This user, root, and, for root, the user who called sudo.
fn is_trusted(owner: u32) -> bool {
    let me = rustix::process::geteuid();
    owner == me.as_raw() || owner == 0 || Owner::caller().is_some_and(|caller| caller.uid == owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_can_write_to_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "").unwrap();
        for (mode, good) in [(0o444, true), (0o700, true), (0o644, true), (0o664, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let checked = check(&path, &std::fs::metadata(&path).unwrap(), dir.path());
            assert_eq!(checked.is_ok(), good, "{mode:o}");
            if let Err(error) = checked {
                let remedy = format!("chmod -R go-w {}", dir.path().display());
                assert!(error.to_string().contains(&remedy), "{error}");
            }
        }
    }
}

//! Where a path of the recipe really lies: links in an image are followed as the node will follow
//! them, `/lib` to `/usr/lib`, and never out of the image.

use std::collections::VecDeque;

use crate::fs::{Error, FileKind, FsRead, TARGET_MAX};
use crate::image_path::ImagePath;

/// Links that are followed on the way to one path; the kernel ends with ELOOP after as many
/// (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// `path` with no link in the folders above it. What is at the path itself is not followed.
///
/// # Errors
/// [`Error::Path`] for links in a circle; what `fs` answers.
pub(super) fn resolve_parents(fs: &dyn FsRead, path: &ImagePath) -> Result<ImagePath, Error> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => join(path, &resolve(fs, &parent)?, name),
        _ => Ok(path.clone()),
    }
}

/// `path` with no link in it. Parts that are not there are no links.
///
/// # Errors
/// As [`resolve_parents`].
pub(super) fn resolve(fs: &dyn FsRead, path: &ImagePath) -> Result<ImagePath, Error> {
    let mut at = ImagePath::root();
    let mut rest: VecDeque<String> = path.components().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            // Above the root there is the root.
            ".." => {
                at = at.parent().unwrap_or(at);
                continue;
            }
            _ => {}
        }
        let next = join(path, &at, &part)?;
        if fs.metadata(&next)?.is_none_or(|found| found.kind != FileKind::Symlink) {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Error::path(path, format!("{next} is a link that leads in a circle")));
        }
        let target = String::from_utf8(fs.content(&next, TARGET_MAX)?)
            .map_err(|_| Error::path(path, format!("{next} is a link to a name that is not UTF-8")))?;
        if target.starts_with('/') {
            at = ImagePath::root();
        }
        for part in target.split('/').rev() {
            rest.push_front(part.to_owned());
        }
    }
    Ok(at)
}

fn join(whole: &ImagePath, folder: &ImagePath, name: &str) -> Result<ImagePath, Error> {
    folder.join(name).map_err(|e| Error::path(whole, e.to_string()))
}

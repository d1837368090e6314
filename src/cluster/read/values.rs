//! Values that several sections have.

use std::path::{Path, PathBuf};

use crate::cluster::toml::Field;

/// A path as the user wrote it, from `dir` on; `~/` is the user's home.
pub(super) fn path(dir: &Path, text: &str) -> PathBuf {
    match text.strip_prefix("~/").map(|rest| (rest, crate::io::ownership::home())) {
        Some((rest, Some(home))) => home.join(rest),
        // The folder of that name is not what is meant: it is told as missing.
        _ => dir.join(text),
    }
}

/// The path of a field, where a file (or directory) is there and can be read.
pub(super) fn existing(field: Field<'_, '_, String>, dir: &Path, directory: bool) -> Option<PathBuf> {
    field.check(|text| {
        let path = path(dir, text);
        let found = std::fs::metadata(&path).map_err(|e| format!("reading {}: {e}", path.display()))?;
        if found.is_dir() != directory {
            let wanted = if directory { "directory" } else { "file" };
            return Err(format!("{} is no {wanted}", path.display()));
        }
        Ok(path)
    })
}

//! The kernel modules that a node cannot be without.

use super::error::Error;
use super::links;
use crate::fs::{self, FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Recipe, Volume};

/// Where the kernel's modules are looked for (modprobe(8)); /lib is a link on most systems.
const FOLDER: &str = "/lib/modules";

/// The lists of what there is and of what is part of the kernel itself, in a folder for each kernel (depmod(8)).
const LISTS: [&str; 2] = ["modules.dep", "modules.builtin"];

/// The longest list that is read. Ubuntu's have some 300 kB.
const LIST_MAX: u64 = 8 << 20;

/// Refuses a base whose kernels lack a module that `recipe` needs. Nothing is said of one without any list of modules.
///
/// # Errors
/// [`Error::KernelModule`], and those of reading the base.
pub(super) fn check(root: &dyn FsRead, recipe: &Recipe) -> Result<(), Error> {
    if recipe.modules.is_empty() {
        return Ok(());
    }
    let lists = lists(root).map_err(|source| Error::FileSystem { volume: Volume::Root, source })?;
    let is_there = |module: &str| {
        let end = format!("/{module}.ko");
        lists.iter().any(|list| list.split([' ', ':', '\n']).any(|path| path.contains(&end)))
    };
    match recipe.modules.iter().find(|module| !lists.is_empty() && !is_there(module.name)) {
        Some(module) => Err(Error::KernelModule { name: module.name, setting: module.setting }),
        None => Ok(()),
    }
}

fn lists(root: &dyn FsRead) -> Result<Vec<String>, fs::Error> {
    let mut lists = Vec::new();
    let path = |text: String| {
        ImagePath::new(text).map_err(|error| fs::Error::path(&ImagePath::root(), error.to_string()))
    };
    let folder = links::resolve(root, &path(FOLDER.to_owned())?)?;
    if root.metadata(&folder)?.is_none_or(|found| found.kind != FileKind::Directory) {
        return Ok(lists);
    }
    let is_file = |path: &ImagePath| -> Result<bool, fs::Error> {
        Ok(root.metadata(path)?.is_some_and(|found| found.kind == FileKind::File))
    };
    for name in root.names(&folder)? {
        let kernel = path(format!("{folder}/{name}"))?;
        // nothing is below what lies beside the kernels' folders
        if is_file(&kernel)? {
            continue;
        }
        for list in LISTS {
            let list = path(format!("{kernel}/{list}"))?;
            if is_file(&list)? {
                lists.push(String::from_utf8_lossy(&root.content(&list, LIST_MAX)?).into_owned());
            }
        }
    }
    Ok(lists)
}

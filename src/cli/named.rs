//! Images and drives that somebody named and that are not there: what was probably meant.

use std::path::{Path, PathBuf};

use super::fleets::{self, FleetFlags};
use super::session::Session;
use crate::error::Failure;
use crate::io::nearest;
use crate::project::Place;
use crate::workflow::image::{self, Looked};
use crate::workflow::{NodeSelector, is_bill};

/// Opens an image or a card for looking into it.
pub(super) fn look(path: &Path, session: &Session) -> Result<Looked, Failure> {
    check_there(path, session)?;
    // what is unpacked is also taken away when the run is cancelled; else Ctrl-C just ends the program
    if image::is_packed(path)? {
        session.listen()?;
    }
    image::look(path, &session.control)
}

/// The same, where a node that is in a registry may be named as well.
pub(super) fn look_anywhere(path: &Path, flags: &FleetFlags, session: &Session) -> Result<Looked, Failure> {
    match fleets::named(path)? {
        Some(name) => Ok(fleets::look(&name, flags, session)?.0),
        None => look(path, session),
    }
}

/// Refuses a path at which nothing is, and says what was probably meant.
pub(super) fn check_there(path: &Path, session: &Session) -> Result<(), Failure> {
    // what else may be wrong with it is told by whoever opens it
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let place = session.config.as_deref().map_or_else(Place::search, Place::named);
            let images = place.ok().map(|place| place.images);
            Err(Failure::usage(format!(
                "{} does not exist{}",
                path.display(),
                meant(path, images.as_deref())
            )))
        }
        _ => Ok(()),
    }
}

/// What was probably meant by `path`, at which nothing is: an image of the node of that name or number, in the folder
/// that images go to; a file with nearly its name; a drive.
fn meant(path: &Path, images: Option<&Path>) -> String {
    if path.starts_with("/dev") {
        return "; pibake drives lists the drives".to_owned();
    }
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return String::new() };
    if let Some(images) = images.filter(|_| path.components().count() == 1)
        && let Some(image) = of_node(name, images)
    {
        return format!(": did you mean {}?", image.display());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let names = names(dir.unwrap_or(Path::new(".")));
    let near = nearest(name, names.iter().map(String::as_str));
    let near = near.map(|near| dir.map_or_else(|| PathBuf::from(near), |dir| dir.join(near)));
    near.map_or_else(String::new, |near| format!(": did you mean {}?", near.display()))
}

/// The image in a folder of images that belongs to `node`, a name or a number.
fn of_node(node: &str, images: &Path) -> Option<PathBuf> {
    let selector: NodeSelector = node.parse().unwrap_or_else(|never| match never {});
    let node = match selector {
        NodeSelector::Number(number) => format!("node-{number}"),
        NodeSelector::Name(name) => name,
    };
    let is_of = |file: &String| file.split_once('.').is_some_and(|(stem, _)| stem == node);
    let found = names(images).into_iter().find(|file| is_of(file) && !is_bill(file));
    found.map(|file| images.join(file))
}

/// The files in a folder, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_slips_and_drives_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        std::fs::create_dir(&images).unwrap();
        for name in [
            "node-1.card.spdx.json",
            "node-1.spdx.json",
            "node-1.img",
            "node-2.img.zst",
            "attic.qcow2",
            ".pibake-images.toml",
        ] {
            std::fs::write(images.join(name), "").unwrap();
        }
        let said =
            |path: &str| meant(Path::new(path), Some(&images)).replace(dir.path().to_str().unwrap(), "");
        assert_eq!(said("1"), ": did you mean /images/node-1.img?");
        assert_eq!(said("node-2"), ": did you mean /images/node-2.img.zst?");
        assert_eq!(said("attic"), ": did you mean /images/attic.qcow2?");
        assert_eq!(said("node-3"), "");
        assert_eq!(said("/dev/sdx"), "; pibake drives lists the drives");
        let slip = images.join("node1.img");
        assert_eq!(said(slip.to_str().unwrap()), ": did you mean /images/node-1.img?");
        assert_eq!(said(images.join("node-7.img").to_str().unwrap()), "");
    }
}

//! A card held against what was promised of it.

use std::io;

use super::card::Card;
use super::ordinary;
use super::outcome::{Difference, Ordinary, Verified};
use super::packages;
use super::promised::Promised;
use crate::bake::{Comparison, Known, OwnDisk};
use crate::base;
use crate::bill::Listed;
use crate::catalog::Digest;
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::node_paths::{BOOT_MOUNT, PAYLOAD};
use crate::recipe::{Access, Volume};
use crate::workflow::bills::seen_by_node;
use crate::workflow::{Control, Error};

/// Compares `image` with what was promised of it.
///
/// # Errors
/// That the run was cancelled; all that is wrong with the image is in what is returned.
pub fn verify(image: &ImageReader, promised: &Promised, control: &Control) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    let (boot, root, ids) = match (image.boot(), image.root(), image.partition_ids()) {
        (Ok(boot), Ok(root), Ok(ids)) => (boot, root, ids),
        (boot, root, ids) => {
            let faults = [
                ("the boot partition", boot.err()),
                ("the root file system", root.err()),
                ("the partition table", ids.err()),
            ];
            let faults =
                faults.into_iter().filter_map(|(what, error)| Some(Difference::unreadable(what, &error?)));
            verified.differences.extend(faults);
            return Ok(verified);
        }
    };
    let card = Card::of(image);
    verified.is_used = card.is_used();
    let bill = promised.bill.as_ref();
    let known = bill.map(known).unwrap_or_default();
    let preloaded: Vec<_> =
        known.iter().filter(|(_, preloaded)| *preloaded).map(|(known, _)| known).collect();
    let total: u64 = preloaded.iter().filter_map(|known| card.len(known)).sum();
    let step = control.progress().begin("reading the card", Some(total));
    let mut seen = |bytes: u64| -> io::Result<()> {
        control.cancel().check().map_err(io::Error::other)?;
        step.advance(bytes);
        Ok(())
    };
    let mut comparison = Comparison::new(boot.as_ref(), root.as_ref(), OwnDisk::new(ids), &mut seen);
    if let Some(recipe) = &promised.recipe {
        // a preloaded file stays where the recipe has one
        let is_other = |volume: Volume, path: &ImagePath| match bill {
            Some(_) => preloaded.iter().any(|known| (known.volume, &known.path) == (volume, path)),
            None => card.was_preloaded() && ordinary::is_keyring(path),
        };
        comparison.recipe(recipe, &is_other);
    }
    let known: Vec<Known> = known.into_iter().map(|(known, _)| known).collect();
    comparison.known(&known);
    let (findings, compared) = comparison.finish();
    control.cancel().check().map_err(base::Error::from)?;
    step.finish();
    verified.compared = compared;
    for finding in findings {
        let path = seen_by_node(finding.volume, &finding.path)?.to_string();
        let what = finding.differences.join("; ");
        match ordinary::why(&card, &finding, promised) {
            Some(why) => verified.ordinary.push(Ordinary { path, what, why }),
            None => verified.differences.push(Difference { path, what }),
        }
    }
    if let Some(bill) = bill {
        packages::compare(image, bill, &mut verified);
    }
    if bill.is_none() && card.was_preloaded() {
        verified.open.push(format!(
            "what was preloaded ({PAYLOAD}, the keys of repositories): only the bill of the card knows what it must be"
        ));
    }
    if promised.recipe.is_none() {
        verified.open.push("links, and what is in files with secrets: only the description of the cluster, with its .pibake, knows what they must be".to_owned());
    }
    Ok(verified)
}

/// What a bill knows, as it is compared, and whether it was preloaded.
fn known(bill: &Listed) -> Vec<(Known, bool)> {
    let place = |path: &ImagePath| match path
        .as_str()
        .strip_prefix(BOOT_MOUNT)
        .filter(|rest| rest.starts_with('/'))
    {
        Some(rest) => {
            ImagePath::new(rest).map_or_else(|_| (Volume::Root, path.clone()), |path| (Volume::Boot, path))
        }
        None => (Volume::Root, path.clone()),
    };
    let one = |path: &ImagePath, sha256: Option<Digest>, access: Option<Access>| {
        let (volume, path) = place(path);
        Known { volume, path, sha256, access }
    };
    let files = bill.files.iter().map(|file| {
        let access = file.access.map(|mode| Access { mode: mode.mode, uid: mode.uid, gid: mode.gid });
        (one(&file.path, Some(file.sha256), access), file.is_preloaded)
    });
    files.chain(bill.secrets.iter().map(|path| (one(path, None, None), false))).collect()
}

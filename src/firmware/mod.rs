//! What the firmware of a Raspberry Pi reads on the boot partition before there is a kernel.
//!
//! It knows no file system: the files are handed to it by whoever can read them.

mod config;
mod error;
mod files;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{ConfigError, Error};
pub use files::{COMMAND_LINE, Files};

use config::{World, evaluate};
use files::read;

use crate::boards::{Board, KINDS, Kind};
use crate::image_path::ImagePath;

/// The firmware's configuration, and the one that takes its place in a trial boot (`tryboot`).
const CONFIG: &str = "config.txt";
const TRIAL_CONFIG: &str = "tryboot.txt";

/// The board that pibake makes cards for where none is named; others are served where the image serves them.
const MAIN: Board = Board::Pi4;

/// The kinds of these boards; all where none is named.
fn kinds(boards: &[Board]) -> impl Iterator<Item = &'static Kind> {
    KINDS
        .iter()
        .filter(move |kind| boards.is_empty() || kind.board.is_some_and(|board| boards.contains(&board)))
}

/// The files from which the firmware of these boards takes the kernel's command line, or that of any where none is
/// named: one for most images, several where it depends on the board, on what is plugged into it, or on a trial boot.
///
/// # Errors
/// [`Error`]; [`Error::Missing`] if one of these boards would find none; of any, a Pi 4.
pub fn command_lines<E: std::error::Error + 'static>(
    files: Files<'_, E>,
    boards: &[Board],
) -> Result<Vec<ImagePath>, Error<E>> {
    let trial = read(files, TRIAL_CONFIG)?.is_some();
    // by their names in lower case: FAT knows no other difference
    let mut found: BTreeMap<String, ImagePath> = BTreeMap::new();
    for kind in kinds(boards) {
        let is_needed = !boards.is_empty() || kind.board == Some(MAIN);
        for is_trial in [false, true] {
            let world = World { kind, is_trial };
            let config = if is_trial && trial { TRIAL_CONFIG } else { CONFIG };
            let settings = evaluate(files, config, &world)?;
            let mut looked_for = Vec::new();
            let mut there = false;
            for place in places(&settings.prefixes, &settings.names) {
                looked_for.push(place.to_string());
                if files(&place).map_err(Error::Read)?.is_some() {
                    there = true;
                    found.insert(place.as_str().to_lowercase(), place);
                }
            }
            // what is there for no other board than these is there for nobody whom this image is for
            if !there && is_needed && !is_trial {
                return Err(Error::Missing { board: kind.name, looked_for: looked_for.join(" or ") });
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Refuses files that lack a device tree for a kind of this board: the firmware has nothing then to tell the kernel by
/// what the board has, and on a Pi 5 it does not start one.
///
/// # Errors
/// [`Error::NoDeviceTree`], [`Error::Read`] and [`Error::Config`]
pub fn check_device_tree<E: std::error::Error + 'static>(
    files: Files<'_, E>,
    board: Board,
) -> Result<(), Error<E>> {
    for kind in kinds(&[board]) {
        let settings = evaluate(files, CONFIG, &World { kind, is_trial: false })?;
        // by an empty name the firmware is told to look for none: the kernel brings its own
        let mut there = settings.trees.contains("");
        let mut looked_for = Vec::new();
        for place in places(&settings.prefixes, &settings.trees) {
            there = there || files(&place).map_err(Error::Read)?.is_some();
            looked_for.push(place.to_string());
        }
        if !there {
            if looked_for.is_empty() {
                looked_for.extend(settings.trees);
            }
            return Err(Error::NoDeviceTree { board: kind.name, looked_for: looked_for.join(" or ") });
        }
    }
    Ok(())
}

/// What is put before the names of kernel, initrd and device trees in an ordinary start of this board, or of a Pi 4 where
/// none is named: the settings that may hold and, as the firmware drops a prefix under which it finds no kernel, nothing.
///
/// # Errors
/// [`Error::Read`] and [`Error::Config`]
pub fn prefixes<E: std::error::Error + 'static>(
    files: Files<'_, E>,
    board: Option<Board>,
) -> Result<Vec<String>, Error<E>> {
    let mut all = Vec::new();
    for kind in kinds(&[board.unwrap_or(MAIN)]) {
        for prefix in evaluate(files, CONFIG, &World { kind, is_trial: false })?.prefixes {
            if !all.contains(&prefix) {
                all.push(prefix);
            }
        }
    }
    all.retain(|prefix| !prefix.is_empty());
    all.push(String::new());
    Ok(all)
}

/// The folders that a trial boot of these boards, or of any, alone takes its kernel from: what lies there is an upgrade
/// that was installed and not started yet, and takes the other's place once it was (`new/` of Ubuntu 26.04).
///
/// # Errors
/// [`Error::Read`] and [`Error::Config`]
pub fn trial_folders<E: std::error::Error + 'static>(
    files: Files<'_, E>,
    boards: &[Board],
) -> Result<Vec<ImagePath>, Error<E>> {
    let trial = if read(files, TRIAL_CONFIG)?.is_some() { TRIAL_CONFIG } else { CONFIG };
    let mut folders = Vec::new();
    for kind in kinds(boards) {
        let ordinary = evaluate(files, CONFIG, &World { kind, is_trial: false })?.prefixes;
        let tried = evaluate(files, trial, &World { kind, is_trial: true })?.prefixes;
        for prefix in tried.difference(&ordinary) {
            // checked when they were read; one that is no folder is part of the files' names
            let folder =
                prefix.strip_suffix('/').and_then(|folder| ImagePath::new(format!("/{folder}")).ok());
            folders.extend(folder.filter(|folder| !folders.contains(folder)));
        }
    }
    Ok(folders)
}

/// Where a file of these names may be: below the prefix and, as the firmware drops a prefix under which it finds no
/// kernel, without it.
fn places(prefixes: &BTreeSet<String>, names: &BTreeSet<String>) -> Vec<ImagePath> {
    let mut places = Vec::new();
    for prefix in prefixes.iter().map(String::as_str).chain([""]) {
        for name in names {
            // what cannot be a name is that of no file
            let Ok(place) = ImagePath::new(format!("/{prefix}{name}")) else { continue };
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests;

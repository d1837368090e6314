//! What the firmware of a Raspberry Pi reads on the boot partition before there is a kernel.
//!
//! It knows no file system: the files are handed to it by whoever can read them.

mod boards;
mod config;
mod error;
mod files;

use std::collections::BTreeMap;

pub use error::{ConfigError, Error};
pub use files::{COMMAND_LINE, Files};

use boards::{BOARDS, World};
use config::{Settings, evaluate};
use files::read;

use crate::image_path::ImagePath;

/// The firmware's configuration, and the one that takes its place in a trial boot (`tryboot`).
const CONFIG: &str = "config.txt";
const TRIAL_CONFIG: &str = "tryboot.txt";

/// The files from which the firmware takes the kernel's command line: one for most images, several
/// where it depends on the board, on what is plugged into it, or on a trial boot.
///
/// # Errors
/// [`Error`]; [`Error::Missing`] if a Pi 4 would find none.
pub fn command_lines<E: std::error::Error + 'static>(
    files: Files<'_, E>,
) -> Result<Vec<ImagePath>, Error<E>> {
    let trial = read(files, TRIAL_CONFIG)?.is_some();
    // by their names in lower case: FAT knows no other difference
    let mut found: BTreeMap<String, ImagePath> = BTreeMap::new();
    for board in BOARDS {
        for is_trial in [false, true] {
            let world = World { board: &board, is_trial };
            let config = if is_trial && trial { TRIAL_CONFIG } else { CONFIG };
            let settings = evaluate(files, config, &world)?;
            let mut looked_for = Vec::new();
            let mut there = false;
            for place in places(&settings) {
                looked_for.push(place.to_string());
                if files(&place).map_err(Error::Read)?.is_some() {
                    there = true;
                    found.insert(place.as_str().to_lowercase(), place);
                }
            }
            // what is there for no other board than these is there for nobody whom this image is for
            if !there && board.is_main && !is_trial {
                return Err(Error::Missing { board: board.name, looked_for: looked_for.join(" or ") });
            }
        }
    }
    Ok(found.into_values().collect())
}

/// What is put before the names of kernel, initrd and device trees in an ordinary start of a Pi 4: the settings that
/// may hold and, as the firmware drops a prefix under which it finds no kernel, nothing.
///
/// # Errors
/// [`Error::Read`] and [`Error::Config`]
pub fn prefixes<E: std::error::Error + 'static>(files: Files<'_, E>) -> Result<Vec<String>, Error<E>> {
    let mut all = Vec::new();
    for board in BOARDS.iter().filter(|board| board.is_main) {
        all.extend(evaluate(files, CONFIG, &World { board, is_trial: false })?.prefixes);
    }
    all.retain(|prefix| !prefix.is_empty());
    all.push(String::new());
    Ok(all)
}

/// The folders that a trial boot alone takes its kernel from: what lies there is an upgrade that was installed and not
/// started yet, and takes the other's place once it was (`new/` of Ubuntu 26.04).
///
/// # Errors
/// [`Error::Read`] and [`Error::Config`]
pub fn trial_folders<E: std::error::Error + 'static>(
    files: Files<'_, E>,
) -> Result<Vec<ImagePath>, Error<E>> {
    let trial = if read(files, TRIAL_CONFIG)?.is_some() { TRIAL_CONFIG } else { CONFIG };
    let mut folders = Vec::new();
    for board in &BOARDS {
        let ordinary = evaluate(files, CONFIG, &World { board, is_trial: false })?.prefixes;
        let tried = evaluate(files, trial, &World { board, is_trial: true })?.prefixes;
        for prefix in tried.difference(&ordinary) {
            // checked when they were read; one that is no folder is part of the files' names
            let folder =
                prefix.strip_suffix('/').and_then(|folder| ImagePath::new(format!("/{folder}")).ok());
            folders.extend(folder.filter(|folder| !folders.contains(folder)));
        }
    }
    Ok(folders)
}

/// Where the command line may be: below the prefix and, as the firmware drops a prefix under which
/// it finds no kernel, without it.
fn places(settings: &Settings) -> Vec<ImagePath> {
    let mut places = Vec::new();
    for prefix in settings.prefixes.iter().map(String::as_str).chain([""]) {
        for name in &settings.names {
            // checked when they were read
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

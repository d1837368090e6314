//! `pibake init [DIR]`

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::json::{self, Initialized};
use super::next;
use super::session::Session;
use crate::cluster;
use crate::error::{Doing, DoingAs, ErrorClass, Failure};
use crate::io::folder::{keeps_modes, make_folders};
use crate::io::{Folder, Owner, surroundings};
use crate::project::{self, FILE};
use crate::workflow::Warning;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake init          here\n  pibake init attic    in a folder of its own"
)]
pub(super) struct Arguments {
    /// Where to write it; created if missing
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let dir = &arguments.dir;
    make_folders(dir, 0o777).doing(|| format!("making {}", dir.display()))?;
    let path = dir.join(FILE);
    let folder = Folder::open(dir).doing(|| format!("opening {}", dir.display()))?;
    let mut drawn = [0; 5];
    getrandom::fill(&mut drawn).doing_as(ErrorClass::Failed, || "asking for a random number".to_owned())?;
    let (text, chosen) = cluster::init(&surroundings(), project::clock()?, drawn);
    // Never over one that somebody edited; and closed to others, for passwords may come into it.
    match folder.write_new(FILE, text.as_bytes(), 0o600, Owner::of_new_in(dir)) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::refused(format!(
                "{} is there already and stays as it is; move it away for a new one",
                path.display()
            )));
        }
        other => other.doing(|| format!("writing {}", path.display()))?,
    }
    if let Ok(false) = keeps_modes(dir) {
        session.control.warn(Warning::OpenDescription { dir: dir.clone() });
    }
    let (shown, path_base64) = json::text(&path);
    let document = Initialized { path: shown, path_base64, notes: chosen };
    session.result(&document, || {
        let chosen: String = document.notes.iter().map(|sentence| format!("{sentence}\n")).collect();
        format!("{} is written: every setting is in it, commented, with its default\n{chosen}", document.path)
    })?;
    next::tell(&next::after_init(dir), session);
    Ok(())
}

//! `pibake init [DIR]`

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use crate::cluster::INIT;
use crate::project::FILE;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to write it; made if it is not there
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub fn run(arguments: &Arguments, ui: &Ui) -> anyhow::Result<()> {
    fs::create_dir_all(&arguments.dir).with_context(|| format!("making {}", arguments.dir.display()))?;
    let path = arguments.dir.join(FILE);
    // never over one that somebody edited
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = match created {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: it is kept as it is; move it away for a new one", path.display())
        }
        other => other.with_context(|| format!("writing {}", path.display()))?,
    };
    file.write_all(INIT.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing {}", path.display()))?;
    ui.result(&json!({ "file": path }), || {
        format!("{} is written: every setting is in it, commented, with its default\n", path.display())
    })?;
    Ok(())
}

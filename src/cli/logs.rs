//! `pibake logs IMAGE|DEVICE`: what the first boot wrote, read off a card.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::image_path::ImagePath;
use crate::opened::Opened;
use crate::ui::Ui;

/// Where the first-boot program writes: what it did, and where it stands.
const FILES: [&str; 2] = ["/var/log/pibake/first-boot.log", "/var/log/pibake/status"];

#[derive(Debug, Args)]
pub struct Arguments {
    /// A raw image, or the device of a card reader
    image: PathBuf,
}

pub fn run(arguments: &Arguments, ui: &Ui) -> anyhow::Result<()> {
    let reading = || format!("reading the first boot's log off {}", arguments.image.display());
    let image = Opened::open(&arguments.image).with_context(reading)?;
    let mut found = serde_json::Map::new();
    for path in FILES {
        let path = ImagePath::new(path)?;
        if image.metadata(&path).with_context(reading)?.is_some() {
            let mut text = Vec::new();
            image.read(&path, &mut text).with_context(reading)?;
            found.insert(path.to_string(), json!(String::from_utf8_lossy(&text)));
        }
    }
    if found.is_empty() {
        anyhow::bail!(
            "{} has no log of a first boot: it was never booted, or not baked by pibake",
            arguments.image.display()
        );
    }
    let text = || {
        let sections = found
            .iter()
            .map(|(path, text)| format!("==> {path} <==\n{}\n", text.as_str().unwrap_or_default()));
        sections.collect::<String>()
    };
    ui.result(&found, text)?;
    Ok(())
}

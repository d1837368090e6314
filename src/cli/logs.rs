//! `pibake logs IMAGE|DEVICE`: what the first boot wrote, read off a card.

use std::path::PathBuf;

use clap::Args;

use super::json::{Log, Logs};
use super::session::Session;
use crate::error::{Doing, ErrorClass, Failure};
use crate::fs::{FileKind, Metadata};
use crate::image_path::ImagePath;
use crate::node_paths;
use crate::opened::Opened;
use crate::ui::visible;

/// Where the first-boot program writes: what it did, and where it stands.
const FILES: [&str; 2] = [node_paths::FIRST_BOOT_LOG, node_paths::FIRST_BOOT_STATUS];
/// What is read of a log, in bytes: its end, which says how it went. A first boot writes some ten
/// kilobytes; a card from somebody else may hold any size.
const LOG_MAX: usize = 4 << 20;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A raw image, or the device of a card reader
    image: PathBuf,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let reading = || format!("reading the first boot's log off {}", arguments.image.display());
    let image = Opened::open(&arguments.image).doing(reading)?;
    let mut logs = Vec::new();
    for path in FILES {
        let path = ImagePath::new(path)?;
        if let Some(metadata) = image.metadata(&path).doing(reading)? {
            let text = text(&image, &path, &metadata).doing(reading)?;
            logs.push(Log { path: path.to_string(), text });
        }
    }
    if logs.is_empty() {
        let never = "has no log of a first boot: it was never booted, or not baked by pibake";
        let text = format!("{} {never}", arguments.image.display());
        return Err(Failure::new(ErrorClass::Failed, text));
    }
    let document = Logs { logs };
    session.result(&document, || {
        let section = |log: &Log| format!("==> {} <==\n{}\n", log.path, visible(&log.text));
        document.logs.iter().map(section).collect()
    })
}

/// A log's text, or why there is none.
fn text(image: &Opened, path: &ImagePath, metadata: &Metadata) -> Result<String, Failure> {
    if metadata.kind != FileKind::File {
        return Ok(format!("[{path} is not a regular file: whoever had this card has put it there]"));
    }
    let bytes = image.read_tail(path, LOG_MAX)?;
    let left_out = metadata.len.saturating_sub(bytes.len() as u64);
    let text = String::from_utf8_lossy(&bytes);
    Ok(match left_out {
        0 => text.into_owned(),
        left_out => format!("[the first {left_out} bytes are left out]\n{text}"),
    })
}

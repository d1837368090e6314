//! From what was typed to drives that are safe to write, held open.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arguments::{Arguments, Asked, selector};
use super::fleet::Ordered;
use super::image::Image;
use super::whose::whose;
use crate::boards::BootFrom;
use crate::cli::readers::{Readers, purpose};
use crate::cluster::ImageSize;
use crate::drives::Drive;
use crate::error::Failure;
use crate::sink::card::{Card, DriveCard, Target, as_device};
use crate::workflow::Chosen;

/// What is written.
pub(super) enum Job<'f> {
    Nodes(Box<Chosen>),
    Image(Box<Image>),
    Fleet(Box<Ordered<'f>>),
}

impl Job<'_> {
    /// Bytes that a card must have, where that is known already.
    pub(super) fn needed(&self) -> Option<u64> {
        match self {
            Self::Nodes(chosen) => chosen.project().cluster.image.size.map(ImageSize::bytes),
            Self::Image(image) => Some(image.len()),
            Self::Fleet(ordered) => Some(ordered.ready.length()),
        }
    }
}

/// A drive that nobody else can open, and what it becomes.
pub(super) struct Held {
    /// As it was typed.
    pub asked: PathBuf,
    pub drive: Drive,
    pub node: String,
    /// Whose card it is now, where pibake made it.
    pub whose: Option<String>,
    card: Arc<DriveCard>,
}

impl Held {
    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.drive.path.display().to_string()
    }

    pub(super) fn file(&self) -> &File {
        self.card.file()
    }

    pub(super) fn target(&self) -> Target {
        let card = Arc::clone(&self.card) as _;
        Target { card_name: self.name(), node: self.node.clone(), card }
    }
}

/// What drives are chosen by.
pub(super) struct Choice<'a> {
    pub readers: &'a Readers<'a>,
    pub arguments: &'a Arguments,
    pub job: &'a Job<'a>,
}

impl Choice<'_> {
    /// Finds the drives, judges them, opens them for this process alone and judges them again.
    pub(super) fn hold(&self) -> Result<Vec<Held>, Failure> {
        let mut held: Vec<Held> = Vec::new();
        let ours = match self.job {
            Job::Nodes(chosen) => chosen.project().existing_identity()?,
            Job::Image(_) | Job::Fleet(_) => None,
        };
        for asked in &self.arguments.devices {
            let (node, from) = self.node(asked)?;
            let purpose = purpose(from);
            if let Some(other) = held.iter().find(|h| h.node == node && !matches!(self.job, Job::Image(_))) {
                let (a, b) = (other.asked.display(), asked.path.display());
                return Err(Failure::usage(format!(
                    "{a} and {b} are both to become {node}: every node is there once"
                )));
            }
            let drive = self.readers.safe(&asked.path, purpose)?;
            if let Some(other) = held.iter().find(|h| h.drive.number == drive.number) {
                let (a, b, drive) = (other.asked.display(), asked.path.display(), drive.path.display());
                return Err(Failure::usage(format!("{a} and {b} are the same drive, {drive}")));
            }
            let (drive, card) = self.readers.hold(&asked.path, &drive, purpose)?;
            let card = Arc::new(card);
            let whose = whose(as_device(&(Arc::clone(&card) as Arc<dyn Card>)), ours.as_ref());
            held.push(Held { asked: asked.path.clone(), drive, node, whose, card });
        }
        Ok(held)
    }

    /// The node that a drive is to become, and what that starts from.
    fn node(&self, asked: &Asked) -> Result<(String, Option<BootFrom>), Failure> {
        match self.job {
            Job::Nodes(chosen) => {
                let node = selector(asked, self.arguments)?.find(&chosen.project().cluster)?;
                Ok((node.name.to_string(), node.boot_from))
            }
            Job::Fleet(ordered) => {
                let node = ordered.node(asked, self.arguments)?;
                Ok((node.name.clone(), node.boot_from.as_deref().and_then(BootFrom::named)))
            }
            Job::Image(_) if asked.node.is_some() => {
                Err(Failure::usage("--image writes one image: leave =N out"))
            }
            Job::Image(image) => Ok((image.name(), image.boot_from())),
        }
    }
}

/// Refuses devices that are not there, before anything is asked about them.
pub(super) fn check_there(devices: &[Asked]) -> Result<(), Failure> {
    let missing = |path: &Path| {
        std::fs::metadata(path)
            .is_err_and(|e| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    };
    let Some(Asked { path, .. }) = devices.iter().find(|asked| missing(&asked.path)) else { return Ok(()) };
    let shown = path.display();
    Err(Failure::usage(match path.components().count() {
        1 => format!(
            "there is no drive {shown} in this folder: name a card's drive and its node as in /dev/sdX={shown}; pibake \
             drives lists the drives"
        ),
        _ => format!("{shown} does not exist; pibake drives lists the drives"),
    }))
}

//! An image that was built before, to be written to a card.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::named::check_there;
use crate::cli::session::Session;
use crate::disk::{Patch, ReadAt};
use crate::error::{Doing, ErrorClass, Failure};
use crate::image_path::ImagePath;
use crate::io::Stamp;
use crate::node_paths;
use crate::opened::Opened;
use crate::sink::card::Content;
use crate::workflow::image::{self, Raw};

/// What every node has that pibake baked; a card without it would come up with the stock password.
const MARK: &str = node_paths::NODE_ENV;
/// What is read back from the card and compared.
const COMPARED: [&str; 6] = [
    MARK,
    node_paths::HOSTNAME,
    node_paths::KUBEADM,
    "/boot/firmware/cmdline.txt",
    "/boot/firmware/user-data",
    "/boot/firmware/network-config",
];

/// More than any of them has that pibake baked.
const COMPARED_MAX: u64 = 1 << 20;

/// An image of a node.
pub(super) struct Image {
    /// As it was named.
    path: PathBuf,
    /// Its bytes.
    raw: Raw,
    len: u64,
    node: String,
    files: Vec<(ImagePath, Vec<u8>)>,
    seen: Stamp,
}

/// Opens the image of a node.
pub(super) fn open(path: &Path, session: &Session) -> Result<Image, Failure> {
    let opening = || format!("opening the image {}", path.display());
    check_there(path, session).doing(opening)?;
    let seen = Stamp::at(path).map_err(|source| Failure::of_named(source, opening()))?;
    let raw = image::raw(path, &session.control).doing(opening)?;
    let image = Opened::open(raw.path()).doing(opening)?;
    let mut files = Vec::new();
    for name in COMPARED {
        let name = ImagePath::new(name)?;
        if let Some(content) = read(&image, &name).doing(opening)? {
            files.push((name, content));
        }
    }
    let text = |wanted: &str| {
        let found = files.iter().find(|(name, _)| name.as_str() == wanted);
        found.map(|(_, content)| String::from_utf8_lossy(content).trim().to_owned())
    };
    if text(MARK).is_none() {
        return Err(Failure::usage(format!(
            "{} is not the image of a node: it has no {MARK}. A card with it would not be configured; \
             pibake build makes images of nodes",
            path.display()
        )));
    }
    let node = text(node_paths::HOSTNAME).unwrap_or_else(|| path.display().to_string());
    Ok(Image { path: path.to_owned(), raw, len: image.len, node, files, seen })
}

fn read(image: &Opened, name: &ImagePath) -> Result<Option<Vec<u8>>, crate::opened::Error> {
    image.read_whole(name, COMPARED_MAX)
}

impl Image {
    /// The raw file that its bytes are in.
    pub(super) fn path(&self) -> &Path {
        self.raw.path()
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The node that it is of.
    pub(super) fn name(&self) -> String {
        self.node.clone()
    }

    /// Nothing over it; and that a card holds it.
    pub(super) fn content(&self) -> Content {
        let files = self.files.clone();
        let proof = move |card: Arc<dyn ReadAt>| {
            let card = Opened::of(card)?;
            for (name, content) in &files {
                if read(&card, name)?.as_ref() != Some(content) {
                    return Err(Failure::new(
                        ErrorClass::Verification,
                        format!("{name} is another one on the card"),
                    ));
                }
            }
            Ok(())
        };
        let (path, seen) = (self.path.clone(), self.seen);
        let still =
            move || match seen == Stamp::at(&path).doing(|| format!("examining {}", path.display()))? {
                true => Ok(()),
                false => {
                    Err(Failure::new(ErrorClass::Verification, format!("{} was written to", path.display())))
                }
            };
        Content { patch: Patch::default(), proof: Box::new(proof), still: Box::new(still) }
    }
}

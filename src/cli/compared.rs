//! What is compared on a card that was written from an image, beside all of its bytes.

use std::sync::Arc;

use super::baked::board;
use crate::boards::Board;
use crate::disk::ReadAt;
use crate::error::{ErrorClass, Failure};
use crate::firmware;
use crate::image_path::ImagePath;
use crate::image_reader::{self, ImageReader};
use crate::node_paths;
use crate::sink::card::Proof;

/// What every node has that pibake baked; a card without it would come up with the stock password.
pub(super) const MARK: &str = node_paths::NODE_ENV;
/// What is read back from the card and compared, beside the kernel's command line, wherever that is.
const COMPARED: [&str; 5] = [
    MARK,
    node_paths::HOSTNAME,
    node_paths::KUBEADM,
    "/boot/firmware/user-data",
    "/boot/firmware/network-config",
];

/// More than any of them has that pibake baked.
const COMPARED_MAX: u64 = 1 << 20;

/// Files of an image that a card with it must have.
#[derive(Clone)]
pub(super) struct Files(Vec<(ImagePath, Vec<u8>)>);

impl Files {
    /// Those of this image.
    pub(super) fn of(image: &ImageReader) -> Result<Self, Failure> {
        let mut names: Vec<ImagePath> = COMPARED.into_iter().map(ImagePath::new).collect::<Result<_, _>>()?;
        for line in command_lines(image, board(image)?)? {
            names.push(ImagePath::new(format!("{}{line}", node_paths::BOOT_MOUNT))?);
        }
        let mut files = Vec::new();
        for name in names {
            if let Some(content) = read(image, &name)? {
                files.push((name, content));
            }
        }
        Ok(Self(files))
    }

    /// One of them as text, without white space around it.
    pub(super) fn text(&self, wanted: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| name.as_str() == wanted);
        found.map(|(_, content)| String::from_utf8_lossy(content).trim().to_owned())
    }

    /// That a card has them.
    pub(super) fn proof(self) -> Proof {
        Box::new(move |card: Arc<dyn ReadAt>| {
            let card = ImageReader::of(card)?;
            for (name, content) in &self.0 {
                if read(&card, name)?.as_ref() != Some(content) {
                    return Err(Failure::new(
                        ErrorClass::Verification,
                        format!("{name} is another one on the card"),
                    ));
                }
            }
            Ok(())
        })
    }
}

/// The files on the boot partition that the firmware of this board, or of any, may take the kernel's command line from.
fn command_lines(
    image: &ImageReader,
    board: Option<Board>,
) -> Result<Vec<ImagePath>, firmware::Error<image_reader::Error>> {
    let files = |path: &ImagePath| {
        let path = ImagePath::new(format!("{}{path}", node_paths::BOOT_MOUNT));
        // what is no path is no file
        path.map_or(Ok(None), |path| read(image, &path))
    };
    firmware::command_lines(&files, board.as_slice())
}

fn read(image: &ImageReader, name: &ImagePath) -> Result<Option<Vec<u8>>, image_reader::Error> {
    image.read_whole(name, COMPARED_MAX)
}

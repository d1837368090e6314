//! What a card is compared with.

use std::path::Path;

use crate::bill::{self, Listed};
use crate::cluster::{Node, Platform};
use crate::image_reader::ImageReader;
use crate::project::Project;
use crate::recipe::Recipe;
use crate::workflow::{Error, system};

/// What a card is compared with.
#[derive(Debug, Default)]
pub struct Promised {
    /// What the description makes of the node.
    pub recipe: Option<Recipe>,
    /// What was on the card when it was made.
    pub bill: Option<Listed>,
}

/// Reads a bill.
///
/// # Errors
/// [`bill::Error`]
pub fn read_bill(text: &[u8]) -> Result<Listed, bill::Error> {
    Listed::read(text)
}

/// The recipe of `node` over the system that `image` holds, as the description and the secrets beside it make it now;
/// `None` where there are no secrets yet. Makes nothing.
///
/// # Errors
/// [`Error`]
pub fn recipe(
    project: &Project,
    node: &Node,
    image: &ImageReader,
    name: &Path,
) -> Result<Option<Recipe>, Error> {
    let platform: Platform = match project.cluster.stated_platform() {
        Some(platform) => platform,
        None => system::said_by(image, name)?,
    };
    Ok(project.recipe(node, &platform)?)
}

//! What goes before what the description says.

use super::passwords::Passwords;
use crate::cluster::ImageSize;

/// What the command line says above the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--nodes`: how many machines there are.
    pub nodes: Option<u32>,
    /// `--base`: the image that they are made from, as typed; paths are the shell's.
    pub base: Option<String>,
    /// `--image-size`: how large the images are.
    pub image_size: Option<ImageSize>,
    /// `--preload`: that packages and container images are baked in.
    pub preload: bool,
    /// What the environment says instead of the description.
    pub passwords: Passwords,
}

//! The files of the boot partition, handed in by whoever can read them.

use super::error::Error;
use crate::image_path::ImagePath;

/// The kernel's command line, where the configuration names no other.
pub const COMMAND_LINE: &str = "cmdline.txt";

/// Where files of the boot partition come from: their content, or `None` where there is none.
pub type Files<'a, E> = &'a dyn Fn(&ImagePath) -> Result<Option<Vec<u8>>, E>;

/// The content of a file by its name in a setting; a name that cannot be one is that of no file.
pub(super) fn read<E: std::error::Error + 'static>(
    files: Files<'_, E>,
    name: &str,
) -> Result<Option<Vec<u8>>, Error<E>> {
    match ImagePath::new(format!("/{name}")) {
        Ok(path) => files(&path).map_err(Error::Read),
        Err(_) => Ok(None),
    }
}

//! What system a base image holds: the one answer to "which platform?".

use std::path::Path;

use super::Error;
use crate::cluster::{Accounts, Cluster, Platform};
use crate::image_reader::ImageReader;

/// Both names of the file that says what system an image holds; the first is mostly a link.
pub(super) const OS_RELEASE: [&str; 2] = ["/usr/lib/os-release", "/etc/os-release"];

/// os-release(5) takes less than a kilobyte everywhere.
pub(super) const OS_RELEASE_MAX: u64 = 64 << 10;

/// A line takes some 50 bytes, and an image has a few dozen accounts.
const ACCOUNTS_MAX: u64 = 1 << 20;

/// What system the nodes run that are made from the raw image at `base`: the one that the description
/// states, or else the one that the image says. Refuses an image whose accounts are in the login's way.
pub(super) fn of(cluster: &Cluster, base: &Path) -> Result<Platform, Error> {
    let image = ImageReader::open(base)
        .map_err(|source| Error::Examining { image: base.to_owned(), source: source.into() })?;
    check_login(cluster, &image, base)?;
    match cluster.stated_platform() {
        Some(platform) => Ok(platform),
        None => said_by(&image, base),
    }
}

/// Refuses a login name that the image at `path` has in use.
fn check_login(cluster: &Cluster, image: &ImageReader, path: &Path) -> Result<(), Error> {
    // An image without them has no accounts.
    let text = |name: &str| match image.text(name, ACCOUNTS_MAX) {
        Ok(found) => Ok(found.unwrap_or_default()),
        Err(source) => Err(Error::Examining { image: path.to_owned(), source: source.into() }),
    };
    Ok(cluster.check_login(&Accounts::parse(&text("/etc/passwd")?, &text("/etc/group")?))?)
}

/// What system an image says that it holds.
pub(super) fn said_by(image: &ImageReader, path: &Path) -> Result<Platform, Error> {
    let examining = |source| Error::Examining { image: path.to_owned(), source };
    for name in OS_RELEASE {
        if let Ok(Some(text)) = image.text(name, OS_RELEASE_MAX) {
            return Platform::from_os_release(&text).map_err(|e| examining(e.into()));
        }
    }
    Err(Error::NoOsRelease { image: path.to_owned() })
}

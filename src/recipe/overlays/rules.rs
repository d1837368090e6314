//! What of the user's files may land where, and with which mode.

use std::path::Path;

use super::error::OverlayError;
use crate::image_path::ImagePath;
use crate::node_paths;
use crate::recipe::Volume;

/// What must not be baked at `place`, and what to do instead.
pub(super) fn reserved(volume: Volume, place: &ImagePath) -> Option<&'static str> {
    const USER_DATA: &str =
        "pibake writes it; settings of your own go into the file that [cloud-init] extra names";
    const CA: &str = "pibake makes the cluster's CA and keeps it in .pibake, and the admin kubeconfig and the workers \
                      trust that one: what ca.crt and ca.key in .pibake hold is baked";
    const HOST_KEY: &str = "pibake makes each node's host key, which .pibake/known_hosts knows: a key of another kind \
                            can lie beside it";
    const MADE: &str = "pibake makes it of what is in .pibake";
    const RESTORED: &str = "pibake restore puts a copy of etcd there";
    const MANIFESTS: &str = "name the file, or its folder, in manifests of pibake.toml";
    let below = |folder: &str| path_below(place, folder);
    let path = place.as_str();
    match volume {
        Volume::Root if path == node_paths::HOST_KEY || path == node_paths::HOST_PUBLIC_KEY => Some(HOST_KEY),
        Volume::Root if path == node_paths::BACKUP_KEY || path == node_paths::JOIN_CONF => Some(MADE),
        Volume::Root if path == node_paths::CA_CERTIFICATE || path == node_paths::CA_KEY => Some(CA),
        Volume::Root if path == node_paths::RESTORED_COPY => Some(RESTORED),
        Volume::Root if below(node_paths::MANIFESTS) => Some(MANIFESTS),
        Volume::Root if below(node_paths::BOOT_MOUNT) => {
            Some("the boot partition is mounted there, over it: put it into the folder cloud-init")
        }
        Volume::Root => None,
        Volume::Boot => match path.to_lowercase().as_str() {
            node_paths::USER_DATA | "/vendor-data" => Some(USER_DATA),
            node_paths::META_DATA => {
                Some("pibake writes it: its instance-id tells cloud-init that a card is new")
            }
            node_paths::NETWORK_CONFIG => Some("the network is described in [network]"),
            _ => None,
        },
    }
}

/// Whether `place` is in `folder`, at whatever depth.
pub(super) fn path_below(place: &ImagePath, folder: &str) -> bool {
    place.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Refuses names that FAT cannot hold, or holds as others.
pub(super) fn fat_name(path: &Path, name: &str) -> Result<(), OverlayError> {
    let reason = if let Some(c) = name.chars().find(|c| c.is_control() || "\"*/:<>?\\|".contains(*c)) {
        format!("FAT has no {c:?} in names")
    } else if name.ends_with(['.', ' ']) {
        "FAT has no names that end in a dot or a blank".to_owned()
    } else {
        return Ok(());
    };
    Err(OverlayError::Name { path: path.to_owned(), reason })
}

/// The mode that a file or folder of this machine is baked with: only what does not hang on the
/// user's umask, so that the same overlays give the same image everywhere. What not everybody may
/// read here is root's alone there.
pub(super) fn baked_mode(mode: u32) -> u16 {
    let executable = mode & 0o100 != 0;
    let private = mode & 0o004 == 0;
    match (executable, private) {
        (true, true) => 0o700,
        (true, false) => 0o755,
        (false, true) => 0o600,
        (false, false) => 0o644,
    }
}

//! What cloud-init knows a machine by.

use sha2::{Digest, Sha256};

use super::{Action, Change, Volume};
use crate::cluster::Node;
use crate::image_path::ImagePath;
use crate::node_paths;

/// Whether a file is the one with the instance id.
pub(super) fn is_meta_data(volume: Volume, path: &ImagePath) -> bool {
    volume == Volume::Boot && path.as_str() == node_paths::META_DATA
}

/// What cloud-init knows a machine by: another one whenever anything on the card is another, so
/// that a card written anew is set up anew. The hash tells nothing of what went into it, as that
/// always holds a secret that cannot be guessed: the CA's key or the token.
pub(super) fn instance_id(node: &Node, changes: &[Change]) -> String {
    let mut hash = Sha256::new();
    let mut feed = |bytes: &[u8]| {
        // With the length before each part, no two lists of parts run into one text.
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    for change in changes.iter().filter(|change| !is_meta_data(change.volume, &change.path)) {
        feed(change.volume.label().as_bytes());
        feed(change.path.as_str().as_bytes());
        match &change.action {
            Action::Write { content, access, .. } => {
                feed(b"write");
                feed(format!("{access:?}").as_bytes());
                feed(content);
            }
            other => feed(format!("{other:?}").as_bytes()),
        }
    }
    let digest = hash.finalize();
    let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("pibake-{}-{short}", node.name)
}
/// What the ids of the card's disk are made of: others whenever the instance id is another one.
pub(super) fn disk_id(instance_id: &str) -> [u8; 16] {
    let digest = Sha256::new_with_prefix(b"disk ").chain_update(instance_id).finalize();
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    id
}

//! What a card or an image says of itself: which node it is, of which cluster, and what made it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::Baked;
use super::shortened::{NAME_MAX, shortened};
use crate::boards::{Board, BootFrom};
use crate::error::Failure;
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::io::assignment;
use crate::node_paths::NODE_ENV;

/// Longer than any node.env, in bytes.
const LONGEST: u64 = 1 << 20;

/// What a node's card says of itself; `None` where pibake did not bake it. Cards of older versions say less.
pub(super) fn baked(image: &ImageReader) -> Result<Option<Baked>, Failure> {
    let path = ImagePath::new(NODE_ENV)?;
    let Some(metadata) = image.metadata(&path)? else { return Ok(None) };
    let Some(text) = image.text(NODE_ENV, LONGEST)? else { return Ok(None) };
    // Whoever had the card may have written there what they liked.
    let value = |name: &str| {
        let value = assignment(&text, name).map(unquoted).filter(|value| !value.is_empty());
        value.map(|value| shortened(&value, NAME_MAX))
    };
    // what is baked has the time of the build
    let built = metadata.attributes.and_then(|a| OffsetDateTime::from_unix_timestamp(a.mtime).ok());
    Ok(value("NODE_NAME").map(|node| Baked {
        node,
        role: value("ROLE"),
        address: value("NODE_ADDRESS"),
        ipv6: value("IPV6_ADDRESS"),
        board: value("BAKED_BOARD"),
        boot_from: value("BAKED_BOOT_FROM"),
        cluster: value("BAKED_CLUSTER"),
        ca_hash: value("BAKED_CA_HASH"),
        kubernetes: value("BAKED_KUBERNETES"),
        containerd: value("BAKED_CONTAINERD"),
        pibake: value("BAKED_BY"),
        built: built.and_then(|time| time.format(&Rfc3339).ok()),
    }))
}

/// The board that a node's card was baked for, where it says so and that is one which is known.
pub(super) fn board(image: &ImageReader) -> Result<Option<Board>, Failure> {
    Ok(baked(image)?.and_then(|baked| Board::named(baked.board.as_deref()?)))
}

/// A word of a shell as what it stands for: in single quotes, as pibake writes it.
fn unquoted(word: &str) -> String {
    word.trim().split('\'').filter(|part| *part != "\\").collect()
}

/// A node's card in a few lines for people.
pub(super) fn described(baked: &Baked) -> String {
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not recorded".to_owned());
    let Baked {
        node,
        role,
        address,
        ipv6,
        board,
        boot_from,
        cluster,
        ca_hash,
        kubernetes,
        containerd,
        pibake,
        built,
    } = baked;
    let role = role.as_ref().map_or_else(String::new, |role| format!(", {role}"));
    let address = address.as_ref().map_or_else(String::new, |address| format!(", {address}"));
    let ipv6 = ipv6.as_ref().map_or_else(String::new, |address| format!(" and {address}"));
    let board = board.as_ref().map_or_else(String::new, |board| format!(", for the board {board}"));
    let from =
        boot_from.as_ref().map_or_else(String::new, |from| format!(", to start from {}", started_from(from)));
    let cluster =
        cluster.as_ref().map_or_else(|| "a cluster".to_owned(), |name| format!("the cluster {name:?}"));
    format!(
        "{node} of {cluster}{role}{address}{ipv6}{board}{from}\n  Kubernetes {}, containerd {}\n  CA hash    {}\n  built      {} by pibake {}\n",
        or_unknown(kubernetes),
        or_unknown(containerd),
        or_unknown(ca_hash),
        or_unknown(built),
        or_unknown(pibake),
    )
}

/// What a description calls so, for people; as it is written where it is none that is known.
fn started_from(word: &str) -> String {
    BootFrom::named(word).map_or_else(|| word.to_owned(), |from| from.title().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_shell_reads_them() {
        for (word, value) in [("'node-1'", "node-1"), ("plain", "plain"), ("''", ""), (r"'it'\''s'", "its")] {
            // an apostrophe stands in none of the values
            assert_eq!(unquoted(word), value);
        }
    }
}

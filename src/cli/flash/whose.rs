//! Whose card it is that is about to be overwritten.

use std::sync::Arc;

use crate::cli::baked::baked;
use crate::cli::json::Baked;
use crate::cli::stranger::stranger;
use crate::disk::ReadAt;
use crate::identity::Identity;
use crate::image_reader::ImageReader;

/// Where the certificate of a node's cluster is: baked for node-1, and put there by `kubeadm join` on the others.
const AUTHORITY: &str = "/etc/kubernetes/pki/ca.crt";
/// What a node that has not joined yet knows the authority by.
const KUBEADM: &str = "/etc/pibake/kubeadm.yaml";
/// Longest file that is read of a card, in bytes.
const LONGEST: u64 = 1 << 20;
/// Longest name of a node that is shown.
const NAME_MAX: usize = 63;

/// `node-2 of this cluster (home)`, for the card of a node that pibake baked; `None` for any other.
/// `ours` is the cluster that the card is to be part of, where there is one yet.
pub(super) fn whose(card: Arc<dyn ReadAt>, ours: Option<&Identity>) -> Option<String> {
    stranger(card, |card| look(card, ours))
}

fn look(card: &ImageReader, ours: Option<&Identity>) -> Option<String> {
    let Baked { node: name, ca_hash, .. } = baked(card).ok()??;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name = if is_name && (1..=NAME_MAX).contains(&name.len()) { name.as_str() } else { "a node" };
    let Some(ours) = ours else { return Some(format!("{name} of a cluster")) };
    // cards of older versions do not say it themselves
    let same = ca_hash.map_or_else(
        || {
            text(card, AUTHORITY).is_some_and(|pem| pem.trim() == ours.ca_certificate.trim())
                || text(card, KUBEADM).is_some_and(|yaml| yaml.contains(&ours.ca_hash))
        },
        |hash| hash == ours.ca_hash,
    );
    Some(match same {
        true => format!("{name} of this cluster ({})", ours.cluster),
        false => format!("{name} of another cluster"),
    })
}

fn text(card: &ImageReader, path: &str) -> Option<String> {
    card.text(path, LONGEST).ok().flatten()
}

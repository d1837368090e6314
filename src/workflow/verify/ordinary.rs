//! The ordinary life of a node: what its first boot takes off the card, erases, or fetches again, each from the stage on
//! that does it. docs/first-boot.md has the stages; what none of them does is a difference.

use super::card::Card;
use super::promised::Promised;
use crate::bake::Finding;
use crate::image_path::ImagePath;
use crate::node_paths::{
    DOCKER_KEYRING, JOIN_CONF, KUBEADM, KUBERNETES_KEYRING, META_DATA, PASSWORD, PAYLOAD, RESTORED_COPY,
};
use crate::recipe::{Action, Volume};

/// What `90-tidy` erases and removes; SECRETS in node.env names the password's.
const ERASED: [&str; 4] = [KUBEADM, JOIN_CONF, RESTORED_COPY, PASSWORD];
/// Files that a bake of a base that was in use puts back to what they are in a stock image; the system fills them in at
/// its first start.
const FILLED_IN: [&str; 3] = ["/etc/machine-id", "/etc/iscsi/initiatorname.iscsi", "/etc/shadow"];
/// The link by which systemd starts the first boot (`disable_unit`).
const FIRST_BOOT_LINK: &str = "/etc/systemd/system/multi-user.target.wants/pibake-first-boot.service";

/// The key of a repository, which a preloaded card has from its payload, and a node fetches again when it has expired.
pub(super) fn is_keyring(path: &ImagePath) -> bool {
    [DOCKER_KEYRING, KUBERNETES_KEYRING].contains(&path.as_str())
}

/// Why what was found is as it should be on this card; `None` where it is a difference.
pub(super) fn why(card: &Card<'_>, finding: &Finding, promised: &Promised) -> Option<&'static str> {
    let path = finding.path.as_str();
    match finding.volume {
        Volume::Boot => {
            let is_id = path == META_DATA && has_only_another_id(card, finding, promised);
            return is_id
                .then_some("its id is made of all that was baked, and of that something was made again");
        }
        Volume::Root => {}
    }
    if ERASED.contains(&path) && card.began("tidy") && (finding.is_gone() || is_zeros(card, finding)) {
        return Some("erased once the node was in the cluster");
    }
    if FILLED_IN.contains(&path) && card.is_used() && !finding.is_gone() {
        return Some("the system's own since its first start");
    }
    if path == JOIN_CONF && is_other_certificate(card, finding, promised) {
        return Some("its certificate is good for ten days, and was made again since");
    }
    if path == FIRST_BOOT_LINK && finding.is_gone() && card.is_complete() {
        return Some("the first boot is over");
    }
    if let Some(name) = path.strip_prefix(PAYLOAD) {
        let is_archive = name.starts_with("/images") && name.ends_with(".tar");
        if finding.is_gone() && (card.began("tidy") || is_archive && card.began("preloaded-images")) {
            return Some("used up and removed");
        }
    }
    if is_keyring(&finding.path) && !finding.is_gone() && card.began("keyrings") {
        return Some("fetched again when it had expired, and known by its fingerprint");
    }
    None
}

/// Whether a file holds nothing but zeros: `90-tidy` was cut off between erasing and removing it.
fn is_zeros(card: &Card<'_>, finding: &Finding) -> bool {
    card.content(finding).is_some_and(|content| content.iter().all(|byte| *byte == 0))
}

/// What the recipe writes there.
fn wanted<'p>(finding: &Finding, promised: &'p Promised) -> Option<&'p [u8]> {
    let changes = &promised.recipe.as_ref()?.changes;
    changes.iter().find_map(|change| match &change.action {
        Action::Write { content, .. } if (change.volume, &change.path) == (finding.volume, &finding.path) => {
            Some(content.as_slice())
        }
        _ => None,
    })
}

/// Whether a file differs in the values of these keys alone, and in nothing else but its content.
fn differs_only_in(card: &Card<'_>, finding: &Finding, promised: &Promised, keys: &[&str]) -> bool {
    let is_content = |text: &String| text.starts_with("its content differs");
    let (Some(wanted), Some(found)) = (wanted(finding, promised), card.content(finding)) else {
        return false;
    };
    finding.differences.iter().all(is_content) && masked(wanted, keys) == masked(&found, keys)
}

/// A text of lines `KEY: VALUE` without the values of these keys.
fn masked(text: &[u8], keys: &[&str]) -> Vec<String> {
    let line = |line: &str| match line.split_once(':') {
        Some((key, _)) if keys.contains(&key.trim()) => key.to_owned(),
        _ => line.to_owned(),
    };
    String::from_utf8_lossy(text).split('\n').map(line).collect()
}

fn is_other_certificate(card: &Card<'_>, finding: &Finding, promised: &Promised) -> bool {
    differs_only_in(card, finding, promised, &["client-certificate-data", "client-key-data"])
}

/// Where there is a bill it knows the id that was baked, and one that differs from that is found besides: its digest is
/// among the differences then.
fn has_only_another_id(card: &Card<'_>, finding: &Finding, promised: &Promised) -> bool {
    differs_only_in(card, finding, promised, &["instance-id"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_keys_are_left_out_and_all_else_counts() {
        let keys = ["instance-id"];
        let is_same = |a: &str, b: &str| masked(a.as_bytes(), &keys) == masked(b.as_bytes(), &keys);
        assert!(is_same("instance-id: a\nx: 1\n", "instance-id: b\nx: 1\n"));
        assert!(!is_same("instance-id: a\nx: 1\n", "instance-id: b\nx: 2\n"));
        assert!(!is_same("instance-id: a\n", "instance-id: a"));
        assert!(!is_same("  instance-id: a\n", "instance-id: a\n"));
    }
}

//! `pibake plan --diff IMAGE|DEVICE`: what a new bake would change on a card that was baked before.

use std::fmt::Write;
use std::path::Path;

use similar::TextDiff;

use crate::bake::{Difference, Differs};
use crate::cli::baked::baked;
use crate::cli::fleets::FleetFlags;
use crate::cli::json::{self, DifferentPath, DifferentPayload, PlannedDifference};
use crate::cli::named::look_anywhere;
use crate::cli::session::Session;
use crate::error::{Doing, Failure};
use crate::image_path::ImagePath;
use crate::node_paths::{META_DATA, PAYLOAD};
use crate::recipe::Access;
use crate::ui::{page_lines, visible, visible_line};
use crate::workflow::image::Looked;
use crate::workflow::{CardDifference, Described, NodeSelector, PayloadDifference};

/// Lines of context around each change, as `diff -u` has them.
const CONTEXT: usize = 3;

/// Compares the card at `path` with what would be baked for its node.
pub(super) fn show(
    described: &Described,
    path: &Path,
    fleet: &FleetFlags,
    session: &Session,
) -> Result<(), Failure> {
    let Looked { image, .. } = &look_anywhere(path, fleet, session)?;
    let comparing = || format!("comparing {}", path.display());
    let Some(card) = baked(image).doing(comparing)? else {
        let text = format!("{} is not the image of a node: pibake did not bake it", path.display());
        return Err(Failure::usage(text));
    };
    let project = &described.project;
    let selector = NodeSelector::Name(card.node.clone());
    let node = selector.find(&project.cluster).doing(|| {
        format!("{} is the card of {}, which the description does not have", path.display(), card.node)
    })?;
    let identity = project.existing_identity()?;
    let same_cluster = identity.as_ref().zip(card.ca_hash.as_ref()).map(|(ours, hash)| ours.ca_hash == *hash);
    let found = described.difference(node, image).doing(comparing)?;

    let (card, card_base64) = json::text(path);
    let document = PlannedDifference {
        card,
        card_base64,
        node: node.name.to_string(),
        same_cluster,
        lists_files: found.lists_files,
        base_here: found.is_base_here,
        changes: found.paths.iter().map(document).collect(),
        payload: found.payload.as_ref().map(|payload| DifferentPayload {
            added: names(&payload.added),
            removed: names(&payload.removed),
            changed: names(&payload.changed),
        }),
    };
    session.result(&document, || page(&document, &found, identity.is_some()))
}

fn document(difference: &Difference) -> DifferentPath {
    let Difference { volume, path, differs, secret } = difference;
    let (what, text) = match differs {
        Differs::Added => ("added", None),
        Differs::Removed => ("removed", None),
        Differs::Text { found, wanted } => ("changed", Some(unified(path, found, wanted))),
        Differs::Content => ("changed", None),
        Differs::Arguments { gone, new } => ("arguments", Some(arguments(gone, new))),
        Differs::Access { found, wanted } => ("access", Some(access(*found, *wanted))),
        Differs::Kind => ("kind", None),
    };
    let (partition, path) = (volume.label().to_owned(), path.to_string());
    DifferentPath { partition, path, what: what.to_owned(), secret: *secret, text }
}

/// A text as it is on the card and as it would be, as `diff -u` shows them.
fn unified(path: &ImagePath, found: &str, wanted: &str) -> String {
    let (card, new) = (format!("{path} on the card"), format!("{path} of a new bake"));
    TextDiff::from_lines(found, wanted).unified_diff().context_radius(CONTEXT).header(&card, &new).to_string()
}

fn arguments(gone: &[String], new: &[String]) -> String {
    let gone = gone.iter().map(|word| format!("-{word}\n"));
    gone.chain(new.iter().map(|word| format!("+{word}\n"))).collect()
}

fn access(found: Access, wanted: Access) -> String {
    let shown = |Access { mode, uid, gid }: Access| format!("{mode:04o} {uid}:{gid}");
    format!("{} becomes {}\n", shown(found), shown(wanted))
}

fn names(paths: &[ImagePath]) -> Vec<String> {
    let below = |path: &ImagePath| {
        let name = path.as_str();
        name.strip_prefix(PAYLOAD).map_or(name, |rest| rest.trim_start_matches('/')).to_owned()
    };
    paths.iter().map(below).collect()
}

/// All of it for people.
fn page(document: &PlannedDifference, found: &CardDifference, has_identity: bool) -> String {
    let mut text =
        page_lines("", &visible_line(&format!("{}, the card of {}", document.card, document.node)));
    let mut note = |words: &str| text += &page_lines("  ", words);
    if document.same_cluster == Some(false) {
        note("It belongs to another cluster than the one in .pibake: nothing secret is the same.");
    }
    if !has_identity {
        note("There is no .pibake here yet: the first build makes new secrets.");
    }
    if !found.lists_files {
        note(
            "It does not say what was baked onto it, as cards of older versions do not: files that are not written any more are not in this list.",
        );
    }
    if !found.is_base_here {
        note(
            "The base image is not in the cache: the kernel's arguments are compared with the card's own line alone.",
        );
    }
    for change in &document.changes {
        text.push('\n');
        text += &entry(change);
    }
    if let Some(payload) = &found.payload {
        text += &preloaded(payload);
    }
    text.push('\n');
    text + &page_lines("", &summary(document))
}

/// One path, and what of it differs.
fn entry(change: &DifferentPath) -> String {
    let secret = if change.secret { ", secret" } else { "" };
    let what = match (change.what.as_str(), change.secret) {
        ("changed", true) => "secret differs".to_owned(),
        ("access", _) => format!("owner or mode{secret}"),
        ("kind", _) => format!("something else{secret}"),
        ("arguments", _) => "the kernel's arguments".to_owned(),
        (what, _) => format!("{what}{secret}"),
    };
    let path = match change.partition.as_str() {
        "system-boot" => format!("{} (boot partition)", change.path),
        _ => change.path.clone(),
    };
    let mut text = format!("{}: {what}\n", visible_line(&path));
    for line in change.text.iter().flat_map(|text| text.lines()) {
        let _ = writeln!(text, "  {}", visible(line));
    }
    text
}

/// What is preloaded otherwise.
fn preloaded(payload: &PayloadDifference) -> String {
    let mut text = String::new();
    let all = [("added", &payload.added), ("removed", &payload.removed), ("changed", &payload.changed)];
    for (what, paths) in all.into_iter().filter(|(_, paths)| !paths.is_empty()) {
        let _ = writeln!(text, "\npreloaded, {what}:");
        for name in names(paths) {
            let _ = writeln!(text, "  {}", visible_line(&name));
        }
    }
    text
}

/// How much it is, in a sentence.
fn summary(document: &PlannedDifference) -> String {
    let count = |wanted: fn(&DifferentPath) -> bool| document.changes.iter().filter(|c| wanted(c)).count();
    let payload = document.payload.as_ref();
    let preloaded = payload.map_or(0, |p| p.added.len() + p.removed.len() + p.changed.len());
    let parts = [
        (count(|c| c.what == "added"), "added"),
        (count(|c| c.what == "removed"), "removed"),
        (count(|c| c.what != "added" && c.what != "removed" && !c.secret), "changed"),
        (count(|c| c.what != "added" && c.what != "removed" && c.secret), "with secrets that differ"),
        (preloaded, "of what is preloaded"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if parts.is_empty() {
        return "A new bake would change nothing of this.".to_owned();
    }
    let set_up = document.changes.iter().any(|change| change.path == META_DATA);
    let again =
        if set_up { " cloud-init would take the card for a new one, and set it up again." } else { "" };
    format!("A new bake would change files: {}.{again}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Volume;

    fn shown(differs: Differs, secret: bool) -> String {
        let path = ImagePath::new("/etc/x").unwrap();
        entry(&document(&Difference { volume: Volume::Root, path, differs, secret }))
    }

    #[test]
    fn each_difference_has_its_words() {
        let (found, wanted) = ("a\nb\n".to_owned(), "a\nc".to_owned());
        assert_eq!(
            shown(Differs::Text { found, wanted }, false),
            "/etc/x: changed\n  --- /etc/x on the card\n  +++ /etc/x of a new bake\n  @@ -1,2 +1,2 @@\n   a\n  -b\n  +c\n  \
             \\ No newline at end of file\n"
        );
        assert_eq!(shown(Differs::Content, true), "/etc/x: secret differs\n");
        assert_eq!(shown(Differs::Content, false), "/etc/x: changed\n");
        assert_eq!(shown(Differs::Added, true), "/etc/x: added, secret\n");
        assert_eq!(shown(Differs::Kind, false), "/etc/x: something else\n");
        let (found, wanted) = (Access::root(0o644), Access { mode: 0o640, uid: 0, gid: 65534 });
        assert_eq!(
            shown(Differs::Access { found, wanted }, false),
            "/etc/x: owner or mode\n  0644 0:0 becomes 0640 0:65534\n"
        );
        let arguments =
            Differs::Arguments { gone: vec!["splash".into()], new: vec!["a=1".into(), "b".into()] };
        assert_eq!(shown(arguments, false), "/etc/x: the kernel's arguments\n  -splash\n  +a=1\n  +b\n");
    }
}

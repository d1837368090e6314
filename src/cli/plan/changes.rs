//! `pibake plan --node N [PATH]`: what of a card differs from the base image, and what for.

use crate::bake::{Preparation, SHARED_MODE};
use crate::cli::json::{PlannedChange, PlannedChanges, PlannedFile};
use crate::cli::session::Session;
use crate::error::Failure;
use crate::image_path::ImagePath;
use crate::node_paths::{BOOT_MOUNT, FSTAB, PAYLOAD};
use crate::payload::PayloadFile;
use crate::recipe::{Recipe, Volume, show};
use crate::ui::{page_lines, visible, visible_line, visible_there};
use crate::workflow::verify::Listed;

/// What the changes are about, in the order of the page, and the folders that tell. The first that fits counts.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "Name and network",
        &["/etc/hostname", "/etc/hosts", "/etc/netplan/", "/etc/dhcp/", "/etc/default/isc-dhcp"],
    ),
    (
        "Access",
        &["/etc/ssh/", "/etc/sudoers", "/home/", "/root/", "/etc/cloud/cloud.cfg.d/98-pibake-password"],
    ),
    ("Packages", &["/etc/apt/", "/usr/share/keyrings/"]),
    ("Containers and Kubernetes", &["/etc/containerd/", "/etc/crictl", "/etc/kubernetes/", "/etc/pibake/"]),
    (
        "System",
        &["/etc/cloud/", FSTAB, "/etc/sysctl.d/", "/etc/modules-load.d/", "/etc/systemd/journald.conf.d/"],
    ),
    ("Units", &["/etc/systemd/"]),
    ("Preloaded", &[PAYLOAD]),
    ("First boot and upkeep", &["/usr/lib/pibake/", "/var/lib/pibake/"]),
];
const BOOT: &str = "Boot partition";
const CLEANED: &str = "Cleaned first, for the base was in use";
const OTHERS: &str = "Others";

/// The page of one node.
pub(super) fn list(
    recipe: &Recipe,
    before: &[Preparation],
    preloaded: &[PayloadFile],
    session: &Session,
) -> Result<(), Failure> {
    let prepared = before
        .iter()
        .map(|preparation| show::Line { what: preparation.to_string(), ..show::line(&preparation.change) });
    let change = |line: show::Line| PlannedChange {
        partition: line.volume.label().to_owned(),
        path: line.path.to_string(),
        what: line.what,
        mode: line.mode.map(|mode| format!("{mode:04o}")),
        bytes: line.size,
        secret: line.secret,
        why: line.why.map(str::to_owned),
    };
    let is_preloaded = |line: &show::Line| {
        line.volume == Volume::Root && preloaded.iter().any(|file| file.path == line.path)
    };
    let own = recipe.changes.iter().map(show::line).filter(|line| !is_preloaded(line));
    let shared = preloaded.iter().map(|file| PlannedChange {
        partition: Volume::Root.label().to_owned(),
        path: file.path.to_string(),
        what: "file".to_owned(),
        mode: Some(format!("{SHARED_MODE:04o}")),
        bytes: Some(file.size()),
        secret: false,
        why: Some(file.what.clone()),
    });
    let changes = prepared.chain(own).map(change).chain(shared).collect();
    let document = PlannedChanges { node: recipe.node.to_string(), changes };
    session.result(&document, || page(&document.changes, before.len()))
}

/// The page of a node that is in a registry, as its bill tells it: the files that pibake wrote, and of those with
/// secrets their names.
pub(super) fn of_bill(bill: &Listed, session: &Session) -> Result<(), Failure> {
    let change = |path: &ImagePath, mode: Option<u16>, secret: bool| {
        let on_boot = path.as_str().strip_prefix(BOOT_MOUNT).filter(|rest| rest.starts_with('/'));
        let (volume, path) = on_boot.map_or((Volume::Root, path.as_str()), |rest| (Volume::Boot, rest));
        PlannedChange {
            partition: volume.label().to_owned(),
            path: path.to_owned(),
            what: "file".to_owned(),
            mode: mode.map(|mode| format!("{mode:04o}")),
            bytes: None,
            secret,
            why: None,
        }
    };
    let plain =
        bill.files.iter().map(|file| change(&file.path, file.access.map(|access| access.mode), false));
    let secret = bill.secrets.iter().map(|path| change(path, None, true));
    let mut changes: Vec<PlannedChange> = plain.chain(secret).collect();
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    let document = PlannedChanges { node: bill.node.clone(), changes };
    session.result(&document, || page(&document.changes, 0))
}

/// The changes by what they are about; the first `cleaned` are those that come before the others.
fn page(changes: &[PlannedChange], cleaned: usize) -> String {
    let (cleaned, changes) = changes.split_at(cleaned.min(changes.len()));
    let mut text = String::new();
    let mut group = |name: &str, changes: &[&PlannedChange]| {
        if changes.is_empty() {
            return;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(name);
        text.push('\n');
        for change in changes {
            text += &entry(change);
        }
    };
    group(CLEANED, &cleaned.iter().collect::<Vec<_>>());
    for name in std::iter::once(BOOT).chain(GROUPS.map(|(name, _)| name)).chain([OTHERS]) {
        group(name, &changes.iter().filter(|change| about(change) == name).collect::<Vec<_>>());
    }
    text
}

fn about(change: &PlannedChange) -> &'static str {
    if change.partition == Volume::Boot.label() {
        return BOOT;
    }
    let fits = |folders: &[&str]| folders.iter().any(|folder| change.path.starts_with(folder));
    GROUPS.iter().find(|group| fits(group.1)).map_or(OTHERS, |group| group.0)
}

/// Its mode and size, its path, and below that what it is for.
fn entry(change: &PlannedChange) -> String {
    let mode = change.mode.as_deref().unwrap_or("-");
    let size = change.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let kind = if change.what == "file" { String::new() } else { format!(": {}", change.what) };
    let secret = if change.secret { ", secret" } else { "" };
    let what = format!("{}{kind}{secret}", change.path);
    let head = format!("  {mode:<4} {size:>6}  ");
    let why = change.why.as_deref().map(|why| page_lines(&" ".repeat(head.len() + 2), &visible(why)));
    format!("{head}{}\n{}", visible_line(&what), why.unwrap_or_default())
}

/// The text of one file, as the node sees it.
pub(super) fn file(
    recipe: &Recipe,
    preloaded: &[PayloadFile],
    path: &str,
    session: &Session,
) -> Result<(), Failure> {
    let path = ImagePath::new(path).map_err(|e| Failure::usage(e.to_string()))?;
    if let Some(file) = preloaded.iter().find(|file| file.path == path) {
        let text = file.text().unwrap_or_else(|| format!("({} bytes, {})\n", file.size(), file.what));
        let document = PlannedFile { node: recipe.node.to_string(), path: path.to_string(), text };
        return session.result(&document, || visible_there(&document.text).into_owned());
    }
    let found = show::at(recipe, &path);
    if found.is_empty() {
        let text =
            format!("nothing changes at {path} on {}; without a path, plan lists what does", recipe.node);
        return Err(Failure::usage(text));
    }
    let text = found.into_iter().map(show::text).collect();
    let document = PlannedFile { node: recipe.node.to_string(), path: path.to_string(), text };
    session.result(&document, || visible_there(&document.text).into_owned())
}

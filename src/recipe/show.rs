//! A recipe in words: what changes where, and a file's text, with nothing secret in either.

use super::overlays::purpose;
use super::{Action, Change, Recipe, Secrecy, Volume};
use crate::image_path::ImagePath;
use crate::node_paths;

/// One change of a recipe, for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file system.
    pub volume: Volume,
    /// The path on it.
    pub path: ImagePath,
    /// What happens: `file`, `directory`, `link to …`, `removed`, `arguments …`.
    pub what: String,
    /// Permission bits, where the change sets some.
    pub mode: Option<u16>,
    /// Bytes of content, where there is some.
    pub size: Option<u64>,
    /// It holds a secret, and is masked when shown.
    pub secret: bool,
    /// What it is for; `None` for a file of the user's.
    pub why: Option<&'static str>,
}

impl Volume {
    /// The label of the file system, by which it is found: `system-boot`, `writable`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Boot => "system-boot",
            Self::Root => "writable",
        }
    }
}

/// A change as a line of that table.
#[must_use]
pub fn line(change: &Change) -> Line {
    let (what, mode, size, secret) = match &change.action {
        Action::Write { content, access, secrecy } => {
            ("file".to_owned(), Some(access.mode), u64::try_from(content.len()).ok(), secrecy.is_secret())
        }
        Action::Directory { access } => ("directory".to_owned(), Some(access.mode), None, false),
        Action::Symlink { target } => (format!("link to {target}"), None, None, false),
        Action::Remove => ("removed".to_owned(), None, None, false),
        Action::Fstab => ("edited".to_owned(), None, None, false),
        Action::KernelArguments { .. } => {
            (format!("arguments {}", arguments(&change.action)), None, None, false)
        }
    };
    // FAT has no modes to set.
    let mode = mode.filter(|_| change.volume == Volume::Root);
    Line { volume: change.volume, path: change.path.clone(), what, mode, size, secret, why: why(change) }
}

/// What a change is for, where pibake makes it on its own account.
fn why(change: &Change) -> Option<&'static str> {
    let path = change.path.as_str();
    match (&change.action, path) {
        (Action::KernelArguments { .. }, _) => {
            Some("what Kubernetes needs of the kernel, and which disk it starts from")
        }
        (Action::Fstab, _) => Some("mounts this disk's own partitions, not another's with the same labels"),
        (Action::Symlink { .. }, _) if path.contains("/timers.target.wants/") => {
            Some("the timer runs from the start")
        }
        (Action::Symlink { .. }, _) if path.contains(".target.wants/") => Some("the unit is started at boot"),
        (_, node_paths::CA_CERTIFICATE) => Some("the cluster's CA, made with the cluster"),
        (_, node_paths::CA_KEY) => Some("the key of the cluster's CA"),
        (_, node_paths::HOST_KEY | node_paths::HOST_PUBLIC_KEY) => {
            Some("the host key that .pibake/known_hosts knows")
        }
        (_, node_paths::JOIN_CONF) => Some("what it joins with where its token is not accepted any more"),
        (_, node_paths::BACKUP_KEY) => {
            Some("what copies of etcd are encrypted with before other nodes get them")
        }
        (_, node_paths::BAKED) => Some("the list of what pibake baked, for pibake plan --diff"),
        (_, node_paths::RESTORED_COPY) => Some("the copy of etcd that this card begins with"),
        _ if path.strip_prefix(node_paths::MANIFESTS).is_some_and(|rest| rest.starts_with('/')) => {
            Some("a manifest of yours, applied once the API answers")
        }
        _ => purpose(change.volume, path),
    }
}

fn arguments(action: &Action) -> String {
    let Action::KernelArguments { line, set, unset } = action else { return String::new() };
    let own = line.iter().map(|line| line.trim_end().to_owned());
    let is_own = !set.iter().any(|argument| argument.as_str().starts_with("root="));
    let root = is_own.then(|| "+root=PARTUUID=…".to_owned());
    let set = set.iter().map(|argument| format!("+{argument}")).chain(root);
    own.chain(set).chain(unset.iter().map(|argument| format!("-{argument}"))).collect::<Vec<_>>().join(" ")
}

/// The changes at `path`, on either file system; a path under `/boot/firmware` means the boot
/// file system, which Ubuntu mounts there.
#[must_use]
pub fn at<'a>(recipe: &'a Recipe, path: &ImagePath) -> Vec<&'a Change> {
    let mounted = path.as_str().strip_prefix(node_paths::BOOT_MOUNT).filter(|rest| rest.starts_with('/'));
    let means = |change: &Change| {
        &change.path == path || (change.volume == Volume::Boot && Some(change.path.as_str()) == mounted)
    };
    recipe.changes.iter().filter(|change| means(change)).collect()
}

/// What a change makes of its path, as text. Meant for a [`super::preview`], in which pibake knows the
/// secrets and masks them, but for the user's own private files; those are not shown.
#[must_use]
pub fn text(change: &Change) -> String {
    match &change.action {
        Action::Write { secrecy: Secrecy::Secret, content, .. } => {
            format!("({} bytes, secret)\n", content.len())
        }
        Action::Write { content, .. } => String::from_utf8_lossy(content).into_owned(),
        Action::Symlink { target } => format!("{target}\n"),
        Action::KernelArguments { .. } => format!("{}\n", arguments(&change.action)),
        Action::Fstab => {
            "(what is mounted on / and as boot files, by the id of its partition: PARTUUID=…)\n".to_owned()
        }
        Action::Directory { .. } | Action::Remove => String::new(),
    }
}

//! What pibake put onto a card, as the card itself says it: `pibake plan --diff` tells by it which files a recipe does not
//! write any more, and which ones may be shown.
//!
//! One line for each path: what it is, the partition's label, and the path, in which a backslash and the end of a line
//! are escaped. Of a file without secrets the line has its SHA-256, of one with secrets nothing: who guesses what is
//! in it could try guesses on a digest.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Action, Change, Secrecy, Volume};
use crate::image_path::ImagePath;

const HEAD: &str =
    "# What pibake baked, and the SHA-256 of files without secrets: pibake plan --diff reads it.\n";

const SECRET: &str = "secret";
const DIRECTORY: &str = "directory";
const LINK: &str = "link";
const ABSENT: &str = "absent";
/// A file whose content is not known when the list is made.
const FILE: &str = "file";

/// What a card says that pibake put onto it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BakedList(BTreeMap<(Volume, ImagePath), Listed>);

/// What a path was when it was baked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Listed {
    Public([u8; 32]),
    Secret,
    Directory,
    /// What is shown or not by its mode alone.
    Other,
}

impl BakedList {
    /// The list of these changes, as text.
    pub(super) fn text(changes: &[Change]) -> String {
        let mut text = HEAD.to_owned();
        for Change { volume, path, action } in changes {
            let what = match action {
                Action::Write { secrecy: Secrecy::Secret | Secrecy::Masked, .. } => SECRET.to_owned(),
                Action::Write { content, .. } => hex::encode(Sha256::digest(content)),
                Action::Directory { .. } => DIRECTORY.to_owned(),
                Action::Symlink { .. } => LINK.to_owned(),
                Action::Remove => ABSENT.to_owned(),
                Action::KernelArguments { .. } | Action::Fstab => FILE.to_owned(),
            };
            let path = path.as_str().replace('\\', "\\\\").replace('\n', "\\n");
            text += &format!("{what} {} {path}\n", volume.label());
        }
        text
    }

    /// Reads a card's list; `None` if it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(entry).collect::<Option<_>>().map(Self)
    }

    /// The files and links that were baked, in order.
    pub fn files(&self) -> impl Iterator<Item = (Volume, &ImagePath)> {
        let is_file = |(_, listed): &(_, &Listed)| **listed != Listed::Directory;
        self.0.iter().filter(is_file).map(|((volume, path), _)| (*volume, path))
    }

    /// Whether what is at this path held a secret when it was baked.
    #[must_use]
    pub fn is_secret(&self, volume: Volume, path: &ImagePath) -> bool {
        self.0.get(&(volume, path.clone())) == Some(&Listed::Secret)
    }

    /// Whether the file at this path was baked without a secret in it and is still what was baked.
    #[must_use]
    pub fn is_as_baked(&self, volume: Volume, path: &ImagePath, content: &[u8]) -> bool {
        let listed = self.0.get(&(volume, path.clone()));
        matches!(listed, Some(Listed::Public(digest)) if *digest == <[u8; 32]>::from(Sha256::digest(content)))
    }
}

fn entry(line: &str) -> Option<((Volume, ImagePath), Listed)> {
    let mut parts = line.splitn(3, ' ');
    let (what, label, path) = (parts.next()?, parts.next()?, parts.next()?);
    let volume = [Volume::Boot, Volume::Root].into_iter().find(|volume| volume.label() == label)?;
    let listed = match what {
        SECRET => Listed::Secret,
        DIRECTORY => Listed::Directory,
        LINK | ABSENT | FILE => Listed::Other,
        digits => {
            let mut digest = [0; 32];
            hex::decode_to_slice(digits, &mut digest).ok()?;
            Listed::Public(digest)
        }
    };
    let mut plain = String::new();
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\\' => match rest.next()? {
                'n' => '\n',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(((volume, ImagePath::new(plain).ok()?), listed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Access;

    fn change(volume: Volume, path: &str, action: Action) -> Change {
        Change { volume, path: ImagePath::new(path).unwrap(), action }
    }

    fn file(path: &str, content: &str, secrecy: Secrecy) -> Change {
        let content = content.as_bytes().to_vec();
        change(Volume::Root, path, Action::Write { content, access: Access::root(0o600), secrecy })
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_tells_no_secret() {
        let odd = "/etc/a b\\n\nc";
        let changes = [
            change(
                Volume::Boot,
                "/cmdline.txt",
                Action::KernelArguments { line: None, set: vec![], unset: vec![] },
            ),
            file("/etc/hostname", "node-1\n", Secrecy::Public),
            file("/etc/token", "hunter2", Secrecy::Secret),
            file(odd, "", Secrecy::Public),
            change(Volume::Root, "/etc/d", Action::Directory { access: Access::root(0o755) }),
        ];
        let text = BakedList::text(&changes);
        assert!(text.contains("\nsecret writable /etc/token\n"), "{text}");
        assert!(!text.contains(&hex::encode(Sha256::digest("hunter2"))), "{text}");
        let list = BakedList::read(&text).unwrap();
        let files: Vec<_> = list.files().map(|(_, path)| path.as_str()).collect();
        assert_eq!(files, ["/cmdline.txt", odd, "/etc/hostname", "/etc/token"]);
        let at = |path: &str| ImagePath::new(path).unwrap();
        assert!(list.is_secret(Volume::Root, &at("/etc/token")));
        assert!(!list.is_secret(Volume::Root, &at("/etc/hostname")));
        assert!(list.is_as_baked(Volume::Root, &at("/etc/hostname"), b"node-1\n"));
        for (volume, path, content) in [
            (Volume::Root, "/etc/hostname", &b"node-2\n"[..]),
            (Volume::Boot, "/etc/hostname", b"node-1\n"),
            (Volume::Root, "/etc/token", b"hunter2"),
            (Volume::Root, "/etc/none", b""),
        ] {
            assert!(!list.is_as_baked(volume, &at(path), content), "{path}");
        }
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_one() {
        assert_eq!(BakedList::read(""), Some(BakedList::default()));
        for text in [
            "x",
            "file writable",
            "file other /a",
            "file writable a",
            "f00 writable /a",
            "file writable /a\\x",
        ] {
            assert_eq!(BakedList::read(text), None, "{text}");
        }
    }
}

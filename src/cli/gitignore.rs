//! Keeps git away from folders that pibake makes for what holds a cluster's secrets.

use std::io;

use crate::io::{Folder, Owner};

/// What tells git.
pub(super) const GITIGNORE: &str = ".gitignore";

/// Has git leave all that is in `folder` alone, itself included; one that says already what git is to do stays. `what`
/// is what lies there, with its verb: "Images hold".
pub(super) fn close_to_git(folder: &Folder, what: &str, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    let text =
        format!("# {what} the secrets of their cluster: nothing of this belongs into a repository.\n*\n");
    match folder.write_new(GITIGNORE, text.as_bytes(), mode, owner) {
        // Perhaps by another pibake, of the same moment.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

//! Owner and mode of what is there.

use crate::fs::Metadata;
use crate::recipe::Access;

/// Who may do what with a path; FAT keeps nothing of that.
pub(super) fn access_of(found: &Metadata) -> Option<Access> {
    found.attributes.map(|a| Access { mode: a.mode, uid: a.uid, gid: a.gid })
}

//! Who may log in.

use super::Secret;

/// Who may log in on the nodes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The login name.
    pub user: String,
    /// Public keys that may log in, each a line as in `authorized_keys`. Where there is none,
    /// [`crate::identity::Identity::authorized_keys`] gives the pair made for the cluster.
    pub ssh_keys: Vec<String>,
    /// The login's password on console and for sudo; none by default.
    pub password: Option<Password>,
    /// Whether sshd takes the password too.
    pub ssh_password: bool,
}

/// A password as the user gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// In clear; only its hash gets on a card.
    Plain(Secret),
    /// As crypt(3) keeps it: `$6$…` and the like.
    Hash(Secret),
}

//! What differs between two locks.

/// Something that another lock has otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is: `the package kubeadm`.
    pub what: String,
    /// What it was; `None` where it is new.
    pub before: Option<String>,
    /// What it is now; `None` where it is gone.
    pub after: Option<String>,
}

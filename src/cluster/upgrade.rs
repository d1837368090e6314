//! What becomes of the packages of the image once the node runs.

/// Which packages of the image are upgraded, at the end of the first boot and daily after that. Kubernetes is held,
/// and containerd keeps its line, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upgrade {
    /// Security updates, by unattended-upgrades, which Ubuntu's images have.
    #[default]
    Security,
    /// All that the archive has, as the book's `apt-get upgrade`.
    All,
    /// None.
    None,
}

impl Upgrade {
    /// As `system.upgrade` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

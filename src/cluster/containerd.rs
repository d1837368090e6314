//! containerd: its versions, and what each of them can be told.

use std::fmt;
use std::str::FromStr;

use super::version::numbers;

/// A version of containerd: a line such as `1.7` or `2.1`, or exactly `1.7.27`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerdVersion {
    /// 1 or 2: decides the form of config.toml.
    pub major: u16,
    /// The number after it.
    pub minor: u16,
    /// The patch release; the newest of the line where it is not given.
    pub patch: Option<u16>,
}

/// Which package of containerd is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerdSource {
    /// The distribution's own, `containerd`, which brings its security fixes.
    Distribution,
    /// `containerd.io` of Docker's repository, which brings runc with it.
    Docker,
}

impl ContainerdSource {
    /// As `kubernetes.containerd-from` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Docker => "docker",
        }
    }

    /// The package's name.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Distribution => "containerd",
            Self::Docker => "containerd.io",
        }
    }
}

impl ContainerdVersion {
    /// The newest patch release of a line.
    #[must_use]
    pub const fn line(major: u16, minor: u16) -> Self {
        Self { major, minor, patch: None }
    }
}

impl fmt::Display for ContainerdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

impl FromStr for ContainerdVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        numbers(text).map(|(major, minor, patch)| Self { major, minor, patch })
    }
}

/// What differs between versions in their config.toml. Read in containerd's source, tag by tag.
impl ContainerdVersion {
    /// Whether the CRI plugin reads `registry.config_path` (pkg/cri/config/config.go, from 1.5.0 on).
    /// 1.4 is told of mirrors in config.toml itself.
    pub(crate) fn reads_config_path(self) -> bool {
        self.since(1, 5, 0)
    }

    /// Whether the CRI plugin knows `image_pull_with_sync_fs` (same file; 1.7.14, 2.0.0), which has
    /// what it unpacks on the disk before it counts as there.
    pub(crate) fn syncs_pulls(self) -> bool {
        self.since(1, 7, 14)
    }

    /// Whether the diff service knows `sync_fs` (services/diff/local.go; 1.7.26, 2.0.0): the same
    /// for every client that unpacks by that service. From 2.1 on the CRI plugin does not, unless
    /// `image_pull_with_sync_fs` takes it back to it (`CheckLocalImagePullConfigs`).
    pub(crate) fn syncs_diffs(self) -> bool {
        self.since(1, 7, 26)
    }

    /// Whether the folders of CNI plugins are a list, `cni.bin_dirs` (internal/cri/config/config.go, from 2.1.0 on, where
    /// `bin_dir` is deprecated).
    pub(crate) fn lists_cni_folders(self) -> bool {
        self.since(2, 1, 0)
    }

    /// Whether it is this release or a later one. A line stands for its newest release, and the
    /// newest of 1.7 has all that was brought back to that line.
    fn since(self, major: u16, minor: u16, patch: u16) -> bool {
        (self.major, self.minor, self.patch.unwrap_or(u16::MAX)) >= (major, minor, patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_is_told_what_it_knows() {
        for (version, config_path, pulls, diffs, folders) in [
            ("1.4", false, false, false, false),
            ("1.4.13", false, false, false, false),
            ("1.5", true, false, false, false),
            ("1.6", true, false, false, false),
            ("1.6.39", true, false, false, false),
            ("1.7.13", true, false, false, false),
            ("1.7.14", true, true, false, false),
            ("1.7.25", true, true, false, false),
            ("1.7.26", true, true, true, false),
            ("1.7", true, true, true, false),
            ("2.0.0", true, true, true, false),
            ("2.0", true, true, true, false),
            ("2.1.0", true, true, true, true),
            ("2.3", true, true, true, true),
        ] {
            let v: ContainerdVersion = version.parse().unwrap();
            let knows = (v.reads_config_path(), v.syncs_pulls(), v.syncs_diffs(), v.lists_cni_folders());
            assert_eq!(knows, (config_path, pulls, diffs, folders), "{version}");
        }
    }
}

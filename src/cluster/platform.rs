//! What the releases that images are made of differ in.

use super::{Cgroup, ContainerdSource, ContainerdVersion};
use crate::error::{Classified, ErrorClass};

pub use super::minors::{NEWEST_KUBERNETES, OLDEST_KUBERNETES};

/// What is known of one release of an operating system on a Pi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// `20.04`; also what `base.platform` takes.
    pub name: &'static str,
    /// `ID` of its os-release.
    pub id: &'static str,
    /// `VERSION_ID` of its os-release.
    pub version: &'static str,
    /// Code name, the suite of package sources.
    pub codename: &'static str,
    /// The hierarchy that systemd mounts when the command line says nothing.
    pub cgroup: Cgroup,
    /// Whether its systemd can mount the legacy hierarchies at all (gone with 258).
    pub has_cgroup_v1: bool,
    /// Whether netplan knows `regulatory-domain` (from 0.105); else the country goes on the
    /// kernel's command line.
    pub netplan_sets_country: bool,
    /// Whether its netplan is 1.0.1 or newer: it knows WPA3 (`key-management: sae`), and writes the
    /// name of a radio network in a form in which wpa_supplicant takes a backslash for the beginning
    /// of an escape sequence.
    pub netplan_1: bool,
    /// Whether its cloud-init knows `chpasswd.users` (from 22.3); it is told of `chpasswd.list`,
    /// which newer ones complain of, otherwise.
    pub chpasswd_users: bool,
    /// The lines of containerd that are known to work and where they come from, the preferred first.
    pub containerd: &'static [(ContainerdSource, ContainerdVersion)],
}

use ContainerdSource::{Distribution, Docker};

const V1: ContainerdVersion = ContainerdVersion::line(1, 7);
/// What containerd's own table (its RELEASES.md) has for Kubernetes 1.35 and 1.36. Ubuntu has it in main: 2.2.1 in the
/// updates of jammy and noble, 2.2.2 in resolute (packages.ubuntu.com), with fixes as long as the release is supported.
const V2: ContainerdVersion = ContainerdVersion::line(2, 2);

/// All that is known.
pub(super) const PLATFORMS: [Platform; 5] = [
    // systemd 245, cgroup v1, kernel 5.4, netplan 0.104. Docker's repository stopped at
    // containerd.io 1.7.27 when it dropped focal (May 2025).
    Platform {
        name: "20.04",
        id: "ubuntu",
        version: "20.04",
        codename: "focal",
        cgroup: Cgroup::V1,
        has_cgroup_v1: true,
        netplan_sets_country: false,
        netplan_1: false,
        chpasswd_users: false,
        containerd: &[(Docker, V1)],
    },
    // systemd 249, cgroup v2, kernel 5.15, netplan 0.104 at release and 0.106 in its updates: the
    // image may hold either, so the country goes where both read it.
    Platform {
        name: "22.04",
        id: "ubuntu",
        version: "22.04",
        codename: "jammy",
        cgroup: Cgroup::V2,
        has_cgroup_v1: true,
        netplan_sets_country: false,
        netplan_1: false,
        chpasswd_users: true,
        containerd: &[(Distribution, V2), (Docker, V2), (Docker, V1)],
    },
    // systemd 255, cgroup v2, kernel 6.8, netplan 1.0 and later.
    Platform {
        name: "24.04",
        id: "ubuntu",
        version: "24.04",
        codename: "noble",
        cgroup: Cgroup::V2,
        has_cgroup_v1: true,
        netplan_sets_country: true,
        netplan_1: true,
        chpasswd_users: true,
        containerd: &[(Distribution, V2), (Docker, V2), (Docker, V1)],
    },
    // systemd 259, cgroup v2 alone, kernel 7.0, netplan 1.2, cloud-init 26.1.
    Platform {
        name: "26.04",
        id: "ubuntu",
        version: "26.04",
        codename: "resolute",
        cgroup: Cgroup::V2,
        has_cgroup_v1: false,
        netplan_sets_country: true,
        netplan_1: true,
        chpasswd_users: true,
        containerd: &[(Distribution, V2), (Docker, V2)],
    },
    // Not an image for Pis, but a root file system with their layout can be made of it: systemd
    // 252, cgroup v2, kernel 6.1, netplan 0.106. Its own containerd is 1.6, which has ended.
    Platform {
        name: "debian-12",
        id: "debian",
        version: "12",
        codename: "bookworm",
        cgroup: Cgroup::V2,
        has_cgroup_v1: true,
        netplan_sets_country: true,
        netplan_1: false,
        chpasswd_users: true,
        containerd: &[(Docker, V2), (Docker, V1)],
    },
];

/// A system that nothing is known of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the image's os-release says {found}, which pibake does not know; it knows {}. \
     Set base.platform to the one that it is most like",
    names()
)]
pub struct UnknownPlatform {
    /// What the image says of itself.
    pub found: String,
}

impl Classified for UnknownPlatform {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

/// The names of all platforms, for messages.
#[must_use]
pub fn names() -> String {
    PLATFORMS.map(|p| p.name).join(", ")
}

impl Platform {
    /// What people call it: `Ubuntu 24.04`, `Debian 12`.
    pub(super) fn title(&self) -> String {
        let name = if self.id == "debian" { "Debian" } else { "Ubuntu" };
        format!("{name} {}", self.version)
    }

    /// The platform of this name, `22.04`, or of an image release of it, `22.04.5`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let release = |p: &Self| {
            name.strip_prefix(p.name).is_some_and(|rest| {
                rest.is_empty() || p.id == "ubuntu" && rest.strip_prefix('.').is_some_and(is_number)
            })
        };
        PLATFORMS.into_iter().find(release)
    }

    /// The platform that an image says it is in its `/etc/os-release` (os-release(5)).
    pub fn from_os_release(text: &str) -> Result<Self, UnknownPlatform> {
        let value = |key: &str| {
            let line = text.lines().rev().find_map(|l| l.trim().strip_prefix(key)?.strip_prefix('='));
            line.map(|v| v.trim().trim_matches(['"', '\'']).to_owned())
        };
        let (id, version) = (value("ID"), value("VERSION_ID"));
        let known = |p: &Self| Some(p.id) == id.as_deref() && Some(p.version) == version.as_deref();
        PLATFORMS.into_iter().find(known).ok_or_else(|| {
            let or_nothing = |v: Option<String>| v.unwrap_or_else(|| "nothing".to_owned());
            UnknownPlatform { found: format!("ID={} VERSION_ID={}", or_nothing(id), or_nothing(version)) }
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_say_what_they_are() {
        let focal = "NAME=\"Ubuntu\"\nVERSION=\"20.04.5 LTS (Focal Fossa)\"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"20.04\"\n";
        assert_eq!(Platform::from_os_release(focal).map(|p| p.name), Ok("20.04"));
        let bookworm = "PRETTY_NAME='Debian GNU/Linux 12'\nVERSION_ID='12'\nID=debian\n";
        assert_eq!(Platform::from_os_release(bookworm).map(|p| p.codename), Ok("bookworm"));
    }

    #[test]
    fn what_is_unknown_is_said_with_the_way_out() {
        let message = |text| Platform::from_os_release(text).unwrap_err().to_string();
        insta::assert_snapshot!(message("ID=ubuntu\nVERSION_ID=\"25.10\"\n"), @"the image's os-release says ID=ubuntu VERSION_ID=25.10, which pibake does not know; it knows 20.04, 22.04, 24.04, 26.04, debian-12. Set base.platform to the one that it is most like");
        assert!(message("").contains("ID=nothing VERSION_ID=nothing"));
    }

    #[test]
    fn releases_name_their_platform() {
        for (name, platform) in
            [("20.04", "20.04"), ("20.04.5", "20.04"), ("24.04.3", "24.04"), ("26.04", "26.04")]
        {
            assert_eq!(Platform::named(name).map(|p| p.name), Some(platform));
        }
        for name in ["", "20.040", "20.04.x", "20.04.", "sample", "debian-12.1", "./20.04"] {
            assert_eq!(Platform::named(name), None, "{name}");
        }
    }
}

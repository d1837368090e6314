//! What differs between minor versions of Kubernetes: the one table, and the bounds beside it. A minor version that is
//! newer than the table gets what the newest in it gets.

use time::{Date, Month};

use super::KubernetesVersion;
use super::day::day;

/// One minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Minor {
    /// The number after `1.`.
    pub(super) minor: u16,
    /// Its last day of support: the "End Of Life Date" of its page below <https://kubernetes.io/releases/>, of older
    /// ones in the history of <https://kubernetes.io/releases/patch-releases/>.
    pub(super) end: Date,
    /// The tag of its pause image: `PauseVersion` in cmd/kubeadm/app/constants.
    pub(super) pause: &'static str,
    /// The newest configuration API that its kubeadm reads: v1beta3 came with 1.22, v1beta4 with 1.31.
    pub(super) kubeadm_api: &'static str,
}

const fn row(minor: u16, end: Date, pause: &'static str, kubeadm_api: &'static str) -> Minor {
    Minor { minor, end, pause, kubeadm_api }
}

/// All that are known, oldest first.
pub(super) const MINORS: [Minor; 18] = [
    row(20, day(2022, Month::February, 28), "3.2", "v1beta2"),
    row(21, day(2022, Month::June, 28), "3.4.1", "v1beta2"),
    row(22, day(2022, Month::October, 28), "3.5", "v1beta3"),
    row(23, day(2023, Month::February, 28), "3.6", "v1beta3"),
    row(24, day(2023, Month::July, 28), "3.7", "v1beta3"),
    row(25, day(2023, Month::October, 27), "3.8", "v1beta3"),
    row(26, day(2024, Month::February, 28), "3.9", "v1beta3"),
    row(27, day(2024, Month::July, 16), "3.9", "v1beta3"),
    row(28, day(2024, Month::October, 22), "3.9", "v1beta3"),
    row(29, day(2025, Month::February, 28), "3.9", "v1beta3"),
    row(30, day(2025, Month::July, 15), "3.9", "v1beta3"),
    row(31, day(2025, Month::November, 11), "3.10", "v1beta4"),
    row(32, day(2026, Month::February, 28), "3.10", "v1beta4"),
    row(33, day(2026, Month::June, 28), "3.10", "v1beta4"),
    row(34, day(2026, Month::October, 27), "3.10.1", "v1beta4"),
    row(35, day(2027, Month::February, 28), "3.10.1", "v1beta4"),
    row(36, day(2027, Month::June, 28), "3.10.2", "v1beta4"),
    row(37, day(2027, Month::October, 28), "3.10.2", "v1beta4"),
];

/// The oldest minor version that this version of pibake knows.
pub const OLDEST_KUBERNETES: u16 = MINORS[0].minor;
/// The newest one (released August 2026).
pub const NEWEST_KUBERNETES: u16 = MINORS[MINORS.len() - 1].minor;
/// So many newer ones are taken as they come, three years' worth; beyond that a number is a slip.
const MOST_AHEAD: u16 = 9;

/// Dual-stack is there for good since this one: the feature gate IPv6DualStack is true and locked (pkg/features). In 1.21 and
/// 1.22 it is beta, in 1.20 each component must be told; all three have ended.
pub(super) const FIRST_DUAL_STACK: u16 = 23;
/// kubelet's `failCgroupV1` is true by default after this one.
pub(super) const LAST_ON_CGROUP_V1: u16 = 34;
/// The last that works with containerd 1.x, which cannot tell the kubelet its cgroup driver. The removal was put off
/// twice, from 1.36 to 1.38 (kubernetes/enhancements#6087, May 2026).
pub(super) const LAST_ON_CONTAINERD_1: u16 = 37;
/// The last that containerd's own table (its RELEASES.md) has a 1.x for, and so the newest that is chosen for it
/// unasked.
pub(super) const NEWEST_TESTED_ON_CONTAINERD_1: u16 = 35;
/// The first kubelet that speaks CRI v1; containerd 2 speaks nothing older.
pub(super) const FIRST_WITH_CRI_V1: u16 = 23;
/// The first kubelet that speaks CRI v1 only, which containerd has from 1.6 on.
pub(super) const FIRST_WITH_CRI_V1_ONLY: u16 = 26;
/// The oldest that pkgs.k8s.io has packages of.
pub(super) const FIRST_IN_REPOSITORY: u16 = 24;

/// What is wrong with a version of Kubernetes wherever it may run.
pub(super) fn check(version: KubernetesVersion) -> Result<KubernetesVersion, String> {
    if (OLDEST_KUBERNETES..=NEWEST_KUBERNETES + MOST_AHEAD).contains(&version.minor) {
        return Ok(version);
    }
    Err(format!("Kubernetes {version} is unknown; known are 1.{OLDEST_KUBERNETES} to 1.{NEWEST_KUBERNETES}"))
}

impl KubernetesVersion {
    /// What is known of its minor version.
    pub(super) fn known(self) -> Option<&'static Minor> {
        MINORS.iter().find(|known| known.minor == self.minor)
    }

    /// The row whose forms it takes: its own or, where it is newer than all, the newest.
    fn forms(self) -> &'static Minor {
        MINORS.iter().rfind(|known| known.minor <= self.minor).unwrap_or(&MINORS[0])
    }

    /// The tag of its pause image.
    pub(super) fn pause(self) -> &'static str {
        self.forms().pause
    }

    /// The configuration API that its kubeadm is told in.
    pub(crate) fn kubeadm_api(self) -> &'static str {
        self.forms().kubeadm_api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_minor_version_once_in_order() {
        assert!(
            MINORS.windows(2).all(|rows| rows[0].minor + 1 == rows[1].minor && rows[0].end < rows[1].end)
        );
    }

    #[test]
    fn newer_ones_take_the_newest_forms() {
        let of = KubernetesVersion::minor;
        for (minor, pause, api) in [
            (20, "3.2", "v1beta2"),
            (22, "3.5", "v1beta3"),
            (30, "3.9", "v1beta3"),
            (31, "3.10", "v1beta4"),
            (35, "3.10.1", "v1beta4"),
            (NEWEST_KUBERNETES, MINORS[17].pause, "v1beta4"),
            (NEWEST_KUBERNETES + 1, MINORS[17].pause, "v1beta4"),
            (NEWEST_KUBERNETES + MOST_AHEAD, MINORS[17].pause, "v1beta4"),
        ] {
            assert_eq!((of(minor).pause(), of(minor).kubeadm_api()), (pause, api), "1.{minor}");
            assert!(check(of(minor)).is_ok());
        }
        assert!(check(of(19)).is_err() && check(of(NEWEST_KUBERNETES + MOST_AHEAD + 1)).is_err());
    }
}

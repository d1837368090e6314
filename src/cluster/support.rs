//! Until when what runs on the nodes gets security fixes: the dates of systems and of containerd, those of Kubernetes
//! are in [`super::minors`].

use std::fmt;

use time::{Date, Month, OffsetDateTime};

use super::day::day;
use super::platform::Platform;
use super::{Cgroup, Cluster, ContainerdSource, ContainerdVersion, Software};
use crate::catalog::Spec;

/// The last day of standard support of each platform.
///
/// Ubuntu: <https://ubuntu.com/about/release-cycle>, and 20.04 by its announcement (May 31, 2025). Debian: the end of
/// LTS, <https://wiki.debian.org/LTS>. Days as in Debian's package distro-info-data.
const SYSTEMS: [(&str, Date); 5] = [
    ("20.04", day(2025, Month::May, 31)),
    ("22.04", day(2027, Month::June, 1)),
    ("24.04", day(2029, Month::May, 31)),
    ("26.04", day(2031, Month::May, 29)),
    ("debian-12", day(2028, Month::June, 30)),
];

/// The last day of each line of containerd: its RELEASES.md,
/// <https://github.com/containerd/containerd/blob/main/RELEASES.md>. 1.7 ended "September 2026".
const CONTAINERD: [(ContainerdVersion, Date); 8] = [
    (ContainerdVersion::line(1, 4), day(2022, Month::March, 3)),
    (ContainerdVersion::line(1, 5), day(2023, Month::February, 28)),
    (ContainerdVersion::line(1, 6), day(2025, Month::August, 23)),
    (ContainerdVersion::line(1, 7), day(2026, Month::September, 30)),
    (ContainerdVersion::line(2, 0), day(2025, Month::November, 7)),
    (ContainerdVersion::line(2, 1), day(2026, Month::July, 3)),
    (ContainerdVersion::line(2, 2), day(2026, Month::November, 6)),
    (ContainerdVersion::line(2, 3), day(2028, Month::April, 30)),
];

/// The day (of UTC) on which these tables and those of minors.rs were last held against their sources. A release
/// sets it to its own: no clock is right that says an earlier one.
pub const WRITTEN: Date = day(2026, Month::November, 26);

/// A time of some weeks later, in seconds since 1970: no clock of a test is before [`WRITTEN`], whatever a release sets that
/// to.
#[cfg(test)]
pub(crate) fn now_for_tests() -> i64 {
    WRITTEN.midnight().assume_utc().unix_timestamp() + 30 * 24 * 60 * 60
}

/// What is proposed instead of a base that has ended, the preferred first. 24.04 starts on every board from the Pi 3
/// to the Pi 5, whatever its bootloader; 26.04 wants one of November 2022 on a Pi 4, of February 2025 on a Pi 5.
const PROPOSED: [&str; 2] = ["24.04", "26.04"];

/// What of a cluster gets no security fixes any more, and what to write instead; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfSupport {
    /// What it is, and since when.
    pub ended: Vec<(String, Date)>,
    /// What to do about it, in words.
    pub instead: Vec<String>,
}

impl fmt::Display for OutOfSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended: Vec<_> = self.ended.iter().map(|(what, on)| format!("{what} since {on}")).collect();
        write!(f, "out of support: {}", ended.join(", "))?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; {} instead", self.instead.join(" and ")) }
    }
}

impl Cluster {
    /// What of this cluster's nodes, as they would be made over `platform` with `software`, is out of support at
    /// `now` (seconds since 1970). A base that does not boot has nothing to support.
    #[must_use]
    pub fn out_of_support(&self, platform: &Platform, software: &Software, now: i64) -> Option<OutOfSupport> {
        if self.base.image == Spec::Sample {
            return None;
        }
        let today = OffsetDateTime::from_unix_timestamp(now).ok()?.date();
        let is_over = |end: Option<Date>| end.filter(|end| today > *end);
        let (kubernetes, containerd) = (software.kubernetes, software.containerd);
        let line = ContainerdVersion { patch: None, ..containerd };
        let base_end = is_over(of(&SYSTEMS, &platform.name));
        let kubernetes_end = is_over(kubernetes.known().map(|known| known.end));
        // The distribution looks after its own, as long as after all else of it.
        let is_own = software.containerd_from == ContainerdSource::Distribution;
        let containerd_end = is_over(of(&CONTAINERD, &line)).filter(|_| !is_own);
        let ended = [
            base_end.map(|end| (platform.title(), end)),
            kubernetes_end.map(|end| (format!("Kubernetes {kubernetes}"), end)),
            containerd_end.map(|end| (format!("containerd {containerd}"), end)),
        ];
        let ended: Vec<_> = ended.into_iter().flatten().collect();
        if ended.is_empty() {
            return None;
        }

        let proposed = PROPOSED.iter().filter(|name| is_over(of(&SYSTEMS, *name)).is_none());
        let proposed =
            proposed.filter_map(|name| Platform::named(name)).next().filter(|_| base_end.is_some());
        // What would run there without the settings that keep it old.
        let mut free = self.clone();
        (free.kubernetes.version, free.kubernetes.containerd, free.kubernetes.cgroup) = (None, None, None);
        let newer = free.software(proposed.as_ref().unwrap_or(platform)).ok();

        let (mut instead, mut settings) = (Vec::new(), Vec::new());
        match (&proposed, &self.base.image) {
            (Some(other), Spec::Path(_) | Spec::Url(_)) => {
                instead.push(format!("take a base image of Ubuntu {}", other.name));
            }
            (Some(other), _) => settings.push(format!("image = \"{}\" in [base]", other.name)),
            (None, _) => {}
        }
        let asked = &self.kubernetes;
        if let Some(newer) =
            newer.as_ref().filter(|newer| kubernetes_end.is_some() && newer.kubernetes > kubernetes)
        {
            if asked.version.is_some() {
                settings.push(format!("version = \"{}\" in [kubernetes]", newer.kubernetes));
            } else if asked.cgroup.is_some_and(|cgroup| cgroup != newer.cgroup) {
                settings.push(format!("cgroup = \"{}\" in [kubernetes]", newer.cgroup));
            } else if asked.containerd.is_none() && proposed.is_none() && platform.cgroup == Cgroup::V2 {
                instead.push(format!("upgrade the running cluster to Kubernetes {}", newer.kubernetes));
            }
        }
        if let Some(newer) = newer.filter(|newer| containerd_end.is_some() && newer.containerd > containerd)
            && asked.containerd.is_some()
        {
            settings.push(format!("containerd = \"{}\" in [kubernetes]", newer.containerd));
        }
        if !settings.is_empty() {
            instead.push(format!("write {}", settings.join(" and ")));
        }
        Some(OutOfSupport { ended, instead })
    }
}

fn of<K: PartialEq>(table: &[(K, Date)], key: &K) -> Option<Date> {
    table.iter().find(|(known, _)| known == key).map(|(_, end)| *end)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Overrides;
    use crate::cluster::platform::PLATFORMS;

    fn said(text: &str, today: Date) -> Option<String> {
        let cluster = Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default()).unwrap();
        let platform = cluster.stated_platform().unwrap();
        let software = cluster.software(&platform).unwrap();
        let now = today.midnight().assume_utc().unix_timestamp();
        cluster.out_of_support(&platform, &software, now).map(|out| out.to_string())
    }

    #[test]
    fn everything_that_can_run_has_an_end() {
        for platform in PLATFORMS {
            assert!(of(&SYSTEMS, &platform.name).is_some(), "{}", platform.name);
            for (_, line) in platform.containerd {
                assert!(of(&CONTAINERD, line).is_some(), "{line}");
            }
        }
    }

    #[test]
    fn what_is_out_of_support_is_said_in_one_line_with_what_to_write() {
        let lines: Vec<String> = [
            "",
            "[base]\nimage = \"24.04\"\n[kubernetes]\nversion = \"1.33\"\n",
            "[kubernetes]\nversion = \"1.31.4\"\ncontainerd = \"1.7\"\n",
            "[base]\nimage = \"22.04\"\n[kubernetes]\ncgroup = \"v1\"\n",
            "[base]\nimage = \"./own.img\"\nplatform = \"20.04\"\n",
        ]
        .iter()
        .map(|text| {
            format!("{text:?}\n  {}\n", said(text, day(2026, Month::November, 26)).unwrap_or_default())
        })
        .collect();
        insta::assert_snapshot!(lines.concat());
    }

    #[test]
    fn the_last_day_of_support_is_still_in_it() {
        let text = "[base]\nimage = \"24.04\"\n[kubernetes]\nversion = \"1.37\"\n";
        let last = day(2027, Month::October, 28);
        let line = |today| said(text, today).unwrap_or_default();
        assert!(!line(last).contains("Kubernetes 1.37 since"), "{}", line(last));
        assert!(line(last.next_day().unwrap()).contains("Kubernetes 1.37 since 2027-10-28"));
        // Nothing is known to be there instead; that is no reason to keep silent.
        assert!(line(day(2040, Month::January, 1)).contains("Ubuntu 24.04 since 2029-05-31"));
        assert_eq!(said("[base]\nimage = \"sample\"\nplatform = \"20.04\"\n", last), None);
    }
}

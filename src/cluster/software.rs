//! What exactly runs on a platform: the versions that follow from description and platform.

use super::minors::{
    FIRST_DUAL_STACK, FIRST_IN_REPOSITORY, FIRST_WITH_CRI_V1, FIRST_WITH_CRI_V1_ONLY, LAST_ON_CGROUP_V1,
    LAST_ON_CONTAINERD_1, NEWEST_KUBERNETES, NEWEST_TESTED_ON_CONTAINERD_1,
};
use super::platform::Platform;
use super::problem::Problem;
use super::{
    Cgroup, Cluster, ContainerdSource, ContainerdVersion, KubeadmImages, KubernetesVersion, coredns, defaults,
};

/// The versions that run on every node, decided for one cluster on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// Kubernetes.
    pub kubernetes: KubernetesVersion,
    /// containerd; `major` decides the form of its config.toml.
    pub containerd: ContainerdVersion,
    /// Which package it comes in.
    pub containerd_from: ContainerdSource,
    /// The hierarchy of control groups.
    pub cgroup: Cgroup,
    /// The value of `systemd.unified_cgroup_hierarchy` on the kernel's command line, where
    /// `cgroup` is not what the platform does by itself.
    pub unified_cgroup_argument: Option<bool>,
    /// The whole reference of the pause image.
    pub pause_image: String,
    /// What kubeadm is told as `dns.imageRepository`, where the images' registry alone would have it
    /// ask for a CoreDNS that is not there.
    pub coredns_repository: Option<String>,
}

/// What is wrong with a version of containerd wherever it may run.
pub(super) fn check_containerd(version: ContainerdVersion) -> Result<ContainerdVersion, String> {
    match (version.major, version.minor) {
        // 1.4 is the first that knows cgroup v2.
        (1, 4..=7) | (2, _) => Ok(version),
        _ => Err(format!("containerd {version} is unknown; known are 1.4 to 1.7 and 2.x")),
    }
}

impl Cluster {
    /// Decides what runs on `platform`; refuses what cannot run there, with the way out.
    pub fn software(&self, platform: &Platform) -> Result<Software, Problem> {
        let asked = &self.kubernetes;
        let cgroup = asked.cgroup.unwrap_or(platform.cgroup);
        let fail = |key: &str, message| Err(self.origins.problem(key, message));

        if let Some(fault) = self.radio_fault(platform) {
            return Err(fault);
        }
        if cgroup == Cgroup::V1 && !platform.has_cgroup_v1 {
            let message = format!(
                "systemd on {} has no cgroup v1: leave it out, or take an older base image",
                platform.name
            );
            return fail("kubernetes.cgroup", message);
        }
        let newest = match cgroup {
            Cgroup::V1 => LAST_ON_CGROUP_V1,
            Cgroup::V2 if platform.cgroup == Cgroup::V2 => NEWEST_KUBERNETES,
            // Where v2 was asked for on an older system, containerd there sets the limit.
            Cgroup::V2 if platform.containerd.iter().all(|(_, c)| c.major == 1) => {
                NEWEST_TESTED_ON_CONTAINERD_1
            }
            Cgroup::V2 => NEWEST_KUBERNETES,
        };
        let newest = match asked.containerd {
            Some(containerd) if containerd.major == 1 => newest.min(NEWEST_TESTED_ON_CONTAINERD_1),
            _ => newest,
        };
        let kubernetes = asked.version.unwrap_or(KubernetesVersion::minor(newest));
        if cgroup == Cgroup::V1 && kubernetes.minor > LAST_ON_CGROUP_V1 {
            return fail("kubernetes.version", self.cgroup_v1_refusal(kubernetes, platform));
        }
        if self.network.ipv6.is_some() && kubernetes.minor < FIRST_DUAL_STACK {
            let message = format!(
                "Kubernetes {kubernetes} does not run clusters of IPv4 and IPv6 without switching on what was not \
                 finished then: take 1.{FIRST_DUAL_STACK} or newer, or leave [network.ipv6] out"
            );
            return fail("kubernetes.version", message);
        }
        if kubernetes.minor < FIRST_IN_REPOSITORY && self.sources.kubernetes.url == defaults::KUBERNETES {
            let message = format!(
                "pkgs.k8s.io has no packages of Kubernetes {kubernetes}, they begin at \
                 1.{FIRST_IN_REPOSITORY}: take a newer one, or set sources.kubernetes.url to a \
                 repository that has it"
            );
            return fail("kubernetes.version", message);
        }

        let (containerd_from, containerd) = self.containerd(platform, kubernetes)?;

        let registry = &self.sources.image_registry;
        let coredns_repository = match coredns::repository(kubernetes, registry, self.sources.image_layout) {
            Ok(repository) => repository,
            Err(fault) => return fail("sources.image-layout", fault),
        };

        Ok(Software {
            coredns_repository,
            kubernetes,
            containerd,
            containerd_from,
            cgroup,
            unified_cgroup_argument: (cgroup != platform.cgroup).then_some(cgroup == Cgroup::V2),
            pause_image: asked
                .pause_image
                .clone()
                .unwrap_or_else(|| format!("{registry}/pause:{}", kubernetes.pause())),
        })
    }

    /// What kubeadm asks for on the nodes that run `software`, where its package is of this patch release.
    #[must_use]
    pub fn kubeadm_images(&self, software: &Software, patch: u16) -> KubeadmImages {
        let registry = &self.sources.image_registry;
        KubeadmImages::of(software.kubernetes.minor, patch, registry, software.coredns_repository.as_deref())
    }

    /// Which containerd runs `kubernetes` on `platform`, and which package it comes in.
    fn containerd(
        &self,
        platform: &Platform,
        kubernetes: KubernetesVersion,
    ) -> Result<(ContainerdSource, ContainerdVersion), Problem> {
        const FROM: &str = "kubernetes.containerd-from";
        let asked = &self.kubernetes;
        let fail = |key: &str, message| Err(self.origins.problem(key, message));
        // Who names a repository or a key of Docker's wants it to be used.
        let names_docker = ["url", "key-url", "key-file", "fingerprint"]
            .iter()
            .any(|key| self.origins.is_set(&format!("sources.docker.{key}")));
        let from = asked.containerd_from.or_else(|| names_docker.then_some(ContainerdSource::Docker));
        let offered: Vec<_> = platform
            .containerd
            .iter()
            .copied()
            .filter(|(source, _)| from.is_none_or(|f| f == *source))
            .collect();
        let lines = |offered: &[(_, ContainerdVersion)]| {
            offered.iter().map(|(_, line)| line.to_string()).collect::<Vec<_>>().join(" or ")
        };
        let Some(first) = offered.first().copied() else {
            let message =
                format!("{} has no containerd of its own that is known to work: leave it out", platform.name);
            return fail(FROM, message);
        };
        let fits =
            |(_, line): &(ContainerdSource, ContainerdVersion)| containerd_fault(kubernetes, *line).is_none();
        let key = if asked.containerd.is_some() { "kubernetes.containerd" } else { "kubernetes.version" };
        let (source, version) = match asked.containerd {
            // An exact release is in a repository that keeps more than the newest.
            Some(version) => {
                let is_line = |(source, line): &(ContainerdSource, ContainerdVersion)| {
                    (line.major, line.minor) == (version.major, version.minor)
                        && (version.patch.is_none() || *source == ContainerdSource::Docker)
                };
                let source = offered.iter().copied().find(is_line).map(|(source, _)| source);
                (source.or(from).unwrap_or(ContainerdSource::Docker), version)
            }
            None => offered.iter().copied().find(fits).unwrap_or(first),
        };
        if let Some(fault) = containerd_fault(kubernetes, version) {
            let remedy = match offered.iter().find(|offer| fits(offer)) {
                Some((_, other)) => format!("take containerd {other}"),
                None if version.major == 1 => format!(
                    "{} has none newer: take Kubernetes 1.{LAST_ON_CONTAINERD_1} or older, or a newer base image",
                    platform.name
                ),
                None => "take a newer Kubernetes".to_owned(),
            };
            return fail(key, format!("{fault}; {remedy}"));
        }
        let in_line = |line: &ContainerdVersion| match source {
            ContainerdSource::Docker => line.major == version.major,
            ContainerdSource::Distribution => (line.major, line.minor) == (version.major, version.minor),
        };
        let has_line = offered.iter().any(|(other, line)| *other == source && in_line(line));
        match source {
            ContainerdSource::Docker if !has_line && self.sources.docker.url == defaults::DOCKER => {
                let message = format!(
                    "Docker's repository has no containerd {version} for {}: take {}, or set sources.docker.url to a \
                     repository that has it",
                    platform.name,
                    lines(&offered)
                );
                fail(key, message)
            }
            ContainerdSource::Distribution if !has_line => fail(
                key,
                format!(
                    "the containerd of {} itself is {}: take that, or containerd-from = \"docker\"",
                    platform.name,
                    lines(&offered)
                ),
            ),
            ContainerdSource::Docker | ContainerdSource::Distribution => Ok((source, version)),
        }
    }

    fn cgroup_v1_refusal(&self, kubernetes: KubernetesVersion, platform: &Platform) -> String {
        let last = LAST_ON_CGROUP_V1;
        let mut options = vec![format!("take 1.{last} or older")];
        if platform.cgroup == Cgroup::V1 {
            let enough = kubernetes.minor <= LAST_ON_CONTAINERD_1
                || platform.containerd.iter().any(|(_, c)| c.major > 1)
                || self.kubernetes.containerd.is_some_and(|c| c.major > 1);
            if enough {
                options.push("set kubernetes.cgroup = \"v2\"".to_owned());
            }
            options.push("take a newer base image".to_owned());
        } else {
            options.push("drop kubernetes.cgroup = \"v1\"".to_owned());
        }
        let what = if platform.cgroup == Cgroup::V1 {
            "which is what this base image runs"
        } else {
            "which is asked for"
        };
        format!(
            "the kubelet of Kubernetes {kubernetes} does not start on cgroup v1, {what} ({}): {}",
            platform.name,
            options.join(", or ")
        )
    }
}

fn containerd_fault(kubernetes: KubernetesVersion, containerd: ContainerdVersion) -> Option<String> {
    let minor = kubernetes.minor;
    if containerd.major == 1 && minor > LAST_ON_CONTAINERD_1 {
        return Some(format!(
            "Kubernetes {kubernetes} needs containerd 2: 1.{LAST_ON_CONTAINERD_1} is the last that supports containerd {containerd}"
        ));
    }
    if containerd.major == 2 && minor < FIRST_WITH_CRI_V1 {
        return Some(format!(
            "Kubernetes {kubernetes} speaks CRI v1alpha2 only, which containerd {containerd} no longer does"
        ));
    }
    if containerd.major == 1 && containerd.minor < 6 && minor >= FIRST_WITH_CRI_V1_ONLY {
        return Some(format!(
            "Kubernetes {kubernetes} speaks CRI v1 only, which containerd {containerd} does not know yet"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kubernetes_has_the_containerds_that_it_speaks_with() {
        for (minor, line, fits) in [
            (20, (1, 4), true),
            (20, (2, 0), false),
            (22, (2, 2), false),
            (23, (2, 2), true),
            (25, (1, 5), true),
            (26, (1, 5), false),
            (26, (1, 6), true),
            (37, (1, 7), true),
            (37, (2, 3), true),
            (38, (1, 7), false),
            (38, (2, 3), true),
        ] {
            let containerd = ContainerdVersion::line(line.0, line.1);
            let fault = containerd_fault(KubernetesVersion::minor(minor), containerd);
            assert_eq!(fault.is_none(), fits, "1.{minor} on {containerd}: {fault:?}");
        }
    }
}

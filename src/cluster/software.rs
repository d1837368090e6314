//! What exactly runs on a platform: the versions that follow from description and platform.

use super::platform::{LAST_KUBERNETES_ON_CGROUP_V1, NEWEST_KUBERNETES, OLDEST_KUBERNETES, Platform};
use super::problem::Problem;
use super::{
    Cgroup, Cluster, ContainerdVersion, KubeadmImages, KubernetesVersion, coredns, defaults, images,
};

/// The versions that run on every node, decided for one cluster on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// Kubernetes.
    pub kubernetes: KubernetesVersion,
    /// containerd; `major` decides the form of its config.toml.
    pub containerd: ContainerdVersion,
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

/// The last Kubernetes that works with containerd 1.x, which cannot tell the kubelet its cgroup driver.
/// The removal was put off twice, from 1.36 to 1.38 (kubernetes/enhancements#6087, May 2026).
const LAST_ON_CONTAINERD_1: u16 = 37;
/// The last Kubernetes that containerd's own table (its RELEASES.md) has a 1.x for, and so the newest
/// that is chosen for it unasked.
const NEWEST_TESTED_ON_CONTAINERD_1: u16 = 35;
/// The first kubelet that speaks CRI v1; containerd 2 speaks nothing older.
const FIRST_WITH_CRI_V1: u16 = 23;
/// The first kubelet that speaks CRI v1 only, which containerd has from 1.6 on.
const FIRST_WITH_CRI_V1_ONLY: u16 = 26;
/// The oldest minor version that pkgs.k8s.io has packages of.
const FIRST_IN_REPOSITORY: u16 = 24;

/// What is wrong with a version of Kubernetes wherever it may run.
pub(super) fn check_kubernetes(version: KubernetesVersion) -> Result<KubernetesVersion, String> {
    if (OLDEST_KUBERNETES..=NEWEST_KUBERNETES).contains(&version.minor) {
        return Ok(version);
    }
    Err(format!("Kubernetes {version} is unknown; known are 1.{OLDEST_KUBERNETES} to 1.{NEWEST_KUBERNETES}"))
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
        let newest = match cgroup {
            Cgroup::V1 => LAST_KUBERNETES_ON_CGROUP_V1,
            Cgroup::V2 if platform.cgroup == Cgroup::V2 => NEWEST_KUBERNETES,
            // Where v2 was asked for on an older system, containerd there sets the limit.
            Cgroup::V2 if platform.containerd.iter().all(|c| c.major == 1) => NEWEST_TESTED_ON_CONTAINERD_1,
            Cgroup::V2 => NEWEST_KUBERNETES,
        };
        let newest = match asked.containerd {
            Some(containerd) if containerd.major == 1 => newest.min(NEWEST_TESTED_ON_CONTAINERD_1),
            _ => newest,
        };
        let kubernetes = asked.version.unwrap_or(KubernetesVersion::minor(newest));
        if cgroup == Cgroup::V1 && kubernetes.minor > LAST_KUBERNETES_ON_CGROUP_V1 {
            return fail("kubernetes.version", self.cgroup_v1_refusal(kubernetes, platform));
        }
        if kubernetes.minor < FIRST_IN_REPOSITORY && self.sources.kubernetes.url == defaults::KUBERNETES {
            let message = format!(
                "pkgs.k8s.io has no packages of Kubernetes {kubernetes}, they begin at \
                 1.{FIRST_IN_REPOSITORY}: take a newer one, or set sources.kubernetes.url to a \
                 repository that has it"
            );
            return fail("kubernetes.version", message);
        }

        let fits = |c: &ContainerdVersion| containerd_fault(kubernetes, *c).is_none();
        let known = platform.containerd.iter().copied();
        let key = if asked.containerd.is_some() { "kubernetes.containerd" } else { "kubernetes.version" };
        let containerd = match asked.containerd.or(known.clone().find(fits)).or(known.clone().next()) {
            Some(containerd) => containerd,
            None => return fail(key, format!("no containerd is known for {}", platform.name)),
        };
        if let Some(fault) = containerd_fault(kubernetes, containerd) {
            let remedy = match known.clone().find(fits) {
                Some(other) => format!("take containerd {other}"),
                None if containerd.major == 1 => format!(
                    "{} has none newer: take Kubernetes 1.{LAST_ON_CONTAINERD_1} or older, or a newer base image",
                    platform.name
                ),
                None => "take a newer Kubernetes".to_owned(),
            };
            return fail(key, format!("{fault}; {remedy}"));
        }
        let has_line = known.clone().any(|c| c.major == containerd.major);
        if !has_line && self.sources.docker.url == defaults::DOCKER {
            let message = format!(
                "Docker's repository has no containerd {containerd} for {}: take {}, or set \
                 sources.docker.url to a repository that has it",
                platform.name,
                known.map(|c| c.to_string()).collect::<Vec<_>>().join(" or ")
            );
            return fail(key, message);
        }

        let registry = &self.sources.image_registry;
        let coredns_repository = match coredns::repository(kubernetes, registry, self.sources.image_layout) {
            Ok(repository) => repository,
            Err(fault) => return fail("sources.image-layout", fault),
        };

        Ok(Software {
            coredns_repository,
            kubernetes,
            containerd,
            cgroup,
            unified_cgroup_argument: (cgroup != platform.cgroup).then_some(cgroup == Cgroup::V2),
            pause_image: asked
                .pause_image
                .clone()
                .unwrap_or_else(|| format!("{registry}/pause:{}", images::pause(kubernetes))),
        })
    }

    /// What kubeadm asks for on the nodes that run `software`, where its package is of this patch release.
    #[must_use]
    pub fn kubeadm_images(&self, software: &Software, patch: u16) -> KubeadmImages {
        let registry = &self.sources.image_registry;
        KubeadmImages::of(software.kubernetes.minor, patch, registry, software.coredns_repository.as_deref())
    }

    fn cgroup_v1_refusal(&self, kubernetes: KubernetesVersion, platform: &Platform) -> String {
        let last = LAST_KUBERNETES_ON_CGROUP_V1;
        let mut options = vec![format!("take 1.{last} or older")];
        if platform.cgroup == Cgroup::V1 {
            let enough = kubernetes.minor <= LAST_ON_CONTAINERD_1
                || platform.containerd.iter().any(|c| c.major > 1)
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

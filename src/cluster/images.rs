//! The images that kubeadm asks for, which its releases name differently.

use super::{KubernetesVersion, coredns};

/// What a release of kubeadm asks for beside the images that have its own version, and the pause image, which is that of
/// its minor version.
struct Release {
    /// The first release that asks for these: the minor version and the patch release.
    since: (u16, u16),
    etcd: &'static str,
    coredns: &'static str,
}

const fn since(minor: u16, patch: u16, [etcd, coredns]: [&'static str; 2]) -> Release {
    Release { since: (minor, patch), etcd, coredns }
}

/// `kubeadm config images list` of every release up to 1.36.3, as minikube runs it and notes what it says
/// (pkg/minikube/constants/constants_kubeadm_images.go at eb25dbc703, August 2026), and of 1.36.4 and 1.37.0, as
/// clusters of these list their images. A release that is not there asks for what the one before it does.
const RELEASES: [Release; 43] = [
    since(20, 0, ["3.4.13-0", "1.7.0"]),
    since(21, 0, ["3.4.13-0", "v1.8.0"]),
    since(22, 0, ["3.5.0-0", "v1.8.4"]),
    since(22, 17, ["3.5.6-0", "v1.8.4"]),
    since(23, 0, ["3.5.1-0", "v1.8.6"]),
    since(23, 14, ["3.5.5-0", "v1.8.6"]),
    since(23, 15, ["3.5.6-0", "v1.8.6"]),
    since(24, 0, ["3.5.3-0", "v1.8.6"]),
    since(24, 8, ["3.5.5-0", "v1.8.6"]),
    since(24, 9, ["3.5.6-0", "v1.8.6"]),
    since(25, 0, ["3.5.4-0", "v1.9.3"]),
    since(25, 4, ["3.5.5-0", "v1.9.3"]),
    since(25, 5, ["3.5.6-0", "v1.9.3"]),
    since(25, 15, ["3.5.9-0", "v1.9.3"]),
    since(26, 0, ["3.5.6-0", "v1.9.3"]),
    since(26, 10, ["3.5.9-0", "v1.9.3"]),
    since(26, 13, ["3.5.10-0", "v1.9.3"]),
    since(27, 0, ["3.5.7-0", "v1.10.1"]),
    since(27, 7, ["3.5.9-0", "v1.10.1"]),
    since(27, 10, ["3.5.10-0", "v1.10.1"]),
    since(27, 12, ["3.5.12-0", "v1.10.1"]),
    since(28, 0, ["3.5.9-0", "v1.10.1"]),
    since(28, 6, ["3.5.10-0", "v1.10.1"]),
    since(28, 8, ["3.5.12-0", "v1.10.1"]),
    since(28, 14, ["3.5.15-0", "v1.10.1"]),
    since(29, 0, ["3.5.10-0", "v1.11.1"]),
    since(29, 3, ["3.5.12-0", "v1.11.1"]),
    since(29, 9, ["3.5.15-0", "v1.11.1"]),
    since(29, 11, ["3.5.16-0", "v1.11.1"]),
    since(30, 0, ["3.5.12-0", "v1.11.1"]),
    since(30, 5, ["3.5.15-0", "v1.11.3"]),
    since(31, 0, ["3.5.15-0", "v1.11.1"]),
    since(31, 1, ["3.5.15-0", "v1.11.3"]),
    since(31, 14, ["3.5.24-0", "v1.11.3"]),
    since(32, 0, ["3.5.16-0", "v1.11.3"]),
    since(32, 10, ["3.5.24-0", "v1.11.3"]),
    since(33, 0, ["3.5.21-0", "v1.12.0"]),
    since(33, 6, ["3.5.24-0", "v1.12.0"]),
    since(34, 0, ["3.6.4-0", "v1.12.1"]),
    since(34, 2, ["3.6.5-0", "v1.12.1"]),
    since(35, 0, ["3.6.6-0", "v1.13.1"]),
    since(36, 0, ["3.6.8-0", "v1.14.2"]),
    since(37, 0, ["3.7.0-0", "v1.14.6"]),
];

/// The images that kubeadm asks for, each a whole reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeadmImages {
    /// Those that the control plane alone runs: the API server and the others in its manifests.
    pub control_plane: Vec<String>,
    /// Those that any node may run. CoreDNS is started on the first node and may be moved to another.
    pub any_node: Vec<String>,
}

impl KubeadmImages {
    /// What kubeadm of this release asks for, with all images in `registry` but CoreDNS's, which is in
    /// `coredns_repository` where that is given (`dns.imageRepository`).
    pub(super) fn of(minor: u16, patch: u16, registry: &str, coredns_repository: Option<&str>) -> Self {
        let release = release(minor, patch);
        let own = |name| format!("{registry}/{name}:v1.{minor}.{patch}");
        let dns = coredns::image(minor, patch, registry, coredns_repository);
        let names = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let etcd = format!("{registry}/etcd:{}", release.etcd);
        Self {
            control_plane: names.map(own).into_iter().chain([etcd]).collect(),
            any_node: vec![
                own("kube-proxy"),
                format!("{dns}:{}", release.coredns),
                format!("{registry}/pause:{}", KubernetesVersion::minor(minor).pause()),
            ],
        }
    }
}

fn release(minor: u16, patch: u16) -> &'static Release {
    RELEASES.iter().rev().find(|release| release.since <= (minor, patch)).unwrap_or(&RELEASES[0])
}

#[cfg(test)]
mod tests {
    use super::super::minors::{NEWEST_KUBERNETES, OLDEST_KUBERNETES};
    use super::*;

    #[test]
    fn each_minor_version_has_images_of_its_own_and_releases_are_in_order() {
        assert!(RELEASES.is_sorted_by_key(|release| release.since));
        for minor in OLDEST_KUBERNETES..=NEWEST_KUBERNETES {
            assert!(RELEASES.iter().any(|release| release.since == (minor, 0)), "1.{minor}");
        }
    }

    /// Lists of `kubeadm config images list`, as users have noted them.
    #[test]
    fn what_kubeadm_lists_is_known() {
        for (minor, patch, registry, coredns, listed) in [
            (20, 2, "k8s.gcr.io", None, ["coredns:1.7.0", "etcd:3.4.13-0", "pause:3.2"]),
            (24, 10, "registry.k8s.io", None, ["coredns/coredns:v1.8.6", "etcd:3.5.6-0", "pause:3.7"]),
            (27, 2, "registry.k8s.io", None, ["coredns/coredns:v1.10.1", "etcd:3.5.7-0", "pause:3.9"]),
            (34, 1, "registry.k8s.io", None, ["coredns/coredns:v1.12.1", "etcd:3.6.4-0", "pause:3.10.1"]),
            (34, 1, "r.lan/k8s", None, ["coredns:v1.12.1", "etcd:3.6.4-0", "pause:3.10.1"]),
            (
                34,
                1,
                "r.lan/k8s",
                Some("r.lan/k8s/coredns"),
                ["coredns/coredns:v1.12.1", "etcd:3.6.4-0", "pause:3.10.1"],
            ),
            (36, 4, "registry.k8s.io", None, ["coredns/coredns:v1.14.2", "etcd:3.6.8-0", "pause:3.10.2"]),
        ] {
            let images = KubeadmImages::of(minor, patch, registry, coredns);
            let all: Vec<&String> = images.control_plane.iter().chain(&images.any_node).collect();
            assert_eq!(all.len(), 7);
            for name in listed {
                assert!(all.contains(&&format!("{registry}/{name}")), "1.{minor}.{patch}: {name} in {all:?}");
            }
            for name in ["apiserver", "controller-manager", "scheduler", "proxy"] {
                let name = format!("{registry}/kube-{name}:v1.{minor}.{patch}");
                assert!(all.contains(&&name), "{name} in {all:?}");
            }
        }
    }
}

//! The packages of the distribution that a node installs by name, and why. What a package of
//! Kubernetes or of Docker depends on changes between its builds, and so is not counted on.

use std::ops::RangeInclusive;

use super::apt::kubernetes_packages;
use crate::cluster::platform::OLDEST_KUBERNETES;
use crate::cluster::{Cluster, Node, Software};

/// A package, and who asks for it.
struct Needed {
    package: &'static str,
    /// The minor versions of Kubernetes that it is for.
    minors: RangeInclusive<u16>,
    /// Whether the gateway alone needs it.
    gateway: bool,
}

const fn always(package: &'static str) -> Needed {
    Needed { package, minors: OLDEST_KUBERNETES..=u16::MAX, gateway: false }
}

const fn preflight(package: &'static str, last: u16) -> Needed {
    Needed { package, minors: OLDEST_KUBERNETES..=last, gateway: false }
}

const fn gateway(package: &'static str) -> Needed {
    Needed { gateway: true, ..always(package) }
}

/// kubeadm's preflight looks for programs by name (`InPathCheck`, in checks.go up to 1.25 and in
/// checks_linux.go after, both in Kubernetes' cmd/kubeadm/app/preflight). It refuses to go on without
/// conntrack up to 1.31 (kubernetes#126953), `ip` and iptables up to 1.32 (#129131), and crictl up to
/// 1.30, which comes with Kubernetes' own packages. It warns where there is no ebtables or socat up to
/// 1.31 (#127151 and its backports), no ethtool or `tc` up to 1.32 (#129131).
const NEEDED: [Needed; 11] = [
    // stage keyrings
    always("ca-certificates"),
    always("curl"),
    always("gnupg"),
    // stage network
    always("iproute2"),
    preflight("conntrack", 31),
    preflight("ebtables", 31),
    preflight("socat", 31),
    preflight("ethtool", 32),
    preflight("iptables", 32),
    gateway("isc-dhcp-server"),
    // /usr/lib/pibake/nat
    gateway("iptables"),
];

/// What a node installs before all else.
pub(super) fn base(minor: u16, is_gateway: bool) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for needed in NEEDED.iter().filter(|n| n.minors.contains(&minor) && (is_gateway || !n.gateway)) {
        if !packages.contains(&needed.package) {
            packages.push(needed.package);
        }
    }
    packages
}

/// All that a node installs by name.
#[must_use]
pub fn packages(cluster: &Cluster, node: &Node, software: &Software) -> Vec<&'static str> {
    let is_gateway = node.is_control_plane() && cluster.network.gateway().is_some();
    let base = base(software.kubernetes.minor, is_gateway);
    base.into_iter().chain([software.containerd_from.package()]).chain(kubernetes_packages()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::platform::NEWEST_KUBERNETES;

    #[test]
    fn each_kubeadm_finds_what_its_preflight_looks_for() {
        for minor in OLDEST_KUBERNETES..=NEWEST_KUBERNETES + 1 {
            for is_gateway in [false, true] {
                let has = base(minor, is_gateway);
                let wants = |package: &str, last: u16| {
                    assert!(minor > last || has.contains(&package), "1.{minor}: {package}");
                };
                wants("conntrack", 31);
                wants("socat", 31);
                wants("ebtables", 31);
                wants("ethtool", 32);
                wants("iptables", 32);
                wants("iproute2", u16::MAX);
                assert_eq!(has.contains(&"isc-dhcp-server"), is_gateway);
                assert!(!is_gateway || has.contains(&"iptables"));
                let mut once = has.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), has.len(), "{has:?}");
            }
        }
    }
}

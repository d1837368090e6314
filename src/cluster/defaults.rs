//! Every default of a cluster, with where it comes from. "The book" is the appendix of
//! "Kubernetes: Up and Running", 3rd edition, that builds a cluster of Raspberry Pis by hand.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Fingerprint, Ttl};
use crate::boards;

/// Name of the cluster in kubeconfig files: kubeadm's own default (`kubeadmapi.DefaultClusterName`).
pub const NAME: &str = "kubernetes";
/// The book's domain (its dhcpd.conf).
pub(super) const DOMAIN: &str = "cluster.home";
/// The book builds four machines.
pub const NODES: u16 = 4;
/// The book's network: node-1 is 10.0.0.1/24.
pub(super) const SUBNET: Ipv4Net = net([10, 0, 0, 0], 24);
/// The Ethernet port of every board; `net.ifnames=0` keeps this name on every release.
pub(super) const INTERFACE: &str = boards::PORT;
/// The onboard radio.
pub(super) const WIFI_INTERFACE: &str = "wlan0";
/// A second Ethernet card, on USB, under `net.ifnames=0`.
pub const UPLINK_INTERFACE: &str = "eth1";
/// The book's DNS servers (its dhcpd.conf).
pub(super) const DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];
/// `default-lease-time` of the book's dhcpd.conf, in seconds.
pub(super) const DEFAULT_LEASE_SECONDS: u32 = 600;
/// `max-lease-time` of the book's dhcpd.conf, in seconds.
pub(super) const MAX_LEASE_SECONDS: u32 = 7200;
/// Addresses at the top of the subnet for machines that are no nodes. The book hands out ten, the
/// server's own among them.
pub(super) const POOL_SIZE: u32 = 50;
/// `--pod-network-cidr` of the book, and the network of flannel's manifest.
pub(super) const PODS: Ipv4Net = net([10, 244, 0, 0], 16);
/// kubeadm's default service network (`DefaultServicesSubnet`).
pub(super) const SERVICES: Ipv4Net = net([10, 96, 0, 0], 12);
/// Flannel's image. Its release v0.28.9 names this pair in Documentation/kube-flannel.yml, which the
/// baked manifest is written after.
pub const FLANNEL_IMAGE: &str = "ghcr.io/flannel-io/flannel:v0.28.9";
/// The CNI plugin's image of the same kube-flannel.yml.
pub const FLANNEL_CNI_PLUGIN_IMAGE: &str = "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3";
/// kubeadm's default since 1.25; older ones know it as k8s.gcr.io, which is frozen.
pub(super) const IMAGE_REGISTRY: &str = "registry.k8s.io";
/// The user that Ubuntu's images have and the book logs in as.
pub const USER: &str = "ubuntu";
/// How long a node may take until it joins: long enough for boards that come weeks later, and an end
/// to what a lost card that never joined is good for.
pub(super) const TOKEN_TTL: Ttl = Ttl::hours(90 * 24);
/// How long the administrator is let in: nobody is locked out who did not ask for it.
pub(super) const ADMIN_TTL: Ttl = Ttl::NEVER;
/// Ubuntu's archive for arm64, as in the image's sources.list.
pub const UBUNTU: &str = "http://ports.ubuntu.com/ubuntu-ports";
/// Docker's repository, which holds containerd.io (docs.docker.com/engine/install/ubuntu).
pub(super) const DOCKER: &str = "https://download.docker.com/linux/ubuntu";
/// Docker's key (same page).
pub(super) const DOCKER_KEY: &str = "https://download.docker.com/linux/ubuntu/gpg";
/// Fingerprint of Docker's key (same page): 9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88.
pub const DOCKER_FINGERPRINT: Fingerprint = Fingerprint::new([
    0x9d, 0xc8, 0x58, 0x22, 0x9f, 0xc7, 0xdd, 0x38, 0x85, 0x4a, 0xe2, 0xd8, 0x8d, 0x81, 0x80, 0x3c, 0x0e,
    0xbf, 0xcd, 0x88,
]);
/// The Kubernetes repository, one for each minor version
/// (kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm).
pub const KUBERNETES: &str = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb";
/// The key of the Kubernetes repository (same page).
pub(super) const KUBERNETES_KEY: &str = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/Release.key";
/// Fingerprint of the key of the Kubernetes repository: DE15 B144 86CD 377B 9E87 6E1A 2346 54DA 9A29 6436.
pub const KUBERNETES_FINGERPRINT: Fingerprint = Fingerprint::new([
    0xde, 0x15, 0xb1, 0x44, 0x86, 0xcd, 0x37, 0x7b, 0x9e, 0x87, 0x6e, 0x1a, 0x23, 0x46, 0x54, 0xda, 0x9a,
    0x29, 0x64, 0x36,
]);

/// The network with this address and prefix length; one that cannot be does not compile.
pub(super) const fn net([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

//! What templates see. docs/overlays.md lists it for those who write their own.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::apt::{self, Apt};
use super::dhcp::{self, Dhcp};
use super::firewall;
use super::first_boot::{self, Setting};
use super::inputs::Inputs;
use super::kubeadm::{self, Kubeadm};
use super::netplan;
use super::proxy::{self, ProxySettings};
use super::registries::{self, Registry};
use super::secrets::{CardSecrets, reveal, reveal_some};
use crate::boards::{Board, BootFrom};
use crate::cluster::{Cluster, Mode, Node, NodeName, Secret, UplinkAddressing};

/// Port of the API server, kubeadm's default.
const API_PORT: u16 = 6443;

/// Everything that a template may print. What a node has not got is `none`, so that a misspelt
/// name stays an error.
#[derive(Debug, Serialize)]
pub(super) struct Context {
    cluster: String,
    domain: String,
    node: Peer,
    nodes: Vec<Peer>,
    network: NetworkView,
    uplink: Option<UplinkView>,
    netplan: Vec<netplan::Group>,
    dhcp: Option<Dhcp>,
    api: Api,
    login: Login,
    apt: Apt,
    proxy: Option<ProxySettings>,
    ntp: Vec<String>,
    containerd: Containerd,
    images: Images,
    flannel: FlannelView,
    kubernetes: Kubeadm,
    join: Join,
    first_boot: Vec<Setting>,
}

/// A node, as itself or as one of the others sees it.
#[derive(Debug, Serialize)]
struct Peer {
    number: u16,
    name: NodeName,
    fqdn: String,
    /// What /etc/hosts calls it, the full name first.
    names: Vec<String>,
    address: Ipv4Addr,
    /// None where the cluster is of IPv4 alone.
    ipv6: Option<Ipv6Addr>,
    role: &'static str,
    control_plane: bool,
    /// What the description calls its board; none where it does not say.
    board: Option<&'static str>,
    /// What the description says that it starts from, likewise.
    boot_from: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct NetworkView {
    mode: &'static str,
    interface: String,
    /// Address and prefix length.
    cidr: String,
    /// The same with that of IPv6 behind it, where there is one.
    cidrs: Vec<String>,
    base: Ipv4Addr,
    netmask: Ipv4Addr,
    broadcast: Ipv4Addr,
    prefix: u8,
    /// The nodes' default route: node-1, or the router in lan mode.
    gateway: Ipv4Addr,
    dns: Vec<String>,
}

#[derive(Debug, Serialize)]
struct UplinkView {
    interface: String,
    /// What is open to machines on its side: `443/tcp`, `30000-32767/udp`, or `all`.
    open: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Api {
    name: String,
    port: u16,
    endpoint: String,
    /// What its certificate is good for besides what kubeadm puts in by itself.
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Login {
    user: String,
    ssh_keys: Vec<String>,
    ssh_password: bool,
    #[serde(serialize_with = "reveal_some")]
    password_hash: Option<Secret>,
    /// What this image's cloud-init calls a list of passwords.
    chpasswd_users: bool,
}

#[derive(Debug, Serialize)]
struct Containerd {
    major: u16,
    /// Where it has mirrors in files of their own; else in `registries`.
    reads_config_path: bool,
    registries: Vec<Registry>,
    /// Which of its options keep images whole over a power cut it knows.
    syncs_pulls: bool,
    syncs_diffs: bool,
    /// Whether the folders of CNI plugins are a list.
    lists_cni_folders: bool,
}

#[derive(Debug, Serialize)]
struct FlannelView {
    installs_its_configuration: bool,
    tells_readiness: bool,
}

#[derive(Debug, Serialize)]
struct Images {
    repository: String,
    /// For kubeadm, where CoreDNS is not found by `repository` alone.
    coredns_repository: Option<String>,
    pause: String,
    flannel: String,
    flannel_cni_plugin: String,
}

#[derive(Debug, Serialize)]
struct Join {
    /// What this node joins with; none on the control plane.
    #[serde(serialize_with = "reveal_some")]
    token: Option<Secret>,
    /// What the others may join with; none on workers.
    tokens: Vec<BootstrapToken>,
    /// How long those are good, as Go writes it.
    ttl: String,
    ca_hash: String,
}

#[derive(Debug, Serialize)]
struct BootstrapToken {
    node: String,
    #[serde(serialize_with = "reveal")]
    token: Secret,
}

impl Context {
    pub(super) fn new(from: &Inputs<'_>) -> Self {
        let Inputs { cluster, node, control_plane, platform, software, secrets } = *from;
        let network = &cluster.network;
        let flannel = &cluster.kubernetes.flannel;
        let api_name = cluster.api_name();
        let peer = |peer: &Node| Peer::new(peer, &cluster.domain, &api_name);
        let gateway = network.gateway().filter(|_| node.is_control_plane());
        Self {
            cluster: cluster.name.clone(),
            domain: cluster.domain.clone(),
            node: peer(node),
            nodes: cluster.nodes.iter().map(peer).collect(),
            network: NetworkView::new(cluster, control_plane),
            uplink: gateway.map(|g| UplinkView {
                interface: g.uplink.link.interface().into_owned(),
                open: firewall::open(&g.uplink, API_PORT),
            }),
            netplan: netplan::groups(from),
            dhcp: gateway.map(|gateway| dhcp::server(gateway, cluster, node)),
            api: Api::new(&api_name, control_plane, cluster),
            login: Login {
                user: cluster.access.user.clone(),
                ssh_keys: secrets.ssh_keys.clone(),
                ssh_password: cluster.access.ssh_password,
                password_hash: secrets.password_hash.clone(),
                chpasswd_users: platform.chpasswd_users,
            },
            apt: apt::apt(cluster, platform, software),
            proxy: proxy::settings(cluster, secrets),
            ntp: cluster.sources.ntp.clone(),
            containerd: Containerd {
                major: software.containerd.major,
                reads_config_path: software.containerd.reads_config_path(),
                registries: registries::registries(&cluster.sources),
                syncs_pulls: software.containerd.syncs_pulls(),
                syncs_diffs: software.containerd.syncs_diffs(),
                lists_cni_folders: software.containerd.lists_cni_folders(),
            },
            images: Images {
                repository: cluster.sources.image_registry.clone(),
                coredns_repository: software.coredns_repository.clone(),
                pause: software.pause_image.clone(),
                flannel: flannel.image.clone(),
                flannel_cni_plugin: flannel.cni_plugin_image.clone(),
            },
            flannel: FlannelView {
                installs_its_configuration: flannel.installs_its_configuration(),
                tells_readiness: flannel.tells_readiness(),
            },
            kubernetes: kubeadm::kubeadm(from),
            join: Join::new(cluster, secrets),
            first_boot: first_boot::settings(from, API_PORT),
        }
    }
}

impl Join {
    fn new(cluster: &Cluster, secrets: &CardSecrets) -> Self {
        let token =
            |(node, token): &(String, Secret)| BootstrapToken { node: node.clone(), token: token.clone() };
        Self {
            token: secrets.token.clone(),
            tokens: secrets.bootstrap_tokens.iter().map(token).collect(),
            ttl: cluster.access.token_ttl.to_go(),
            ca_hash: secrets.ca_hash.clone(),
        }
    }
}

impl Peer {
    fn new(node: &Node, domain: &str, api_name: &str) -> Self {
        let fqdn = format!("{}.{domain}", node.name);
        let mut names = vec![fqdn.clone(), node.name.to_string()];
        if node.is_control_plane() {
            names.push(api_name.to_owned());
        }
        Self {
            number: node.number,
            name: node.name.clone(),
            fqdn,
            names,
            address: node.address,
            ipv6: node.ipv6,
            role: node.role.as_str(),
            control_plane: node.is_control_plane(),
            board: node.board.map(Board::as_str),
            boot_from: node.boot_from.map(BootFrom::as_str),
        }
    }
}

impl NetworkView {
    fn new(cluster: &Cluster, control_plane: &Node) -> Self {
        let network = &cluster.network;
        let (mode, gateway) = match &network.mode {
            Mode::Gateway(_) => ("gateway", control_plane.address),
            Mode::Lan(lan) => ("lan", lan.router),
        };
        Self {
            mode,
            interface: network.link.interface().into_owned(),
            cidr: network.subnet.trunc().to_string(),
            cidrs: std::iter::once(network.subnet.trunc().to_string())
                .chain(network.ipv6.as_ref().map(|ipv6| ipv6.subnet.to_string()))
                .collect(),
            base: network.subnet.network(),
            netmask: network.subnet.netmask(),
            broadcast: network.subnet.broadcast(),
            prefix: network.subnet.prefix_len(),
            gateway,
            dns: network.dns.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Api {
    fn new(name: &str, control_plane: &Node, cluster: &Cluster) -> Self {
        let domain = &cluster.domain;
        // Where it is known already, the uplink's address is one to reach the API server by, too.
        let uplink = cluster.network.gateway().and_then(|gateway| match gateway.uplink.addressing {
            UplinkAddressing::Static { address, .. } => Some(address.addr().to_string()),
            UplinkAddressing::Dhcp => None,
        });
        let mut names = vec![
            name.to_owned(),
            format!("{}.{domain}", control_plane.name),
            control_plane.name.to_string(),
            control_plane.address.to_string(),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        names.extend(uplink);
        Self { name: name.to_owned(), port: API_PORT, endpoint: format!("{name}:{API_PORT}"), names }
    }
}

//! Which of pibake's own files a node gets, with which access. Those that are not named here every
//! node of their layer gets, readable by all, and executable if they begin with `#!`.

use super::context::Sources;
use super::first_boot::PASSWORD_FILE;
use super::proxy;

/// What sets a file apart from the others.
pub(super) struct Placement {
    /// Whether the node gets it.
    pub(super) wanted: fn(&Sources<'_>) -> bool,
    /// The permission bits, also of a file that takes this one's place.
    pub(super) mode: Option<u16>,
    /// Whether it holds a secret.
    pub(super) secret: fn(&Sources<'_>) -> bool,
}

const ALWAYS: fn(&Sources<'_>) -> bool = |_| true;
const NEVER: fn(&Sources<'_>) -> bool = |_| false;

const fn public(wanted: fn(&Sources<'_>) -> bool) -> Placement {
    Placement { wanted, mode: None, secret: NEVER }
}

const fn private(wanted: fn(&Sources<'_>) -> bool, secret: fn(&Sources<'_>) -> bool) -> Placement {
    Placement { wanted, mode: Some(0o600), secret }
}

/// Where the file at `path`, without an ending `.j2`, is set apart.
pub(super) fn placement(path: &str) -> Placement {
    let gateway = |from: &Sources<'_>| from.cluster.network.gateway().is_some();
    let proxy = |from: &Sources<'_>| from.cluster.sources.proxy.is_some();
    let password = |from: &Sources<'_>| from.hidden.password_hash.is_some();
    let radio = |from: &Sources<'_>| from.node.is_control_plane() && from.hidden.wifi_psk.is_some();
    let proxy_password = |from: &Sources<'_>| proxy::has_password(from.cluster);
    match path {
        // netplan complains of a file that others can read, and only some hold the radio's key.
        "/etc/netplan/50-cloud-init.yaml" => private(ALWAYS, radio),
        PASSWORD_FILE => private(password, ALWAYS),
        "/etc/pibake/kubeadm.yaml" => private(ALWAYS, ALWAYS),
        "/etc/pibake/node.env" => private(ALWAYS, proxy_password),
        "/usr/lib/pibake/nat"
        | "/usr/lib/pibake/await-address"
        | "/etc/dhcp/dhcpd.conf"
        | "/etc/default/isc-dhcp-server"
        | "/etc/systemd/system/isc-dhcp-server.service.d/pibake.conf"
        | "/etc/systemd/system/pibake-nat.service" => public(gateway),
        // apt reads its configuration under a user of its own as well.
        "/etc/apt/apt.conf.d/90pibake-proxy" => Placement { secret: proxy_password, ..public(proxy) },
        "/etc/systemd/system/containerd.service.d/pibake-proxy.conf" => private(proxy, proxy_password),
        "/etc/systemd/timesyncd.conf.d/pibake.conf" => public(|from| !from.cluster.sources.ntp.is_empty()),
        // A containerd that has its files on the disk by itself needs no help.
        "/usr/lib/pibake/images"
        | "/etc/systemd/system/pibake-images.service"
        | "/etc/systemd/system/containerd.service.d/pibake-images.conf" => {
            public(|from| !from.software.containerd.syncs_pulls())
        }
        "/etc/containerd/certs.d/@registry@/hosts.toml" => {
            public(|from| from.software.containerd.reads_config_path())
        }
        _ => public(ALWAYS),
    }
}

//! What an image that was in use brings along, and what becomes of it.
//!
//! The stock files that are left alone are those of Ubuntu's images for the Raspberry Pi, 20.04 to
//! 26.04, and of the packages in them: pibake's own settings stand before or behind them, as the
//! order of each folder wants it, so that they need not go.

use super::edit::{Edit, lock_passwords, no_settings, no_swap};
use crate::recipe::Volume;

/// What becomes of what is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Nothing is baked: it belongs to a cluster, or would stop the first boot.
    Refuse,
    /// It is removed, with all below it.
    Remove,
    /// It gets this content, as the stock image has it.
    Reset(&'static str),
    /// It keeps its owner and mode, and gets the content that this makes of its own; nothing where that may stay.
    Edit(Edit, &'static str),
}

/// When something is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// A file with something in it, a link, or a folder that holds one of these at any depth.
    Filled,
    /// A file whose text begins with this.
    Begins(&'static str),
    /// A unit that is switched off for good: a link to /dev/null.
    Masked,
    /// A machine's id is in it; or there is no such file, and the system could not keep one.
    MachineId,
}

/// One kind of thing.
pub(super) struct Rule {
    /// The file system that it is on.
    pub volume: Volume,
    /// Where it is. A `*` stands for anything within one part of the path, but for a dot at its beginning.
    pub place: &'static str,
    /// Names in the last folder that are stock.
    pub stock: &'static [&'static str],
    pub when: When,
    pub fate: Fate,
    /// What it is, for the user.
    pub what: &'static str,
}

const fn refuse(place: &'static str, what: &'static str) -> Rule {
    Rule { volume: Volume::Root, place, stock: &[], when: When::Filled, fate: Fate::Refuse, what }
}

const fn remove(place: &'static str, what: &'static str) -> Rule {
    Rule { volume: Volume::Root, place, stock: &[], when: When::Filled, fate: Fate::Remove, what }
}

const fn alien(place: &'static str, stock: &'static [&'static str], what: &'static str) -> Rule {
    Rule { volume: Volume::Root, place, stock, when: When::Filled, fate: Fate::Remove, what }
}

const fn masked(place: &'static str) -> Rule {
    let what = "a unit that the first boot needs, masked";
    Rule { volume: Volume::Root, place, stock: &[], when: When::Masked, fate: Fate::Remove, what }
}

const fn edit(place: &'static str, edit: Edit, done: &'static str, what: &'static str) -> Rule {
    Rule { volume: Volume::Root, place, stock: &[], when: When::Filled, fate: Fate::Edit(edit, done), what }
}

const PKI: &str = "certificates and keys of a cluster";
const LOGIN: &str = "credentials of a node";
const LITE: &str = "the state of another Kubernetes distribution";
const HOST_KEY: &str = "a host key, which all nodes would share";
const CLOUD_INIT: &str = "cloud-init's memory of another machine";
const NETWORK: &str = "a network configuration of its own";
const LEASE: &str = "leases of another network";
const SEED: &str = "a random seed, which all nodes would share";
const KEYS: &str = "keys of its own, which would open all nodes";
const SECRET: &str = "a host's secret, which all nodes would share";

pub(super) const RULES: &[Rule] = &[
    // pibake's own, of a node that was baked or that ran
    refuse("/etc/pibake", "the description of a node that pibake baked"),
    refuse("/usr/lib/pibake", "the first-boot program of a node that pibake baked"),
    refuse("/var/lib/pibake", "the state of a first boot"),
    // kubeadm, kubelet, etcd
    refuse("/etc/kubernetes/pki", PKI),
    refuse("/etc/kubernetes/*.conf", LOGIN),
    refuse("/etc/kubernetes/manifests/*", "static pods of a control plane"),
    refuse("/var/lib/kubelet/pki", LOGIN),
    refuse("/var/lib/kubelet/config.yaml", "the configuration of a kubelet that joined"),
    refuse("/var/lib/kubelet/kubeadm-flags.env", "the configuration of a kubelet that joined"),
    refuse("/var/lib/kubelet/pods", "pods of a node"),
    refuse("/var/lib/etcd", "the database of a cluster"),
    // others
    refuse("/etc/rancher", LITE),
    refuse("/var/lib/rancher", LITE),
    refuse("/var/snap/microk8s", LITE),
    refuse("/etc/k0s", LITE),
    refuse("/var/lib/k0s", LITE),
    refuse("/var/lib/k0sctl", LITE),
    refuse("/var/lib/docker/swarm", "membership of a Docker swarm"),
    alien(
        "/etc/cni/net.d/*",
        &["87-podman-bridge.conflist", "87-podman.conflist", "99-loopback.conf", "200-loopback.conf"],
        "a pod network of its own",
    ),
    remove("/var/lib/cni", "addresses of pods of another node"),
    // who the machine is
    Rule {
        volume: Volume::Root,
        place: "/etc/machine-id",
        stock: &[],
        when: When::MachineId,
        fate: Fate::Reset(""),
        what: "the machine's id: empty, so that each node makes its own",
    },
    remove("/var/lib/dbus/machine-id", "a machine-id, which all nodes would share"),
    remove("/etc/ssh/ssh_host_*", HOST_KEY),
    remove("/var/lib/systemd/random-seed", SEED),
    remove("/var/lib/urandom/random-seed", SEED),
    remove("/var/lib/systemd/credential.secret", SECRET),
    remove("/var/lib/NetworkManager/secret_key", SECRET),
    remove("/var/lib/tailscale", "membership of a private network"),
    remove("/var/lib/zerotier-one/identity.*", "membership of a private network"),
    Rule {
        volume: Volume::Root,
        place: "/etc/iscsi/initiatorname.iscsi",
        stock: &[],
        when: When::Begins("InitiatorName="),
        fate: Fate::Reset("GenerateName=yes\n"),
        what: "an iSCSI name, which all nodes would share",
    },
    // who may log in, and become root: that is for [access] to say
    edit("/etc/shadow", lock_passwords, "locked", "passwords of its own, which would be good on all nodes"),
    remove("/root/.ssh/authorized_keys*", KEYS),
    remove("/home/*/.ssh/authorized_keys*", KEYS),
    alien("/etc/sudoers.d/*", &["README"], "rules of sudo of its own"),
    // what the first boot hangs on
    Rule {
        volume: Volume::Boot,
        place: "/vendor-data",
        stock: &[],
        when: When::Filled,
        fate: Fate::Remove,
        what: "settings of its own, which cloud-init would join with the card's",
    },
    remove("/etc/cloud/cloud-init.disabled", "the mark that switches cloud-init off"),
    remove("/etc/cloud/ds-identify.cfg", "the choice of another data source for cloud-init"),
    remove("/var/lib/cloud/instance", CLOUD_INIT),
    remove("/var/lib/cloud/instances", CLOUD_INIT),
    remove("/var/lib/cloud/data", CLOUD_INIT),
    remove("/var/lib/cloud/sem", CLOUD_INIT),
    remove("/var/lib/cloud/seed", "a configuration that cloud-init would take instead of the card's"),
    remove("/var/lib/cloud/scripts", "scripts that cloud-init would run"),
    remove("/var/lib/cloud/handlers", "parts that cloud-init would run"),
    remove("/var/log/cloud-init*.log", "cloud-init's log of another machine"),
    remove("/var/log/journal", "the journal of another machine"),
    masked("/etc/systemd/system/cloud-*"),
    masked("/etc/systemd/system/ssh*"),
    masked("/etc/systemd/system/systemd-*"),
    masked("/etc/systemd/system/containerd.service"),
    masked("/etc/systemd/system/kubelet.service"),
    // settings that would take part beside pibake's
    remove("/etc/netplan/*.yaml", NETWORK),
    remove("/etc/systemd/network/*.network", NETWORK),
    remove("/etc/systemd/network/*.netdev", NETWORK),
    remove("/etc/systemd/network/*.link", NETWORK),
    remove("/etc/NetworkManager/system-connections/*", NETWORK),
    remove("/etc/wpa_supplicant/wpa_supplicant*.conf", "radio networks of its own"),
    alien(
        "/etc/ssh/sshd_config.d/*.conf",
        &["50-cloud-init.conf", "60-cloudimg-settings.conf"],
        "settings of sshd of its own",
    ),
    alien(
        "/etc/sysctl.d/*.conf",
        &[
            "10-bufferbloat.conf",
            "10-console-messages.conf",
            "10-ipv6-privacy.conf",
            "10-kernel-hardening.conf",
            "10-link-restrictions.conf",
            "10-lxd-inotify.conf",
            "10-magic-sysrq.conf",
            "10-map-count.conf",
            "10-network-security.conf",
            "10-ptrace.conf",
            "10-zeropage.conf",
            "98-rpi.conf",
            "99-cloudimg-ipv6.conf",
            "99-sysctl.conf",
            "protect-links.conf",
        ],
        "kernel settings of its own",
    ),
    edit("/etc/sysctl.conf", no_settings, "commented out", "kernel settings of its own"),
    edit("/etc/fstab", no_swap, "commented out", "swap, with which kubelet does not start"),
    remove("/etc/systemd/system/*.swap", "swap, with which kubelet does not start"),
    alien(
        "/etc/cloud/cloud.cfg.d/*.cfg",
        &[
            "05_logging.cfg",
            "50-curtin-networking.cfg",
            "90_dpkg.cfg",
            "99-fake_cloud.cfg",
            "99-installer.cfg",
            "subiquity-disable-cloudinit-networking.cfg",
        ],
        "settings of cloud-init of its own",
    ),
    remove("/var/lib/dhcp/*.leases", LEASE),
    remove("/var/lib/dhcp/*.leases~", LEASE),
    remove("/var/lib/dhcpcd/*", LEASE),
    remove("/var/lib/NetworkManager/*.lease", LEASE),
    remove("/var/lib/systemd/rfkill/*", "radios that were switched off"),
];

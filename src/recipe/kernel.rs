//! What is asked of the kernel: its command line, and modules.

use super::inputs::Inputs;
use super::{Action, KernelModule};
use crate::cluster::{KernelArgument, Link, Medium};

/// Sets the country of all radios; the kernel's own, and so there from the start.
const COUNTRY: &str = "cfg80211.ieee80211_regdom=";

/// The Pi's kernel turns the memory cgroup off unless told otherwise, and kubelet needs it.
const MEMORY_CGROUP: [&str; 2] = ["cgroup_enable=memory", "cgroup_memory=1"];

/// Turns the memory cgroup off, should the image say so.
const NO_MEMORY_CGROUP: &str = "cgroup_disable=memory";

/// Makes systemd mount the unified or the legacy hierarchy of control groups.
const UNIFIED: &str = "systemd.unified_cgroup_hierarchy=";

/// Keeps the kernel's own names of network interfaces, `eth0` and `wlan0`; without it newer images
/// say `end0`.
const KERNEL_NAMES: &str = "net.ifnames=0";

/// How disks behind some USB bridges are to be treated; usb-storage is there before any file of the root file system.
const USB_QUIRKS: &str = "usb-storage.quirks=";

/// What is to be true of the command line, which is the image's or the user's own, `line`.
pub(super) fn arguments(from: &Inputs<'_>, line: Option<String>) -> Action {
    let mut set: Vec<_> = MEMORY_CGROUP.map(KernelArgument::new).into();
    let mut unset = vec![KernelArgument::new(NO_MEMORY_CGROUP)];
    if interfaces(from).all(is_kernel_name) {
        unset.push(KernelArgument::new("net.ifnames="));
        set.push(KernelArgument::new(KERNEL_NAMES));
    }
    if let Some(unified) = from.software.unified_cgroup_argument {
        unset.push(KernelArgument::new(UNIFIED));
        set.push(KernelArgument::new(format!("{UNIFIED}{}", u8::from(unified))));
    }
    let country = from.cluster.radio_of(from.node).and_then(|radio| radio.country.as_ref());
    if let Some(country) = country.filter(|_| !from.platform.netplan_sets_country) {
        unset.push(KernelArgument::new(COUNTRY));
        set.push(KernelArgument::new(format!("{COUNTRY}{country}")));
    }
    let quirks: Vec<_> = from.cluster.usb_quirks.iter().map(ToString::to_string).collect();
    if !quirks.is_empty() {
        unset.push(KernelArgument::new(USB_QUIRKS));
        set.push(KernelArgument::new(format!("{USB_QUIRKS}{}", quirks.join(","))));
    }
    for argument in &from.cluster.base.kernel_arguments {
        if !set.contains(argument) {
            set.push(argument.clone());
        }
    }
    Action::KernelArguments { line, set, unset }
}

/// What the node's links take; the kernel loads them when they are made.
pub(super) fn modules(from: &Inputs<'_>) -> Vec<KernelModule> {
    let network = &from.cluster.network;
    let of = |link: &Link, vlan, bond| {
        let vlan = link.vlan.is_some().then_some(KernelModule { name: "8021q", setting: vlan });
        let is_bond = matches!(link.medium, Medium::Bond(_));
        vlan.into_iter().chain(is_bond.then_some(KernelModule { name: "bonding", setting: bond }))
    };
    let uplink = network.gateway().filter(|_| from.node.is_control_plane());
    let uplink = uplink.map(|gateway| of(&gateway.uplink.link, "network.uplink.vlan", ""));
    of(&network.link, "network.vlan", "network.bond").chain(uplink.into_iter().flatten()).collect()
}

/// The interfaces that the description names, whether this node has them or not: all nodes are to
/// call theirs by the same rule.
fn interfaces<'a>(from: &Inputs<'a>) -> impl Iterator<Item = &'a str> {
    let network = &from.cluster.network;
    let uplink = network.gateway().map(|gateway| &gateway.uplink.link);
    let links = std::iter::once(&network.link).chain(uplink);
    links.flat_map(|link| link.medium.hardware()).map(String::as_str)
}

fn is_kernel_name(interface: &str) -> bool {
    let number = interface.strip_prefix("eth").or(interface.strip_prefix("wlan"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

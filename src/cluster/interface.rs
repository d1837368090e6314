//! What the name of a network interface says of its kind.

/// The kinds that a description must not confuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An Ethernet port.
    Cable,
    /// A WiFi radio.
    Radio,
    /// Not hardware: something that software creates, by the name of what that is.
    Virtual(&'static str),
    /// The name follows no convention; somebody gave it.
    Other,
}

/// Prefixes under which Linux and the usual tools create interfaces that are not hardware.
const VIRTUAL: [(&str, &str); 21] = [
    ("vlan", "a VLAN"),
    ("bond", "a bond"),
    ("team", "a team"),
    ("br", "a bridge"),
    ("docker", "a bridge"),
    ("virbr", "a bridge"),
    ("cni", "a bridge"),
    ("flannel", "a tunnel"),
    ("vxlan", "a tunnel"),
    ("geneve", "a tunnel"),
    ("gre", "a tunnel"),
    ("sit", "a tunnel"),
    ("tun", "a tunnel"),
    ("tap", "a tunnel"),
    ("wg", "a tunnel"),
    ("ppp", "a dial-up connection"),
    ("dummy", "a dummy interface"),
    ("ifb", "a dummy interface"),
    ("veth", "one end of a virtual cable"),
    ("macvlan", "a virtual port"),
    ("ipvlan", "a virtual port"),
];

/// By the names that the kernel gives (`eth0`, `wlan0`) and those of systemd.net-naming-scheme(7)
/// (`end0`, `enx…`, `wlp1s0`).
pub(super) fn kind(name: &str) -> Kind {
    if name.contains('.') {
        return Kind::Virtual("a VLAN");
    }
    let letters = name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len());
    let (stem, number) = name.split_at(letters);
    if let Some((_, what)) = VIRTUAL.iter().find(|(prefix, _)| *prefix == stem) {
        return Kind::Virtual(what);
    }
    // systemd: two letters for the kind, then how the port is found (onboard, slot, path, MAC, …).
    let found_by = |kind: &str| {
        let rest = name.strip_prefix(kind).unwrap_or_default();
        rest.starts_with(['o', 's', 'p', 'P', 'b', 'c', 'd', 'a', 'u', 'v', 'x'])
            && rest.contains(|c: char| c.is_ascii_digit())
    };
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    match stem {
        "wlan" if numbered => Kind::Radio,
        "eth" if numbered => Kind::Cable,
        _ if found_by("wl") => Kind::Radio,
        _ if found_by("en") => Kind::Cable,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind() {
        for name in ["eth0", "eth12", "end0", "enp1s0", "eno1", "enxdca632010203", "enu1u2", "enP8p1s0"] {
            assert_eq!(kind(name), Kind::Cable, "{name}");
        }
        for name in ["wlan0", "wlan1", "wlp1s0", "wlx001122334455", "wlo1", "wlu1u2", "wld0"] {
            assert_eq!(kind(name), Kind::Radio, "{name}");
        }
        for name in [
            "eth0.10", "wlan0.1", "vlan10", "vlan", "bond0", "br0", "br-lan", "docker0", "wg0", "tun0",
            "veth1a2b",
        ] {
            assert!(matches!(kind(name), Kind::Virtual(_)), "{name}");
        }
        for name in ["usb0", "lan0", "uplink", "wlan", "brick0", "cluster", "engine", "wlcable"] {
            assert_eq!(kind(name), Kind::Other, "{name}");
        }
    }
}

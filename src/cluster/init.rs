//! The description that `pibake init` writes, fitted to where it is written.

use std::path::Path;

use ipnet::Ipv4Net;

use super::defaults::{self, net};
use super::{Cluster, INIT, Mode, Overrides, Warning};
use crate::io::Surrounding;

/// The default of each network, and what is written where that is in use: no two overlap, and none is
/// what routers are sold with.
const CHOICES: [(&str, Ipv4Net, &[Ipv4Net]); 3] = [
    (
        "subnet",
        defaults::SUBNET,
        &[net([10, 77, 0, 0], 24), net([172, 30, 77, 0], 24), net([192, 168, 177, 0], 24)],
    ),
    ("pods", defaults::PODS, &[net([10, 200, 0, 0], 16), net([172, 20, 0, 0], 16)]),
    ("services", defaults::SERVICES, &[net([10, 201, 0, 0], 16), net([172, 24, 0, 0], 16)]),
];

/// What the template has in the place of a prefix that is to be drawn (RFC 4193, 3.2.2).
const NOT_DRAWN: &str = "fd12:3456:789a";

/// The text, and a sentence for each network in it that is not the default, and for what of it is out of support at
/// `now` (seconds since 1970). `drawn` are five random bytes, of which the cluster's IPv6 prefix is made.
#[must_use]
pub fn init(outside: &[Surrounding], now: i64, drawn: [u8; 5]) -> (String, Vec<String>) {
    let [a, b, c, d, e] = drawn.map(u16::from);
    let prefix = format!("fd{a:02x}:{:x}:{:x}", b << 8 | c, d << 8 | e);
    let (mut text, mut notes) = (INIT.replace(NOT_DRAWN, &prefix), Vec::new());
    let clash = |network| outside.iter().find(|there| overlaps(network, there));
    for (key, default, others) in CHOICES {
        let Some(there) = clash(default) else { continue };
        let Some(other) = others.iter().find(|other| clash(**other).is_none()) else { continue };
        if key == "subnet" {
            // The examples and defaults that follow from it; all choices are a /24.
            let head = |net: &Ipv4Net| net.to_string().trim_end_matches("0/24").to_owned();
            text = text.replace(&head(&default), &head(other));
        }
        let line = |mark: &str, net: &Ipv4Net| format!("\n{mark}{key} = \"{net}\"");
        let written = if key == "subnet" { other } else { &default };
        text = text.replacen(&line("#", written), &line("", other), 1);
        notes.push(format!(
            "{key} is {other} instead of {default}: this machine reaches {} by {}",
            there.network, there.interface
        ));
    }
    notes.extend(out_of_support(&text, now));
    (text, notes)
}

/// What the description in `text` would be warned of when it is built as it stands.
fn out_of_support(text: &str, now: i64) -> Option<String> {
    let cluster = Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default()).ok()?;
    let platform = cluster.stated_platform()?;
    let software = cluster.software(&platform).ok()?;
    cluster.out_of_support(&platform, &software, now).map(|out| out.to_string())
}

/// Whether a network of the cluster's could not be told from this one. One that is reached over a
/// router and is wider does no harm: the narrower way wins.
fn overlaps(own: Ipv4Net, there: &Surrounding) -> bool {
    own.contains(&there.network) || (!there.routed && there.network.contains(&own))
}

impl Cluster {
    /// What of this cluster's networks the machine that builds it reaches in another way, and what
    /// to do where the nodes' uplink is in the same network.
    pub(crate) fn overlaps_with(&self, outside: &[Surrounding]) -> Vec<Warning> {
        let mut own = vec![
            ("kubernetes.pods", self.kubernetes.pods),
            ("kubernetes.services", self.kubernetes.services),
        ];
        if matches!(self.network.mode, Mode::Gateway(_)) {
            own.insert(0, ("network.subnet", self.network.subnet));
        }
        let overlap = |(key, network)| {
            let there = outside.iter().find(|there| overlaps(network, there))?.clone();
            Some(Warning::Overlap { key, network, there })
        };
        own.into_iter().filter_map(overlap).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day before anything ended.
    const EARLY: i64 = 0;

    /// What leaves the template as it is.
    const DRAWN: [u8; 5] = [0x12, 0x34, 0x56, 0x78, 0x9a];

    fn there(network: &str, routed: bool) -> Surrounding {
        Surrounding { network: network.parse().unwrap(), interface: "wlan0".to_owned(), routed }
    }

    fn parsed(text: &str) -> Cluster {
        Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default()).unwrap()
    }

    #[test]
    fn defaults_are_kept_where_nothing_is_in_their_way() {
        for outside in [vec![], vec![there("192.168.1.0/24", false), there("10.0.0.0/8", true)]] {
            assert_eq!(init(&outside, EARLY, DRAWN), (INIT.to_owned(), vec![]));
            assert!(parsed(INIT).overlaps_with(&outside).is_empty());
        }
    }

    #[test]
    fn another_network_is_written_where_the_default_is_in_use() {
        for (outside, expected) in [
            (&["10.0.0.0/24"][..], ["10.77.0.0/24", "10.244.0.0/16", "10.96.0.0/12"]),
            (&["10.0.0.0/24", "10.77.0.128/25"], ["172.30.77.0/24", "10.244.0.0/16", "10.96.0.0/12"]),
            (&["10.100.3.0/24"], ["10.0.0.0/24", "10.244.0.0/16", "10.201.0.0/16"]),
            (&["10.0.0.0/8"], ["172.30.77.0/24", "172.20.0.0/16", "172.24.0.0/16"]),
        ] {
            let outside: Vec<_> = outside.iter().map(|net| there(net, false)).collect();
            let (text, notes) = init(&outside, EARLY, DRAWN);
            let cluster = parsed(&text);
            let found = [cluster.network.subnet, cluster.kubernetes.pods, cluster.kubernetes.services];
            assert_eq!(found.map(|net| net.to_string()), expected);
            assert_eq!(notes.len(), parsed(INIT).overlaps_with(&outside).len());
            assert!(cluster.overlaps_with(&outside).is_empty());
            // What is commented out is still what holds.
            let spoken: String = text
                .lines()
                .map(|l| match l.strip_prefix('#') {
                    Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{rest}\n"),
                    _ => format!("{l}\n"),
                })
                .collect();
            assert_eq!(parsed(&spoken), cluster);
        }
    }

    #[test]
    fn a_prefix_of_its_own_is_written() {
        for (drawn, prefix) in [([0, 0, 7, 0xab, 0xcd], "fd00:7:abcd"), ([0xff; 5], "fdff:ffff:ffff")] {
            let (text, _) = init(&[], EARLY, drawn);
            let table = text.split("# [network.ipv6]\n").nth(1).unwrap().split("\n\n").next().unwrap();
            let spoken: String = table
                .lines()
                .filter(|line| !line.contains("router"))
                .fold("[network.ipv6]\n".to_owned(), |all, line| all + line.trim_start_matches("# ") + "\n");
            let ipv6 = parsed(&spoken).network.ipv6.unwrap();
            assert_eq!(ipv6.subnet.to_string(), format!("{prefix}::/64"));
            // What it says of the others is what they are without a word.
            assert_eq!(
                parsed(&format!("[network.ipv6]\nsubnet = \"{prefix}::/64\"\n")).network.ipv6,
                Some(ipv6)
            );
            assert!(!text.contains(NOT_DRAWN));
        }
    }

    #[test]
    fn what_the_defaults_lack_is_said_at_once() {
        // 2026-11-26
        let (_, notes) = init(&[], 1_795_651_200, DRAWN);
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(
            note.contains("Ubuntu 20.04 since 2025-05-31") && note.contains("image = \"24.04\""),
            "{note}"
        );
    }
}

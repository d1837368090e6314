//! What single values must look like. Each check gives the value in its final form, or says what
//! it must be; none repeats a value that may be secret.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Opening, Protocol, Secret, WifiKey};
use crate::catalog::Digest;

/// A DNS label of RFC 1123 in lower case, as Linux, Kubernetes and DHCP all take it for a name.
pub(super) fn label(text: &str) -> Result<(), String> {
    // 63: RFC 1035, 2.3.4.
    if text.len() > 63 {
        return Err(format!("must have at most 63 characters; it has {}", text.len()));
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edge = |b: Option<u8>| b.is_some_and(|b| inner(b) && b != b'-');
    if edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inner) {
        return Ok(());
    }
    Err("must be lower case letters, digits and hyphens, with no hyphen at either end".to_owned())
}

pub(super) fn domain(text: &str) -> Result<String, String> {
    text.split('.').try_for_each(label).map_err(|e| match text {
        "" => "must not be empty".to_owned(),
        _ => format!("each part between the dots {e}"),
    })?;
    // RFC 1035 gives a whole name 253 characters; node names go before it.
    if text.len() > 180 {
        return Err(format!("must have at most 180 characters; it has {}", text.len()));
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("must not end in a number: it would read as an address".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn interface(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    // 15: IFNAMSIZ of linux/if.h, without its NUL.
    // "all" and "default" are folders of /proc/sys/net/ipv4/conf beside those of the interfaces.
    let reserved = matches!(text, "." | ".." | "lo" | "all" | "default");
    if (1..=15).contains(&text.len()) && text.bytes().all(good) && !reserved {
        return Ok(text.to_owned());
    }
    Err("must be the name of a network interface, such as eth0: at most 15 letters, digits, '-', '_', '.'"
        .into())
}

pub(super) fn network(text: &str) -> Result<Ipv4Net, String> {
    let form = || {
        let hint = if text.contains(':') { "; one of IPv6 stands beside it, in [network.ipv6]" } else { "" };
        format!("must be an IPv4 network, such as 10.0.0.0/24{hint}")
    };
    let network: Ipv4Net = text.parse().map_err(|_| form())?;
    if network.trunc() != network {
        return Err(format!("must be a network, not an address in one; perhaps {}", network.trunc()));
    }
    Ok(network)
}

/// An address with its prefix length.
pub(super) fn interface_address(text: &str) -> Result<Ipv4Net, String> {
    let form = || "must be an IPv4 address with its prefix length, such as 192.168.1.5/24".to_owned();
    let net: Ipv4Net = text.parse().map_err(|_| form())?;
    if net.prefix_len() <= 30 && (net.addr() == net.network() || net.addr() == net.broadcast()) {
        return Err("must not be the network's own or broadcast address".to_owned());
    }
    Ok(net)
}

pub(super) fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| "must be an IPv4 address, such as 10.0.0.1".to_owned())
}

pub(super) fn address_range(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), String> {
    let form = "must be two IPv4 addresses, such as 10.0.0.200-10.0.0.250";
    let (first, last) = text.split_once('-').ok_or(form)?;
    let (first, last) =
        (first.trim().parse().map_err(|_| form)?, last.trim().parse::<Ipv4Addr>().map_err(|_| form)?);
    if first > last {
        return Err("must begin with the lower address".to_owned());
    }
    Ok((first, last))
}

pub(super) fn ssid(text: &str) -> Result<String, String> {
    // IEEE 802.11: an SSID is up to 32 bytes.
    match text.len() {
        0 => Err("must not be empty".to_owned()),
        // Legal on the air, but a line break ends the line in wpa_supplicant's configuration.
        1..=32 if text.chars().any(char::is_control) => {
            Err("must hold no control characters (line breaks, tabs)".to_owned())
        }
        1..=32 => Ok(text.to_owned()),
        len => Err(format!("must be 1 to 32 bytes of UTF-8; it has {len}")),
    }
}

/// A WPA passphrase or, as wpa_supplicant takes it too, the 64 hex digits that one makes.
pub(super) fn wifi_password(text: &str) -> Result<WifiKey, String> {
    const RULE: &str = "must be 8 to 63 characters, or 64 hex digits";
    let len = text.len();
    let unit = if text.is_ascii() { "" } else { " bytes" };
    match len {
        64 if is_hex(text) => Ok(WifiKey::Psk(Secret::new(text.to_lowercase()))),
        64 => Err(format!("{RULE}; it has 64{unit}, but not all are hex digits")),
        8..=63 if text.chars().any(char::is_control) => {
            Err("must hold no control characters (line breaks, tabs)".to_owned())
        }
        8..=63 => Ok(WifiKey::Passphrase(Secret::new(text))),
        _ => Err(format!("{RULE}; it has {len}{unit}")),
    }
}

pub(super) fn psk(text: &str) -> Result<WifiKey, String> {
    if text.len() == 64 && is_hex(text) {
        return Ok(WifiKey::Psk(Secret::new(text.to_lowercase())));
    }
    Err("must be 64 hex digits; a passphrase goes under \"password\"".to_owned())
}

/// A name or password of a RADIUS server's user, within what netplan and wpa_supplicant can be told.
pub(super) fn eap_text(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        // It would end the line in wpa_supplicant's configuration.
        _ if text.chars().any(char::is_control) => {
            Err("must hold no control characters (line breaks, tabs)".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// The number of a VLAN: IEEE 802.1Q keeps 0 and 4095 for itself.
pub(super) fn vlan(number: u32) -> Result<u16, String> {
    u16::try_from(number)
        .ok()
        .filter(|n| (1..=4094).contains(n))
        .ok_or_else(|| "must be 1 to 4094".to_owned())
}

/// What is open to machines on the uplink's side: `api`, `node-ports`, `all`, or `443/tcp`.
pub(super) fn opening(text: &str) -> Result<Opening, String> {
    let port =
        |number: &str| number.parse().ok().filter(|n| *n > 0 && number.bytes().all(|b| b.is_ascii_digit()));
    match (text, text.split_once('/')) {
        ("api", _) => Ok(Opening::Api),
        ("node-ports", _) => Ok(Opening::NodePorts),
        ("all", _) => Ok(Opening::All),
        ("ssh" | "22/tcp", _) => Err("is always open: leave it out".to_owned()),
        (_, Some((number, protocol))) if port(number).is_some() && matches!(protocol, "tcp" | "udp") => {
            let protocol = if protocol == "tcp" { Protocol::Tcp } else { Protocol::Udp };
            Ok(Opening::Port(port(number).unwrap_or_default(), protocol))
        }
        _ => Err("must be \"api\", \"node-ports\", \"all\", or a port such as \"443/tcp\" or \"51820/udp\""
            .to_owned()),
    }
}

pub(super) fn sha256(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_| "must be a SHA-256: 64 hex digits".to_owned())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(super) fn password(text: &str) -> Result<Secret, String> {
    match text {
        "" => Err("must not be empty; leave the key out for no password".to_owned()),
        // SHA-crypt.txt lets implementations limit the length; glibc and libxcrypt stop at 512.
        _ if text.len() > 512 => Err(format!("must be at most 512 bytes; it has {}", text.len())),
        _ if text.chars().any(char::is_control) => {
            Err("must hold no control characters: no one could type them".to_owned())
        }
        _ => Ok(Secret::new(text)),
    }
}

/// A hash as crypt(3) of Ubuntu 20.04 and later (libxcrypt) checks it, weak methods left out.
pub(super) fn password_hash(text: &str) -> Result<Secret, String> {
    const METHODS: [&str; 8] = ["$y$", "$gy$", "$7$", "$2b$", "$2y$", "$2a$", "$6$", "$5$"];
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'$' | b'=' | b',');
    let parts = text.split('$').filter(|p| !p.is_empty()).count();
    if METHODS.iter().any(|m| text.starts_with(m)) && text.bytes().all(good) && parts >= 3 {
        return Ok(Secret::new(text));
    }
    Err("must be a password hash as \"mkpasswd -m sha-512\" prints it, beginning with $6$".to_owned())
}

/// A web address without a `/` at its end. `placeholders` may stand in it.
pub(super) fn web_address(text: &str, placeholders: &[&str]) -> Result<String, String> {
    let url = plain_url(text, placeholders)?;
    if url.contains('@') {
        return Err("must hold no user name or password".to_owned());
    }
    Ok(url)
}

/// A web address without a `/` at its end, with or without a user name and password.
pub(super) fn plain_url(text: &str, placeholders: &[&str]) -> Result<String, String> {
    let form = || "must be an address that begins with http:// or https://".to_owned();
    let bare = placeholders.iter().fold(text.to_owned(), |t, p| t.replace(p, "x"));
    let rest = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")).ok_or_else(form)?;
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Err("must name a host".to_owned());
    }
    // RFC 3986's characters, without those that quote in shells and configuration files.
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!&()*+,;=%".contains(c);
    if let Some(bad) = bare.chars().find(|c| !good(*c)) {
        return Err(format!("must not hold {bad:?}; write it as in a browser's address bar, with %"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A time server: a host name or an address.
pub(super) fn server(text: &str) -> Result<String, String> {
    if text.parse::<std::net::IpAddr>().is_ok() || domain(&text.to_lowercase()).is_ok() {
        return Ok(text.to_owned());
    }
    Err("must be a host name or an address".to_owned())
}

/// What is reached without a proxy: a host, a domain with or without a dot before it, a network.
pub(super) fn proxy_bypass(text: &str) -> Result<String, String> {
    let name = text.trim_start_matches("*.").trim_start_matches('.');
    if text.parse::<ipnet::IpNet>().is_ok() || server(name).is_ok() {
        return Ok(text.to_owned());
    }
    Err("must be a host name, a domain, an address or a network".to_owned())
}

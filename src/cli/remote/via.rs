//! A host and perhaps a port, by which the control plane is reached where that is not its address in the cluster's network.

use std::str::FromStr;

/// A host and, where it is not the usual one, a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Via {
    pub(in crate::cli) host: String,
    pub(in crate::cli) port: Option<u16>,
}

impl FromStr for Via {
    type Err = &'static str;

    /// Takes `host`, `host:22`, `fe80::1` and `[fe80::1]:22`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a host or HOST:PORT, as in 192.168.1.77 or [fe80::1]:22";
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(FORM)?;
                match rest {
                    "" => (host, None),
                    _ => (host, Some(rest.strip_prefix(':').ok_or(FORM)?)),
                }
            }
            // Of an IPv6 address without brackets all is the host.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port != 0).ok_or(FORM)?)
            }
            Some(_) => return Err(FORM),
            None => None,
        };
        // What ssh and shells would take for something else than a host.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
        if address.is_empty()
            || address.starts_with('-')
            || zone.is_empty()
            || !(address.chars().chain(zone.chars())).all(is_plain)
        {
            return Err(FORM);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("192.168.1.77", "192.168.1.77", None),
            ("pi.example:2222", "pi.example", Some(2222)),
            ("fe80::1", "fe80::1", None),
            ("[fe80::1]", "fe80::1", None),
            ("[fe80::1%eth0]:22", "fe80::1%eth0", Some(22)),
        ] {
            assert_eq!(text.parse(), Ok(Via { host: host.to_owned(), port }), "{text}");
        }
        for bad in [
            "",
            ":22",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:x",
            "[fe80::1",
            "[a]b",
            "-oProxyCommand=x",
            "a b",
            "a;b",
            "user@a",
            "a%",
            "a$(b)",
            "a\n",
        ] {
            assert!(bad.parse::<Via>().is_err(), "{bad}");
        }
    }
}

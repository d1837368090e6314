//! The proxy that nodes reach the world through.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Secret, check};

/// A proxy for the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// For http://.
    pub http: Option<ProxyUrl>,
    /// For https://.
    pub https: Option<ProxyUrl>,
    /// Hosts, domains and networks that are reached without it. The cluster's own networks and
    /// domain are always among them.
    pub bypass: Vec<String>,
}

/// The address of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    scheme: String,
    /// A user's name, with or without `:` and a password: what is before the last `@`.
    credentials: Option<Secret>,
    host: String,
}

/// All but the characters that stand for themselves anywhere: RFC 3986, 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl ProxyUrl {
    /// Name and password, where it has them.
    pub(crate) fn credentials(&self) -> Option<&Secret> {
        self.credentials.as_ref()
    }

    /// Whether it has a password.
    pub(super) fn has_password(&self) -> bool {
        self.credentials.as_ref().is_some_and(|credentials| credentials.reveal().contains(':'))
    }

    /// The same with a password; `None` where it has no user's name, or a password already.
    pub(super) fn with_password(&self, password: &str) -> Option<Self> {
        let user = self.credentials.as_ref()?.reveal();
        if user.is_empty() || self.has_password() {
            return None;
        }
        let credentials = format!("{user}:{}", utf8_percent_encode(password, RESERVED));
        Some(Self { credentials: Some(Secret::new(credentials)), ..self.clone() })
    }

    /// The whole address, with `credentials` where it has its own.
    pub(crate) fn with_credentials(&self, credentials: impl FnOnce(&Secret) -> Secret) -> Secret {
        let Self { scheme, host, .. } = self;
        Secret::new(match &self.credentials {
            Some(own) => format!("{scheme}://{}@{host}", credentials(own).reveal()),
            None => format!("{scheme}://{host}"),
        })
    }
}

impl std::str::FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = check::plain_url(text, &[])?;
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (credentials, host) =
            rest.rsplit_once('@').map_or((None, rest), |(own, host)| (Some(Secret::new(own)), host));
        Ok(Self { scheme: scheme.to_owned(), credentials, host: host.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ProxyUrl {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_stay_as_they_are_but_for_their_credentials() {
        for (text, masked) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("https://jane@proxy", "https://*@proxy"),
            ("http://jane:p@ss@proxy:3128/x", "http://*@proxy:3128/x"),
            // no URL in fact, and yet a password that somebody typed
            ("http://jane:p/w@proxy", "http://*@proxy"),
        ] {
            assert_eq!(url(text).with_credentials(Secret::clone).reveal(), text);
            assert_eq!(url(text).with_credentials(|_| Secret::new("*")).reveal(), masked);
            assert!(!format!("{:?}", url(text)).contains("jane"));
        }
    }

    #[test]
    fn proxies_get_their_password_encoded() {
        let with = |text: &str| {
            let url = url(text).with_password("p@w:d/ü")?;
            Some(url.with_credentials(Secret::clone).reveal().to_owned())
        };
        assert_eq!(with("http://me@proxy:3128").as_deref(), Some("http://me:p%40w%3Ad%2F%C3%BC@proxy:3128"));
        assert_eq!(with("http://proxy:3128"), None);
        assert_eq!(with("http://me:x@proxy:3128"), None);
    }
}

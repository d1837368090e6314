//! What to do about a server, a proxy or a network that does not give what was asked for.

/// What is fetched and what for, in the words in which a user is told what to do where it fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Purpose {
    /// What is fetched: "the image".
    pub(crate) what: &'static str,
    /// What may be wrong where the server does not have it: "the address or the release".
    pub(crate) check: &'static str,
    /// What names another server: a key of pibake.toml.
    pub(crate) mirror: &'static str,
    /// How to do without any server, where that can be done.
    pub(crate) by_hand: Option<&'static str>,
}

impl Purpose {
    fn or_by_hand(&self, before: &str) -> String {
        self.by_hand.map(|way| format!("{before} or {way}")).unwrap_or_default()
    }
}

/// What hyper says of a proxy that answers CONNECT with 407.
pub(crate) const PROXY_WANTS_LOGIN: &str = "proxy authorization required";

/// Who answered with an HTTP status: 407 is a proxy's alone, by RFC 9110, 15.5.8.
pub(crate) fn whose(status: reqwest::StatusCode) -> &'static str {
    if status.as_u16() == 407 { "proxy" } else { "server" }
}

/// What to do about an HTTP status.
pub(crate) fn advice(status: reqwest::StatusCode, url: &str, purpose: &Purpose) -> String {
    match status.as_u16() {
        401 => "; check the address and its user name and password".into(),
        // Object storage says so of what it does not have to whoever may not list what it has.
        403 => format!(
            "; check {}, user name and password: some servers say so, too, of what they do not have",
            purpose.check
        ),
        404 | 410 => format!("; check {}", purpose.check),
        407 => proxy_login(url),
        429 | 500..=599 => format!("; try again later, or set a mirror in {}", purpose.mirror),
        _ => String::new(),
    }
}

/// What to do about a proxy that takes no strangers.
fn proxy_login(url: &str) -> String {
    let proxy = proxy(url).unwrap_or_else(|| "of this system".into());
    let variable = if is_https(url) { "https_proxy" } else { "http_proxy" };
    format!(
        "; the proxy {proxy} wants a user name and password: set {variable}=http://user:password@host:port"
    )
}

/// What to do about a failure of the network, as its causes word it.
pub(crate) fn way_on(url: &str, reason: &str, purpose: &Purpose) -> String {
    let host = reqwest::Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned));
    let host = host.unwrap_or_else(|| "the server".to_owned());
    let reason = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if reason.contains(PROXY_WANTS_LOGIN) {
        return proxy_login(url);
    }
    if says(&["certificate"]) {
        return format!(
            "; check this machine's clock; where a proxy opens connections, add its certificate to the system's or name it in SSL_CERT_FILE{}",
            purpose.or_by_hand(";")
        );
    }
    if says(&["corrupt message", "fatal alert", "peer is incompatible", "peer misbehaved"]) {
        return format!(
            "; no TLS 1.2 or 1.3 is spoken at {host}: check the address and its port, and whether a proxy or a login page answers in its place{}",
            purpose.or_by_hand(";")
        );
    }
    if let Some(proxy) = proxy(url)
        && says(&["tunnel", "dns", "lookup", "refused", "unreachable", "no route"])
    {
        return format!("; the proxy {proxy} of the environment is used: check it, or unset it");
    }
    if says(&["dns", "lookup", "name or service", "name resolution"]) {
        return format!(
            "; the name {host} cannot be looked up: check this machine's network and DNS, set {} or https_proxy{}",
            purpose.mirror,
            purpose.or_by_hand(",")
        );
    }
    // It was reached, and what it says makes no sense.
    if says(&["redirect", "a part of the file", "changes all the time"]) {
        return format!(
            "; check {} and whether something between here and {host} answers in its place, try again later, or set {}{}",
            purpose.check,
            purpose.mirror,
            purpose.or_by_hand(",")
        );
    }
    // Connections break in more words than could be listed.
    format!(
        "; check that {host} can be reached from here, set {} or https_proxy{}",
        purpose.mirror,
        purpose.or_by_hand(",")
    )
}

fn is_https(url: &str) -> bool {
    url.starts_with("https:")
}

/// The proxy that the environment has for `url`, without user name and password.
fn proxy(url: &str) -> Option<String> {
    let own = if is_https(url) { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
    let names = own.into_iter().chain(["all_proxy", "ALL_PROXY"]);
    let text = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))?;
    let url = reqwest::Url::parse(&text).ok().filter(|u| u.host_str().is_some());
    let url = url.or_else(|| reqwest::Url::parse(&format!("http://{text}")).ok())?;
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    Some(format!("{}{port}", url.host_str()?))
}

/// How often it was tried, where that was more than once.
pub(crate) fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Purpose = Purpose {
        what: "the image",
        check: "the address or the release",
        mirror: "base.mirror",
        by_hand: Some("fetch it by other means"),
    };

    fn said(reason: &str) -> String {
        way_on("http://images.example:81/x.img.xz", reason, &IMAGE)
    }

    #[test]
    fn there_is_a_way_on_whatever_a_connection_breaks_by() {
        for reason in [
            "connection closed before message completed",
            "the download was cut off: the connection was closed",
            "Broken pipe (os error 32)",
            "Connection reset by peer (os error 104)",
            "invalid HTTP version parsed",
            "it did not answer in time",
            "a fault that nobody has seen yet",
        ] {
            assert_eq!(
                said(reason),
                "; check that images.example can be reached from here, set base.mirror or https_proxy, or fetch it by \
                 other means",
                "{reason}"
            );
        }
    }

    #[test]
    fn what_was_reached_is_not_called_out_of_reach() {
        for reason in [
            "too many redirects",
            "it redirects from https to http://h/, which nothing protects",
            "it sends a part of the file, which was not asked for",
            "the file on the server changes all the time",
        ] {
            let said = said(reason);
            assert!(said.starts_with("; check the address or the release and whether something"), "{said}");
            assert!(
                said.ends_with(", try again later, or set base.mirror, or fetch it by other means"),
                "{said}"
            );
        }
    }

    #[test]
    fn who_is_refused_may_have_asked_for_what_is_not_there() {
        let said = advice(reqwest::StatusCode::FORBIDDEN, "http://h/x", &IMAGE);
        assert!(said.contains("check the address or the release") && said.contains("password"), "{said}");
    }
}

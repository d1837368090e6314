//! Logging in at registries: a token from the server that a registry names (the Distribution project's token
//! authentication), or a user name and password.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::challenge::Challenge;
use super::credentials::{Credentials, Known};
use super::scopes::Scopes;
use crate::catalog::shown;
use crate::http::{Agent, Answer, Error, Login, Result, is_web_page};

/// Tokens of the largest registries have some 5 KiB.
const LARGEST_TOKEN: u64 = 1 << 20;

/// What is known for one repository. Whoever looks for a login holds the lock.
type Slot = Arc<Mutex<Repository>>;

/// How a repository is logged in at.
#[derive(Default)]
struct Repository {
    /// The `Authorization`, once it is known.
    header: Option<HeaderValue>,
    /// What its registry has asked for so far. A token that is renewed is good for all of it: a registry asks whoever
    /// reads for less than it asks whoever writes, and both go by one token.
    scopes: Scopes,
}

/// Logs in at registries where they want it, and remembers how for each repository.
pub(super) struct Logins<'a> {
    /// For the servers that give tokens.
    agent: &'a Agent<'a>,
    credentials: &'a Credentials,
    known: Mutex<BTreeMap<String, Slot>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // what is in it is whole at any time
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address of a repository: `https://host/v2/library/busybox`.
fn repository(url: &Url) -> &str {
    let text = url.as_str();
    let end = ["/manifests/", "/blobs/", "/tags/"].into_iter().find_map(|part| text.rfind(part));
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// The path of a repository at its registry: `library/busybox`.
fn path(url: &Url) -> &str {
    let address = repository(url);
    address.split_once("/v2/").map_or(address, |(_, path)| path)
}

/// A registry as it is known by: its host, and its port where that is not the usual one.
fn registry(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

impl<'a> Logins<'a> {
    pub(super) fn new(agent: &'a Agent<'a>, credentials: &'a Credentials) -> Self {
        Self { agent, credentials, known: Mutex::default() }
    }

    fn slot(&self, url: &Url) -> Slot {
        Arc::clone(held(&self.known).entry(repository(url).to_owned()).or_default())
    }

    /// The user's own `Authorization` for the registry, or what to do to have one.
    fn own(&self, url: &Url) -> Result<String, String> {
        let registry = registry(url);
        let file = self.credentials.file();
        match self.credentials.find(&registry) {
            Some(Known::Basic(header)) => Ok(header),
            Some(Known::Elsewhere(what)) => Err(format!(
                "{file} has {what} for {registry}, which pibake does not use: write a user name and password there (docker login with an empty DOCKER_CONFIG folder, and name that folder in DOCKER_CONFIG)"
            )),
            None => Err(format!(
                "{file} has no user name and password for {registry}: run docker login {registry}"
            )),
        }
    }

    /// Gets a token from the server that the registry names, for these scopes.
    fn token(&self, url: &Url, challenge: &Challenge, scopes: &Scopes) -> Result<HeaderValue> {
        let refuse = |reason: String| Error::Login { url: shown(url), reason };
        let realm = challenge.get("realm").unwrap_or_default();
        let mut at = Url::parse(realm)
            .map_err(|e| refuse(format!("it names {realm:?} as the server for logins: {e}")))?;
        if at.scheme() != "https" && at.scheme() != url.scheme() {
            let to = shown(&at);
            return Err(refuse(format!("it names {to} as the server for logins, which nothing protects")));
        }
        {
            let mut query = at.query_pairs_mut();
            if let Some(service) = challenge.get("service") {
                query.append_pair("service", service);
            }
            for scope in scopes.texts() {
                query.append_pair("scope", &scope);
            }
        }
        let own = self.own(url);
        let answer = self.agent.small_with(&at, LARGEST_TOKEN, |request| match &own {
            Ok(header) => request.header(AUTHORIZATION, sensitive(header)),
            Err(_) => request,
        });
        let server = at.host_str().unwrap_or_default();
        let bytes = match answer {
            Ok(Some((_, bytes))) => bytes,
            Ok(None) => return Err(refuse(format!("there is no server for logins at {}", shown(&at)))),
            Err(Error::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. }) => {
                return Err(refuse(match own {
                    Ok(_) => format!(
                        "{server} does not accept the user name and password in {}: run docker login {}",
                        self.credentials.file(),
                        registry(url)
                    ),
                    Err(way) => format!("{server} gives no token to strangers, and {way}"),
                }));
            }
            Err(other) => return Err(other),
        };
        if is_web_page(&bytes) {
            return Err(Error::WebPage { url: shown(&at), expected: "a token" });
        }
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|t| t.token.filter(|t| !t.is_empty()).or(t.access_token));
        token
            .and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok())
            .ok_or_else(|| refuse(format!("{server} sends something else than a token")))
    }
}

/// A header that is not shown where headers are.
fn sensitive(header: &str) -> HeaderValue {
    // base64 has no other characters than a header may have
    let mut value = HeaderValue::from_str(header).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

impl Login for Logins<'_> {
    fn header(&self, url: &Url) -> Option<HeaderValue> {
        held(&self.slot(url)).header.clone()
    }

    fn answer(
        &self,
        url: &Url,
        challenges: &HeaderMap,
        used: Option<&HeaderValue>,
        had_fresh: bool,
    ) -> Result<Answer> {
        let slot = self.slot(url);
        let mut slot = held(&slot);
        let texts = challenges.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let ways: Vec<Challenge> = texts.flat_map(Challenge::parse).collect();
        let bearer = ways.iter().find(|way| way.is("bearer"));
        if let Some(bearer) = bearer {
            // whoever gets the next token gets it for this request, too
            slot.scopes.add(bearer.get("scope").unwrap_or(&format!("repository:{}:pull", path(url))));
        }
        if slot.header.as_ref() != used {
            return Ok(Answer::Known);
        }
        if let Some(bearer) = bearer {
            // a fresh token that does not do is not made better by another one
            if had_fresh {
                return Ok(Answer::Nothing);
            }
            let mut token = self.token(url, bearer, &slot.scopes)?;
            token.set_sensitive(true);
            slot.header = Some(token);
            return Ok(Answer::Fresh);
        }
        if !ways.iter().any(|way| way.is("basic")) {
            return Ok(Answer::Nothing);
        }
        let refuse = |reason: String| Error::Login { url: shown(url), reason };
        let own = self.own(url).map_err(|way| refuse(format!("it wants a login, and {way}")))?;
        if used.is_some_and(|used| used.as_bytes() == own.as_bytes()) {
            return Err(refuse(format!(
                "it does not accept the user name and password in {}: run docker login {}",
                self.credentials.file(),
                registry(url)
            )));
        }
        slot.header = Some(sensitive(&own));
        Ok(Answer::Fresh)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::http::{Access, Patience, Purpose};
    use crate::io::CancelToken;
    use crate::progress::Silent;

    #[test]
    fn a_login_is_for_one_repository() {
        for (url, of, at) in [
            ("https://h/v2/library/x/manifests/1", "https://h/v2/library/x", "h"),
            ("http://h:5000/v2/a/blobs/sha256:00?ns=b", "http://h:5000/v2/a", "h:5000"),
            ("https://h:443/v2/blobs/x/blobs/sha256:00", "https://h/v2/blobs/x", "h"),
            ("https://h/v2/a/b/tags/list?n=2", "https://h/v2/a/b", "h"),
            ("https://h/v2/", "https://h/v2/", "h"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((repository(&url), &*registry(&url)), (of, at));
        }
    }

    #[test]
    fn a_password_is_not_sent_to_where_nothing_protects_it() {
        static PURPOSE: Purpose = Purpose { what: "", check: "", mirror: "", by_hand: None };
        let cancel = CancelToken::default();
        let access = Access::anonymous(&PURPOSE);
        let agent = Agent::new(Patience::default(), &cancel, &Silent, access).unwrap();
        let credentials = Credentials::default();
        let logins = Logins::new(&agent, &credentials);
        let url = Url::parse("https://registry.invalid/v2/x/manifests/1").unwrap();
        for (challenge, words) in [
            ("Bearer realm=\"http://registry.invalid/token\"", "which nothing protects"),
            ("Bearer realm=\"file:///etc/passwd\"", "which nothing protects"),
            ("Bearer realm=\"/token\"", "as the server for logins"),
            ("Bearer service=\"x\"", "as the server for logins"),
            ("Basic realm=\"x\"", "no user name and password for registry.invalid"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(challenge).unwrap());
            let error = logins.answer(&url, &headers, None, false).unwrap_err().to_string();
            assert!(error.contains(words), "{challenge}: {error}");
        }
        assert_eq!(logins.answer(&url, &HeaderMap::new(), None, false).unwrap(), Answer::Nothing);
    }

    /// Of several that work at one repository, each asks for what it does; one gets a token for all.
    #[test]
    fn a_token_is_for_all_that_was_ever_asked_for() {
        static PURPOSE: Purpose = Purpose { what: "", check: "", mirror: "", by_hand: None };
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let realm = format!("http://{}/token", server.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let targets = server.incoming().take(3).enumerate().map(|(number, stream)| {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                let body = format!("{{\"token\":\"t{number}\"}}");
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).unwrap();
                line.split(' ').nth(1).unwrap().replace("%3A", ":").replace("%2C", ",")
            });
            targets.collect::<Vec<_>>()
        });
        let cancel = CancelToken::default();
        let access = Access::anonymous(&PURPOSE);
        let agent = Agent::new(Patience::default(), &cancel, &Silent, access).unwrap();
        let credentials = Credentials::default();
        let logins = Logins::new(&agent, &credentials);
        let url = Url::parse("http://127.0.0.1:1/v2/x/blobs/uploads/1").unwrap();
        let answer = |scope: &str, used: Option<&HeaderValue>, had_fresh: bool| {
            let mut headers = HeaderMap::new();
            let challenge = format!("Bearer realm=\"{realm}\",scope=\"{scope}\"");
            headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            logins.answer(&url, &headers, used, had_fresh).unwrap()
        };
        let (read, write) = ("repository:x:pull", "repository:x:pull,push");
        assert_eq!(answer(read, None, false), Answer::Fresh);
        // it came too late to get one itself, and asks for more than that token is for
        assert_eq!(answer(write, None, false), Answer::Known);
        let first = logins.header(&url);
        assert_eq!(answer(write, first.as_ref(), false), Answer::Fresh);
        // it ran out, which one who reads sees first
        let second = logins.header(&url);
        assert_eq!(answer(read, second.as_ref(), false), Answer::Fresh);
        assert_eq!(answer(write, second.as_ref(), false), Answer::Known);
        // what is fresh and does not do is not got again
        let third = logins.header(&url);
        assert_eq!(answer(write, third.as_ref(), true), Answer::Nothing);
        let token = |scope: &str| format!("/token?scope={scope}");
        assert_eq!(asked.join().unwrap(), [token(read), token(write), token(write)]);
    }
}

//! Who may sign the repositories that a node asks.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Url;

use super::apt_files::{AptFiles, Source};
use super::error::{Error, Result};
use crate::apt::SignedBy;
use crate::base::{self, Fetcher, Keyring};
use crate::catalog::{Digest, shown};
use crate::http::{Access, Purpose};
use crate::io::{atomic, read_small};
use crate::recipe::{KeySource, read_key};

/// What is fetched here, for the errors of HTTP.
static PURPOSE: Purpose = Purpose {
    what: "the key of the repository",
    check: "key-url in [sources]",
    mirror: "key-url in [sources]",
    by_hand: Some("fetch the key by other means and name the file as key-file"),
};

/// No key comes near this size.
const LARGEST: u64 = 1 << 20;

const TRUSTED: &str = "/etc/apt/trusted.gpg";
const TRUSTED_FOLDER: &str = "/etc/apt/trusted.gpg.d";

/// The keys of a node, with those that it would fetch.
pub(super) struct Keys<'a> {
    files: &'a AptFiles<'a>,
    /// What was fetched, armoured, by the file that the node has it in.
    fetched: BTreeMap<&'static str, String>,
}

impl<'a> Keys<'a> {
    /// Fetches the keys that `sources` are signed with and the node does not have: of those in `known`, which first
    /// boot would fetch. `anew`: also where the node has them, since one has expired.
    pub(super) fn new(
        files: &'a AptFiles<'a>,
        fetcher: &Fetcher<'_>,
        known: &[KeySource],
        sources: &[Source],
        anew: bool,
    ) -> Result<Self> {
        let mut fetched = BTreeMap::new();
        for key in known {
            let is_named = |source: &Source| match &source.listed.signed_by {
                SignedBy::Named(names) => names.iter().any(|name| name == key.keyring),
                _ => false,
            };
            // one that was fetched when the lock was made is on the card, whatever else is there
            let is_wanted = anew || fetcher.ledger.has(&name_of(key));
            if sources.iter().any(is_named) && (is_wanted || files.read(key.keyring)?.is_none()) {
                fetched.insert(key.keyring, fetch(key, fetcher)?);
            }
        }
        Ok(Self { files, fetched })
    }

    /// What was fetched, armoured, by the file that the node has it in.
    pub(super) fn into_fetched(self) -> BTreeMap<&'static str, String> {
        self.fetched
    }

    /// The keys that may sign a source.
    pub(super) fn of(&self, source: &Source) -> Result<Keyring> {
        let keyring = match &source.listed.signed_by {
            SignedBy::Trusted => self.trusted()?,
            SignedBy::Key(key) => Some(parse(key.as_bytes(), &source.list)?),
            SignedBy::Nobody => {
                return Err(Error::Unsigned { uri: source.listed.uri.clone(), list: source.list.clone() });
            }
            SignedBy::Named(names) => {
                let mut found = None;
                for name in names {
                    let keyring = if name.starts_with('/') {
                        self.file(name)?
                    } else {
                        // a subkey alone may be named so
                        let fingerprint = name.trim_end_matches('!');
                        self.trusted()?.and_then(|trusted| trusted.filter(&[fingerprint]).ok())
                    };
                    found = joined(found, keyring);
                }
                found
            }
        };
        keyring.ok_or_else(|| Error::NoKey { uri: source.listed.uri.clone(), list: source.list.clone() })
    }

    fn file(&self, path: &str) -> Result<Option<Keyring>> {
        let content = match self.fetched.get(path) {
            Some(key) => Some(key.clone().into_bytes()),
            None => self.files.read(path)?,
        };
        content.map(|content| parse(&content, path)).transpose()
    }

    /// The keys that sign any repository of which nothing else is said. What gpg made in a form of its own is passed
    /// over, as apt does.
    fn trusted(&self) -> Result<Option<Keyring>> {
        let mut found = None;
        for path in [TRUSTED.to_owned()].into_iter().chain(self.files.keyrings(TRUSTED_FOLDER)?) {
            if let Some(content) = self.files.read(&path)? {
                found = joined(found, Keyring::parse(&content).ok());
            }
        }
        Ok(found)
    }
}

/// What a lock calls the key of a source: by the first place where it is looked for.
fn name_of(key: &KeySource) -> String {
    format!("the key {}", key.urls.first().map_or("", String::as_str))
}

/// The key of a source, from the first of its servers that has one which has not expired or, offline, as it came from
/// there the last time. Armoured.
fn fetch(key: &KeySource, fetcher: &Fetcher<'_>) -> Result<String> {
    let name = name_of(key);
    let url = |text: &String| {
        Url::parse(text).map_err(|_| Error::Uri { uri: text.clone(), list: "[sources]".to_owned() })
    };
    let urls: Vec<Url> = key.urls.iter().map(url).collect::<Result<_>>()?;
    let first = urls.first().map(shown).unwrap_or_default();
    let trusted = |bytes: &[u8], url: String| {
        read_key(bytes, key.fingerprint).map_err(|source| Error::Key { url, source })
    };
    if let Some(bytes) = fetcher.pinned(&name, LARGEST)? {
        return trusted(&bytes, first);
    }
    let kept = fetcher.cache.evidence().join(format!("{}.key", Digest::of(first.as_bytes())));
    let Some(agent) = fetcher.agent(Access::anonymous(&PURPOSE))? else {
        let bytes = read_small(&kept, LARGEST)
            .map_err(|_| base::Error::Offline { name: first.clone(), dir: fetcher.cache.dir().to_owned() })?;
        let text = trusted(&bytes, first)?;
        fetcher.note(&name, &bytes)?;
        return Ok(text);
    };
    let now = seconds(SystemTime::now());
    let mut fault = None;
    for (place, url) in urls.iter().enumerate() {
        let fetched = || -> Result<(Vec<u8>, String)> {
            let document = agent.document(url, LARGEST, "a key").map_err(base::Error::from)?;
            let bytes = document.ok_or_else(|| Error::KeyGone { url: shown(url) })?;
            let text = trusted(&bytes, shown(url))?;
            Ok((bytes, text))
        };
        match fetched() {
            // one that has expired is taken where no other place has a newer copy; it is refused when it is used
            Ok((bytes, text)) if place + 1 == urls.len() || !has_expired(&text, now) => {
                fetcher.note(&name, &bytes)?;
                atomic::write_whole(&kept, &bytes).map_err(|e| base::Error::io("writing", &kept, e))?;
                return Ok(text);
            }
            Ok(_) => {}
            Err(error) => {
                fault.get_or_insert(error);
            }
        }
    }
    Err(fault.unwrap_or(Error::KeyGone { url: first }))
}

/// Whether the key is none that still signs at `now`.
fn has_expired(armoured: &str, now: i64) -> bool {
    let Ok(keyring) = Keyring::parse(armoured.as_bytes()) else { return true };
    keyring.ends().iter().any(|(_, end)| *end <= now)
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn joined(one: Option<Keyring>, other: Option<Keyring>) -> Option<Keyring> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

fn parse(bytes: &[u8], path: &str) -> Result<Keyring> {
    Keyring::parse(bytes).map_err(|source| Error::Keyring { path: path.to_owned(), source })
}

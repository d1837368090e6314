//! What a name stands for: through its indices to the manifest for a Raspberry Pi.

use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use super::image::Image;
use super::source::Source;
use crate::base::{self, Fetcher};
use crate::catalog::{Digest, shown};
use crate::error::{Classified, ErrorClass, one_line};
use crate::http::{self, Access, Agent, is_web_page};
use crate::io::{atomic, read_small};
use crate::oci::error::{Error, Result};
use crate::oci::manifest::{Blob, Document, Entry, LARGEST, Platform, candidates};
use crate::registry::{Reference, Version};

/// So many indices may stand between a name and its image; one that lists another is rare already.
const MOST_NESTED: u32 = 3;

/// The header by which a registry says what a tag stands for.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// What a name stood for the last time, for when there is no network.
#[derive(Serialize, Deserialize)]
struct Note {
    name: String,
    digest: Digest,
}

/// An index or a manifest.
struct Found {
    document: Document,
    blob: Blob,
}

/// What finds out what a name stands for.
pub(super) struct Look<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    /// For manifests; none where the network may not be used.
    pub(super) agent: Option<&'a Agent<'a>>,
    pub(super) manifests: Access<'a>,
    pub(super) access: Access<'a>,
}

impl Look<'_> {
    pub(super) fn image(&self, source: &mut Source<'_>) -> Result<Image> {
        let found = self.named(source)?;
        let resolved = found.blob.digest;
        let mut has = Vec::new();
        let image = self.among(source, found, MOST_NESTED, &mut has)?;
        let (manifest, config, layers) =
            image.ok_or_else(|| Error::NoArm64 { image: source.name.to_string(), has })?;
        Ok(Image { name: source.name.clone(), resolved, manifest, config, layers })
    }

    /// The image for a Raspberry Pi in what was found, with its parts. `has` gets the platforms of all others.
    #[allow(clippy::type_complexity)] // three parts of one image, which is made of them at once
    fn among(
        &self,
        source: &Source<'_>,
        found: Found,
        depth: u32,
        has: &mut Vec<String>,
    ) -> Result<Option<(Blob, Blob, Vec<Blob>)>> {
        let image = || source.name.to_string();
        let entries = match found.document {
            Document::Manifest { config, layers } => {
                let platform = self.platform(source, &config)?;
                if !platform.is_ours() {
                    has.push(platform.name());
                    return Ok(None);
                }
                return Ok(Some((found.blob, config, layers)));
            }
            Document::Index(entries) => entries,
        };
        if depth == 0 {
            return Err(Error::Nested { image: image(), limit: MOST_NESTED });
        }
        for entry in candidates(&entries) {
            let next = self.listed(source, entry)?;
            if let Some(image) = self.among(source, next, depth - 1, has)? {
                return Ok(Some(image));
            }
        }
        let named = entries.iter().filter_map(|entry| entry.platform.as_ref());
        // attestations, which are no images, are listed as for an unknown platform
        has.extend(named.map(Platform::name).filter(|name| name != "unknown/unknown"));
        Ok(None)
    }

    /// What an index lists.
    fn listed(&self, source: &Source<'_>, entry: &Entry) -> Result<Found> {
        let what = format!("the manifest sha256:{}", entry.blob.digest);
        let bytes = self.part(source, "manifests", &entry.blob, &what)?;
        let sent_as = Some(entry.blob.media_type.as_str()).filter(|kind| !kind.is_empty());
        let found = self.read(source, &bytes, sent_as)?;
        if sent_as.is_some_and(|kind| kind != found.blob.media_type) {
            let fault = format!(
                "its index calls sha256:{} {}, and it calls itself {}",
                entry.blob.digest, entry.blob.media_type, found.blob.media_type
            );
            return Err(Error::Inconsistent { image: source.name.to_string(), fault });
        }
        Ok(found)
    }

    /// What the machine has to be that runs an image.
    fn platform(&self, source: &Source<'_>, config: &Blob) -> Result<Platform> {
        let what = format!("the configuration sha256:{}", config.digest);
        let bytes = self.part(source, "blobs", config, &what)?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Inconsistent {
            image: source.name.to_string(),
            fault: format!("{what} cannot be read: {e}"),
        })
    }

    /// A small part whose size and digest are known.
    fn part(&self, source: &Source<'_>, kind: &str, blob: &Blob, what: &str) -> Result<Vec<u8>> {
        if blob.len > LARGEST {
            let fault = format!("{what} should have {} bytes; none has more than {LARGEST}", blob.len);
            return Err(Error::Inconsistent { image: source.name.to_string(), fault });
        }
        let wanted = source.wanted(kind, blob)?;
        let access = if kind == "manifests" { self.manifests } else { self.access };
        self.fetcher.get(&format!("downloading {what}"), &[wanted], access)?;
        self.cached(&blob.digest)?.ok_or_else(|| {
            let path = self.fetcher.cache.file(&blob.digest);
            Error::Damaged { path, digest: blob.digest }
        })
    }

    /// What has this digest, if it is in the cache.
    fn cached(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.fetcher.cache.file(digest);
        let bytes = match read_small(&path, LARGEST) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|e| base::Error::io("reading", &path, e))?,
        };
        Ok((Digest::of(&bytes) == *digest).then_some(bytes))
    }

    fn read(&self, source: &Source<'_>, bytes: &[u8], sent_as: Option<&str>) -> Result<Found> {
        let digest = Digest::of(bytes);
        let (document, media_type) = Document::parse(bytes, sent_as).map_err(|fault| Error::Manifest {
            image: source.name.to_string(),
            what: format!("the manifest sha256:{digest}"),
            source: fault,
        })?;
        Ok(Found { document, blob: Blob { media_type, digest, len: bytes.len() as u64 } })
    }

    /// What the name stands for now, or, without the network, stood for the last time.
    fn named(&self, source: &mut Source<'_>) -> Result<Found> {
        let name = format!("the image {}", source.name);
        let (expected, is_pinned) = match source.name.version() {
            Version::Digest(digest) => (Some(*digest), true),
            Version::Tag(_) => match self.fetcher.ledger.pinned(&name)? {
                Some(digest) => (Some(digest), true),
                None if self.agent.is_none() => (self.noted(source.name), false),
                None => (None, false),
            },
        };
        if let Some(digest) = expected
            && let Some(bytes) = self.fetcher.cache.content(&digest, LARGEST)
        {
            self.fetcher.put(&bytes)?;
            self.fetcher.ledger.note(&name, digest)?;
            return self.read(source, &bytes, None);
        }
        let Some(agent) = self.agent else {
            let dir = self.fetcher.cache.dir().to_owned();
            return Err(base::Error::Offline { name: source.name.to_string(), dir }.into());
        };
        let object = match source.name.version() {
            Version::Tag(tag) if !is_pinned => tag.clone(),
            _ => expected.map(|digest| format!("sha256:{digest}")).unwrap_or_default(),
        };
        let (mut faults, mut class) = (Vec::new(), None);
        for (at, place) in source.places.clone().iter().enumerate() {
            let url = source.url(place, "manifests", &object)?;
            let fault = match fetched(agent, &url, expected) {
                Ok((bytes, sent_as)) => {
                    // where it was found, its other parts are looked for first
                    let best = source.places.remove(at);
                    source.places.insert(0, best);
                    self.fetcher.put(&bytes)?;
                    let found = self.read(source, &bytes, sent_as.as_deref())?;
                    if expected.is_none() {
                        self.note(source.name, found.blob.digest)?;
                    }
                    self.fetcher.ledger.note(&name, found.blob.digest)?;
                    return Ok(found);
                }
                Err(Fault::Ends(error)) => return Err(error.into()),
                Err(Fault::Here { words, kind }) => {
                    class = class.or(Some(kind));
                    words
                }
            };
            if at + 1 < source.places.len() {
                self.fetcher.progress.note(&format!("{fault}; asking the next server for {}", source.name));
            }
            faults.push(fault);
        }
        let class = class.unwrap_or(ErrorClass::Network);
        Err(Error::Nowhere { image: source.name.to_string(), faults, class })
    }

    fn note_path(&self, name: &Reference) -> PathBuf {
        let key = Digest::of(name.to_string().as_bytes());
        self.fetcher.cache.evidence().join(format!("{key}.image"))
    }

    fn note(&self, name: &Reference, digest: Digest) -> Result<()> {
        let path = self.note_path(name);
        let note = serde_json::to_vec(&Note { name: name.to_string(), digest }).unwrap_or_default();
        let written = atomic::write_whole(&path, &note);
        Ok(written.map_err(|e| http::space::explain(e, "writing", &path))?)
    }

    fn noted(&self, name: &Reference) -> Option<Digest> {
        let note: Note = serde_json::from_slice(&read_small(&self.note_path(name), LARGEST).ok()?).ok()?;
        (note.name == name.to_string()).then_some(note.digest)
    }
}

/// Why one server does not give an image.
enum Fault {
    /// Another one may.
    Here { words: String, kind: ErrorClass },
    /// No other one will.
    Ends(http::Error),
}

impl From<http::Error> for Fault {
    fn from(error: http::Error) -> Self {
        let kind = error.class();
        match &error {
            http::Error::Status { url, status, .. } if [401, 403].contains(&status.as_u16()) => {
                let words = format!(
                    "{url}: the server says {status}: there is no such image, or not for this user; check its name and tag, or log in (docker login)"
                );
                Self::Here { words, kind }
            }
            _ if [ErrorClass::Network, ErrorClass::Verification].contains(&kind) => {
                Self::Here { words: one_line(&error), kind }
            }
            _ => Self::Ends(error),
        }
    }
}

/// An index or a manifest from one server, and what it is sent as.
fn fetched(
    agent: &Agent<'_>,
    url: &Url,
    expected: Option<Digest>,
) -> Result<(Vec<u8>, Option<String>), Fault> {
    let Some((headers, bytes)) = agent.small_with(url, LARGEST, |request| request)? else {
        let words = format!("{} does not exist: check the image's name and tag", shown(url));
        return Err(Fault::Here { words, kind: ErrorClass::Network });
    };
    if is_web_page(&bytes) {
        return Err(http::Error::WebPage { url: shown(url), expected: "an image's manifest" }.into());
    }
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let actual = Digest::of(&bytes);
    let said = text(CONTENT_DIGEST).and_then(|digest| digest.parse::<Digest>().ok());
    if let Some(promised) = expected.or(said).filter(|promised| *promised != actual) {
        let words = format!(
            "{} sends sha256:{actual} where sha256:{promised} is promised: a proxy or the registry changes it",
            shown(url)
        );
        return Err(Fault::Here { words, kind: ErrorClass::Verification });
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned());
    Ok((bytes, kind))
}

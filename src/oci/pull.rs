//! From the names of images to their parts in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use super::credentials::Credentials;
use super::error::{Error, Result};
use super::login::Logins;
use super::manifest::{ACCEPTED, Blob, Document, Entry, LARGEST, Platform, candidates};
use crate::base::{self, Fetcher, Wanted};
use crate::catalog::{Digest, shown};
use crate::error::{Classified, ErrorClass, one_line};
use crate::http::{self, Access, Agent, Purpose, is_web_page};
use crate::io::{atomic, read_small};
use crate::progress::Quiet;
use crate::registry::{Endpoint, Reference, Version, registry_address};

/// What to say where an image cannot be fetched.
static PURPOSE: Purpose = Purpose {
    what: "a part of the image",
    check: "the image's name and tag",
    mirror: "sources.registry-mirrors",
    by_hand: None,
};

/// So many indices may stand between a name and its image; one that lists another is rare already.
const MOST_NESTED: u32 = 3;

/// The header by which a registry says what a tag stands for.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// An image for a Raspberry Pi. All its parts are in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: Reference,
    /// What the name stood for when it was looked up: an index, or the manifest itself.
    pub resolved: Digest,
    /// What names the other parts.
    pub manifest: Blob,
    /// The description of what runs.
    pub config: Blob,
    /// The changes of its file system, the lowest first.
    pub layers: Vec<Blob>,
}

impl Image {
    /// All of its parts.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        [&self.manifest, &self.config].into_iter().chain(&self.layers)
    }
}

/// Gets images for Raspberry Pis, in the order of their names. `mirrors` has for the host of a registry the addresses
/// that are asked before it, as `sources.registry-mirrors` of a description does.
///
/// # Errors
/// [`Error`]; what was downloaded until then is kept.
pub fn pull(
    fetcher: &Fetcher<'_>,
    mirrors: &BTreeMap<String, Vec<String>>,
    credentials: &Credentials,
    names: &[Reference],
) -> Result<Vec<Image>> {
    let plain = fetcher.agent(Access::anonymous(&PURPOSE))?;
    let logins = plain.as_ref().map(|agent| Logins::new(agent, credentials));
    let login = logins.as_ref().map(|logins| logins as &dyn http::Login);
    let manifests = Access { purpose: &PURPOSE, accept: Some(ACCEPTED), login };
    let agent = fetcher.agent(manifests)?;
    // each is small, and there are many
    let quiet = Quiet(fetcher.progress);
    let small = fetcher.telling(&quiet);
    let access = Access { accept: None, ..manifests };
    let look = Look { fetcher: &small, agent: agent.as_ref(), manifests, access };
    let step = fetcher.progress.begin("looking up container images", None);
    let mut images = Vec::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        fetcher.cancel.check().map_err(base::Error::from)?;
        let mut source = Source::new(name, mirrors.get(name.host()).map_or(&[][..], Vec::as_slice))?;
        let image = look.image(&mut source)?;
        for layer in &image.layers {
            if seen.insert(layer.digest) {
                wanted.push(source.wanted("blobs", layer)?);
            }
        }
        images.push(image);
    }
    step.finish();
    fetcher.get("downloading container images", &wanted, access)?;
    Ok(images)
}

/// Where one image is asked for.
struct Source<'a> {
    name: &'a Reference,
    /// The address of the repository at each server, the best one first, and whether it is a mirror's.
    places: Vec<(String, bool)>,
}

impl<'a> Source<'a> {
    fn new(name: &'a Reference, mirrors: &[String]) -> Result<Self> {
        let endpoints: Vec<Endpoint> = mirrors.iter().map(|address| Endpoint::new(address)).collect();
        let own = Endpoint::new(&registry_address(name.host(), &endpoints));
        let mut places: Vec<(String, bool)> = Vec::new();
        for (endpoint, is_mirror) in endpoints.iter().map(|e| (e, *e != own)).chain([(&own, false)]) {
            let place = (format!("{}/{}", endpoint.root(), name.path()), is_mirror);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(Self { name, places })
    }

    /// The address of something at one of the servers. A mirror of several registries is told which one is meant,
    /// as containerd does.
    fn url(&self, (place, is_mirror): &(String, bool), kind: &str, what: &str) -> Result<Url> {
        let query = if *is_mirror { format!("?ns={}", self.name.host()) } else { String::new() };
        let text = format!("{place}/{kind}/{what}{query}");
        Url::parse(&text).map_err(|e| {
            let reason = e.to_string();
            http::Error::Network { url: text, reason, attempts: 1, purpose: &PURPOSE }.into()
        })
    }

    fn wanted(&self, kind: &str, blob: &Blob) -> Result<Wanted> {
        let what = format!("sha256:{}", blob.digest);
        let urls: Result<Vec<Url>> = self.places.iter().map(|place| self.url(place, kind, &what)).collect();
        Ok(Wanted { urls: urls?, digest: blob.digest, len: blob.len })
    }
}

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
struct Look<'a> {
    fetcher: &'a Fetcher<'a>,
    /// For manifests; none where the network may not be used.
    agent: Option<&'a Agent<'a>>,
    manifests: Access<'a>,
    access: Access<'a>,
}

impl Look<'_> {
    fn image(&self, source: &mut Source<'_>) -> Result<Image> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_asked_before_the_registry_and_told_which_one_is_meant() {
        let name: Reference = "busybox:1".parse().unwrap();
        let mirrors = ["http://10.0.0.9:5000".to_owned(), "https://m/v2/hub".to_owned()];
        let source = Source::new(&name, &mirrors).unwrap();
        let digest = Digest::of(b"");
        let blob = Blob { media_type: String::new(), digest, len: 1 };
        let urls = source.wanted("blobs", &blob).unwrap().urls;
        let tail = format!("library/busybox/blobs/sha256:{digest}");
        assert_eq!(
            urls.iter().map(Url::as_str).collect::<Vec<_>>(),
            [
                &*format!("http://10.0.0.9:5000/v2/{tail}?ns=docker.io"),
                &*format!("https://m/v2/hub/{tail}?ns=docker.io"),
                &*format!("https://registry-1.docker.io/v2/{tail}"),
            ]
        );
        // a registry that the description says to speak plain HTTP is no mirror of itself
        let name: Reference = "r.lan:5000/x:1".parse().unwrap();
        let source = Source::new(&name, &["http://r.lan:5000".to_owned()]).unwrap();
        assert_eq!(source.places, [("http://r.lan:5000/v2/x".to_owned(), false)]);
        // and plain HTTP is spoken without being told with this machine alone
        for (name, place) in
            [("localhost:5000/x", "http://localhost:5000/v2/x"), ("r.lan:5000/x", "https://r.lan:5000/v2/x")]
        {
            let name = name.parse().unwrap();
            assert_eq!(Source::new(&name, &[]).unwrap().places, [(place.to_owned(), false)]);
        }
    }
}

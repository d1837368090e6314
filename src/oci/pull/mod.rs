//! From the names of images to their parts in the cache.

mod look;

use std::collections::{BTreeMap, BTreeSet};

use self::look::Look;
use super::credentials::Credentials;
use super::error::Result;
use super::login::Logins;
use super::manifest::{ACCEPTED, Blob};
use crate::base::{self, Fetcher, Wanted};
use crate::catalog::Digest;
use crate::http::{self, Access, Purpose};
use crate::progress::Quiet;
use crate::registry::{Endpoint, Reference, registry_address};
use reqwest::Url;

/// What to say where an image cannot be fetched.
static PURPOSE: Purpose = Purpose {
    what: "a part of the image",
    check: "the image's name and tag",
    mirror: "sources.registry-mirrors",
    by_hand: None,
};

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
/// [`Error`](super::Error); what was downloaded until then is kept.
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

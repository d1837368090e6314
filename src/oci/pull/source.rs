//! Where the parts of an image are asked for: at its mirrors and its registry.

use reqwest::Url;

use crate::base::Wanted;
use crate::http::{self, Purpose};
use crate::oci::error::Result;
use crate::oci::manifest::Blob;
use crate::registry::{Endpoint, Reference, registry_address};

/// What to say where an image cannot be fetched.
pub(super) static PURPOSE: Purpose = Purpose {
    what: "a part of the image",
    check: "the image's name and tag",
    mirror: "sources.registry-mirrors",
    by_hand: None,
};

/// Where one image is asked for.
pub(super) struct Source<'a> {
    pub(super) name: &'a Reference,
    /// The address of the repository at each server, the best one first, and whether it is a mirror's.
    pub(super) places: Vec<(String, bool)>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a Reference, mirrors: &[String]) -> Result<Self> {
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
    pub(super) fn url(&self, (place, is_mirror): &(String, bool), kind: &str, what: &str) -> Result<Url> {
        let query = if *is_mirror { format!("?ns={}", self.name.host()) } else { String::new() };
        let text = format!("{place}/{kind}/{what}{query}");
        Url::parse(&text).map_err(|e| {
            let reason = e.to_string();
            http::Error::Network { url: text, reason, attempts: 1, purpose: &PURPOSE }.into()
        })
    }

    pub(super) fn wanted(&self, kind: &str, blob: &Blob) -> Result<Wanted> {
        let what = format!("sha256:{}", blob.digest);
        let urls: Result<Vec<Url>> = self.places.iter().map(|place| self.url(place, kind, &what)).collect();
        Ok(Wanted { urls: urls?, digest: blob.digest, len: blob.len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Digest;

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

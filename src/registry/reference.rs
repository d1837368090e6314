//! Names of container images, by the grammar of github.com/distribution/reference, with which
//! kubeadm (`ValidateImageRepository`) and containerd read them.

use std::fmt;
use std::str::FromStr;

use crate::catalog::Digest;
use crate::error::{Classified, ErrorClass};

/// Where an image is whose name has no host.
const DOCKER_HUB: &str = "docker.io";

/// A registry with an optional port and path, below which images lie: `registry.k8s.io`,
/// `10.0.0.9:5000/k8s`.
///
/// # Errors
/// What it must be.
pub fn registry(text: &str) -> Result<String, String> {
    // The grammar lets a whole name have 255 characters; an image's own comes after this one.
    const LONGEST: usize = 200;
    let example = "such as registry.k8s.io or 10.0.0.9:5000/k8s";
    if text.contains("://") {
        return Err(format!("must be a registry without http://, {example}"));
    }
    if text.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} characters; it has {}", text.len()));
    }
    repository(text)
        .map_err(|fault| format!("must be a registry with an optional path, {example}: {fault}"))?;
    Ok(text.to_owned())
}

/// A whole reference of an image, with a tag or a digest.
///
/// # Errors
/// What it must be.
pub fn image(text: &str) -> Result<String, String> {
    let form = "must be an image with its tag or digest, such as registry.k8s.io/pause:3.10";
    let parts = Parts::of(text);
    if parts.tag.is_none() && parts.digest.is_none() {
        return Err(form.to_owned());
    }
    parts.check().map_err(|fault| format!("{form}: {fault}"))?;
    Ok(text.to_owned())
}

/// Which of the images that have one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// What the registry gives this tag now.
    Tag(String),
    /// What has this digest.
    Digest(Digest),
}

/// An image as containerd knows it: a name that people write is completed by Docker's rules, and of a tag with a
/// digest the digest alone is left (`ParseDockerRef`, with which its CRI plugin reads what kubelet asks for).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    path: String,
    version: Version,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not the name of a container image, such as registry.k8s.io/pause:3.10: {fault}")]
pub struct InvalidReference {
    given: String,
    fault: String,
}

impl Classified for InvalidReference {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

impl Reference {
    /// The registry's host, with its port where one is given. Docker Hub is `docker.io`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The image's path at its registry: `library/busybox`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which of the images of this path.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// Without tag and digest it is the one with the tag `latest`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The grammar's limit of a name (NameTotalLengthMax).
        const LONGEST: usize = 255;
        let fault = |fault: String| InvalidReference { given: text.to_owned(), fault };
        let parts = Parts::of(text);
        let digest = parts.check().map_err(fault)?;
        let (host, path) = match parts.name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path),
            _ => (DOCKER_HUB, parts.name),
        };
        let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
        let library = if host == DOCKER_HUB && !path.contains('/') { "library/" } else { "" };
        let path = format!("{library}{path}");
        if host.len() + 1 + path.len() > LONGEST {
            return Err(fault(format!("it has more than {LONGEST} characters")));
        }
        let tag = || Version::Tag(parts.tag.unwrap_or("latest").to_owned());
        Ok(Self { host: host.to_owned(), path, version: digest.map_or_else(tag, Version::Digest) })
    }
}

/// As containerd lists it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)?;
        match &self.version {
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@sha256:{digest}"),
        }
    }
}

/// `name [":" tag] ["@" digest]`
struct Parts<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (name, digest) = text.split_once('@').map_or((text, None), |(n, d)| (n, Some(d)));
        // a colon before the last slash is a port's
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        Self { name, tag, digest }
    }

    /// The digest, if everything is as the grammar has it.
    fn check(&self) -> Result<Option<Digest>, String> {
        if let Some(tag) = self.tag.filter(|tag| !is_tag(tag)) {
            return Err(format!("{tag:?} is not a tag"));
        }
        match self.name.split_once('/') {
            Some((host, _)) if is_host(host) => repository(self.name),
            _ if self.name.contains(|c: char| c.is_ascii_uppercase()) => repository(self.name),
            _ => self.name.split('/').try_for_each(component),
        }?;
        let Some(digest) = self.digest else { return Ok(None) };
        let lower = !digest.contains(|c: char| c.is_ascii_uppercase());
        let hex = digest.strip_prefix("sha256:").filter(|_| lower);
        let read = hex.filter(|hex| !hex.contains(':')).and_then(|hex| hex.parse().ok());
        read.map(Some).ok_or_else(|| format!("{digest:?} is not sha256: and 64 hex digits in lower case"))
    }
}

/// Docker's rule for telling a host from the first part of a path on Docker Hub.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// `tag := /[\w][\w.-]{0,127}/`
fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// `[domain '/'] path-component ['/' path-component]*`, or a domain alone.
fn repository(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("it must be in lower case".to_owned());
    }
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default();
    if is_host(first) {
        domain(first)?;
    } else {
        component(first)?;
    }
    parts.try_for_each(component)
}

/// `host [':' port-number]`
fn domain(text: &str) -> Result<(), String> {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && edge(label.bytes().next()) && edge(label.bytes().last())
    };
    if !host.split('.').all(label) {
        return Err(format!("{host:?} is not a host name"));
    }
    match port {
        Some(port)
            if !port.bytes().all(|b| b.is_ascii_digit()) || !matches!(port.parse(), Ok(1..=u16::MAX)) =>
        {
            Err(format!("{port:?} is not a port"))
        }
        _ => Ok(()),
    }
}

/// `alpha-numeric [separator alpha-numeric]*`, where a separator is `.`, `_`, `__` or hyphens.
fn component(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fault = || match text {
        "" => "nothing stands between two slashes, or before or after one".to_owned(),
        text => format!("{text:?} cannot be part of an image's name"),
    };
    if !text.starts_with(good) || !text.ends_with(good) {
        return Err(fault());
    }
    let separators = text.split(good).filter(|s| !s.is_empty());
    for separator in separators {
        if !matches!(separator, "." | "_" | "__") && !separator.bytes().all(|b| b == b'-') {
            return Err(fault());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_those_that_kubeadm_takes() {
        for good in [
            "registry.k8s.io",
            "registry.k8s.io/k8s",
            "10.0.0.9:5000",
            "10.0.0.9:5000/k8s/a_b/c__d/e--f/g.h",
            "localhost/k8s",
            "localhost:5000",
            "rancher",
            "my-registry:5000/x",
            "a--b.example/c",
        ] {
            assert_eq!(registry(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "/",
            "https://registry.k8s.io",
            "a..b/c",
            ".a/c",
            "a./c",
            "host:abc/x",
            "host:/x",
            "host:0/x",
            "host:65536/x",
            "host:+80/x",
            "host:5000:5001/x",
            "host:5000/x:1",
            "host/x@sha256:00",
            "Registry.k8s.io",
            "host.example/K8s",
            "host.example/x/",
            "host.example//x",
            "/host.example/x",
            "host_name.example/x",
            "-host.example/x",
            "host-.example/x",
            "host.example/-x",
            "host.example/x-",
            "host.example/a___b",
            "host.example/a._b",
            "host.example/a..b",
            "host.example/ä",
            "host example/x",
            "[fd00::1]:5000/x",
        ] {
            assert!(registry(bad).is_err(), "{bad}");
        }
        assert!(registry(&format!("a.example/{}", "x".repeat(200))).is_err());
    }

    #[test]
    fn images_have_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for good in [
            "pause:3.10".to_owned(),
            "10.0.0.9:5000/k8s/pause:_x.Y-1".to_owned(),
            format!("ghcr.io/flannel-io/flannel@{digest}"),
            format!("ghcr.io/flannel-io/flannel:v1@{digest}"),
        ] {
            assert_eq!(image(&good).as_deref(), Ok(good.as_str()));
        }
        for bad in [
            "pause",
            "pause:",
            "pause:.1",
            "pause:-1",
            "pause:a b",
            "pause@sha256:12",
            "a..b/pause:1",
            "x:80:1",
        ] {
            assert!(image(bad).is_err(), "{bad}");
        }
        assert!(image(&format!("pause:{}", "x".repeat(129))).is_err());
        // go-digest has no other
        assert!(image(&format!("pause@sha256:{}", "AB".repeat(32))).is_err());
    }

    #[test]
    fn names_are_completed_as_containerd_does() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (given, host, path, name) in [
            ("busybox", "docker.io", "library/busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io", "library/busybox", "docker.io/library/busybox:1.36"),
            ("my.image:1", "docker.io", "library/my.image", "docker.io/library/my.image:1"),
            ("a_b", "docker.io", "library/a_b", "docker.io/library/a_b:latest"),
            ("localhost:5000", "docker.io", "library/localhost", "docker.io/library/localhost:5000"),
            ("localhost/x", "localhost", "x", "localhost/x:latest"),
            ("flannel/flannel:v1", "docker.io", "flannel/flannel", "docker.io/flannel/flannel:v1"),
            ("index.docker.io/x", "docker.io", "library/x", "docker.io/library/x:latest"),
            ("docker.io/a/b/c:1", "docker.io", "a/b/c", "docker.io/a/b/c:1"),
            ("10.0.0.9:5000/k8s/pause", "10.0.0.9:5000", "k8s/pause", "10.0.0.9:5000/k8s/pause:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io", "pause", "registry.k8s.io/pause:3.10"),
        ] {
            let read: Reference = given.parse().unwrap();
            assert_eq!((read.host(), read.path(), &*read.to_string()), (host, path, name), "{given}");
            let again: Reference = name.parse().unwrap();
            assert_eq!(again, read, "{given}");
        }
        for given in [format!("x:1@{digest}"), format!("x@{digest}")] {
            let read: Reference = given.parse().unwrap();
            assert_eq!(read.to_string(), format!("docker.io/library/x@{digest}"));
        }
        for bad in
            ["", "x:", "x@", "X", "a/B", "x@sha512:00", "x:1:2", "h.example:0/x", "a//b", "x@sha256:sha256:"]
        {
            bad.parse::<Reference>().unwrap_err();
        }
        assert!(format!("h.example/{}", "a".repeat(245)).parse::<Reference>().is_ok());
        let long = format!("h.example/{}", "a".repeat(246)).parse::<Reference>();
        assert!(long.unwrap_err().to_string().ends_with("it has more than 255 characters"));
    }
}

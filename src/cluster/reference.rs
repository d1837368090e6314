//! Names of container images, by the grammar of github.com/distribution/reference, with which
//! kubeadm (`ValidateImageRepository`) and containerd read them.

use super::check::sha256;

/// A registry with an optional port and path, below which images lie: `registry.k8s.io`,
/// `10.0.0.9:5000/k8s`.
pub(super) fn registry(text: &str) -> Result<String, String> {
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
pub(super) fn image(text: &str) -> Result<String, String> {
    let form = "must be an image with its tag or digest, such as registry.k8s.io/pause:3.10";
    let (name, digest) = text.split_once('@').map_or((text, None), |(n, d)| (n, Some(d)));
    let last = name.rsplit('/').next().unwrap_or_default();
    let (path, tag) = match last.split_once(':') {
        Some((_, tag)) => (&name[..name.len() - tag.len() - 1], Some(tag)),
        None => (name, None),
    };
    let tag_good = tag.is_none_or(is_tag);
    let digest_good = digest.is_none_or(|d| d.strip_prefix("sha256:").is_some_and(|h| sha256(h).is_ok()));
    if !tag_good || !digest_good || (tag.is_none() && digest.is_none()) {
        return Err(form.to_owned());
    }
    repository(path).map_err(|fault| format!("{form}: {fault}"))?;
    Ok(text.to_owned())
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
    // Docker's rule for telling a host from the first part of a path on Docker Hub.
    if first.contains(['.', ':']) || first == "localhost" {
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
    }
}

//! Package URLs, by which scanners know packages (purl-spec, types deb and oci).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ContainerImage, Package};
use crate::catalog::Digest;

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In versions a colon stands for itself: it parts the epoch of a Debian package.
const IN_VERSION: &AsciiSet = &RESERVED.remove(b':');
/// So do colons and slashes in the values of qualifiers.
const IN_VALUE: &AsciiSet = &IN_VERSION.remove(b'/');

/// Of a Debian package for a system: `ubuntu`, and its version.
pub(super) fn deb(package: &Package, system: Option<(&str, &str)>, url: Option<&str>) -> String {
    let Package { name, architecture, version } = package;
    let mut purl = "pkg:deb/".to_owned();
    if let Some((id, _)) = system {
        purl += &format!("{}/", utf8_percent_encode(&id.to_lowercase(), RESERVED));
    }
    purl += &format!(
        "{}@{}",
        utf8_percent_encode(&name.to_lowercase(), RESERVED),
        utf8_percent_encode(version, IN_VERSION)
    );
    purl += &format!("?arch={}", utf8_percent_encode(architecture, IN_VALUE));
    if let Some((id, release)) = system {
        purl += &format!("&distro={}", utf8_percent_encode(&format!("{id}-{release}"), IN_VALUE));
    }
    if let Some(url) = url {
        purl += &format!("&download_url={}", utf8_percent_encode(url, IN_VALUE));
    }
    purl
}

/// Of a container image.
pub(super) fn oci(image: &ContainerImage<'_>) -> String {
    let ContainerImage { repository, tag, digest } = image;
    let name = repository.rsplit('/').next().unwrap_or(repository).to_lowercase();
    let tag = tag.map(|tag| format!("&tag={}", utf8_percent_encode(tag, IN_VALUE))).unwrap_or_default();
    format!(
        "pkg:oci/{}@{}?arch=arm64&repository_url={}{tag}",
        utf8_percent_encode(&name, RESERVED),
        manifest(digest),
        utf8_percent_encode(repository, IN_VALUE),
    )
}

/// As purl's own examples write the version of an image.
fn manifest(digest: &Digest) -> String {
    format!("sha256%3A{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_images_are_named_as_purl_does() {
        let package = Package {
            name: "libstdc++6".to_owned(),
            architecture: "arm64".to_owned(),
            version: "1:13.2.0-4ubuntu3+x~1".to_owned(),
        };
        assert_eq!(
            deb(&package, Some(("ubuntu", "24.04")), None),
            "pkg:deb/ubuntu/libstdc%2B%2B6@1:13.2.0-4ubuntu3%2Bx~1?arch=arm64&distro=ubuntu-24.04"
        );
        assert!(
            deb(&package, None, Some("http://m/a?b&c"))
                .ends_with("arch=arm64&download_url=http://m/a%3Fb%26c")
        );
        let digest = Digest::of(b"");
        let image = ContainerImage { repository: "ghcr.io/x/Y".to_owned(), tag: Some("v1"), digest };
        assert_eq!(
            oci(&image),
            format!("pkg:oci/y@sha256%3A{digest}?arch=arm64&repository_url=ghcr.io/x/Y&tag=v1")
        );
    }
}

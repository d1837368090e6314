//! Where kubeadm looks for CoreDNS, the one image that its versions name differently.
//!
//! `GetDNSImage` in Kubernetes' cmd/kubeadm/app/images/images.go, with R for the repository that
//! `imageRepository` or `dns.imageRepository` names:
//!
//! | kubeadm | asks for |
//! | --- | --- |
//! | 1.20 | `R/coredns` (registry.k8s.io has that old version there as well) |
//! | 1.21.0, 1.21.1 | `R/coredns/coredns`, whatever R is |
//! | 1.21.2 and later | `R/coredns/coredns` where R is its own default, else `R/coredns` (kubernetes#102502) |
//!
//! Its own default is registry.k8s.io from 1.25.0, 1.24.9, 1.23.15 and 1.22.17 on, and k8s.gcr.io
//! before (kubernetes#109938 and its backports). As a patch release is often not known, what is told
//! here is right for every one of a minor version.

use super::{ImageLayout, KubernetesVersion, defaults};

/// The registry of Kubernetes' own images, by its names.
const UPSTREAM: [&str; 2] = [defaults::IMAGE_REGISTRY, "k8s.gcr.io"];

/// From here on registry.k8s.io is the default of every patch release.
const FIRST_WITH_TODAYS_DEFAULT: u16 = 25;

/// What `dns.imageRepository` must be for kubeadm to find CoreDNS in `registry`; `None` where it
/// finds it by itself. Without a `layout` the user's own registries are taken to be laid out as
/// kubeadm itself lists images for them: flat.
pub(super) fn repository(
    version: KubernetesVersion,
    registry: &str,
    layout: Option<ImageLayout>,
) -> Result<Option<String>, String> {
    let is_upstream = UPSTREAM.contains(&registry);
    if is_upstream && layout == Some(ImageLayout::Flat) {
        return Err(format!("{registry} has its CoreDNS at coredns/coredns: leave image-layout out"));
    }
    let nested = layout.map_or(is_upstream, |layout| layout == ImageLayout::Upstream);
    match (version.minor, version.patch) {
        (..=20, _) => Ok(None),
        (21, Some(0 | 1)) if layout == Some(ImageLayout::Flat) => Err(format!(
            "kubeadm {version} asks every registry for coredns/coredns, which a flat one does not have: \
             take 1.21.2 or later"
        )),
        (21, Some(0 | 1)) => Ok(None),
        (FIRST_WITH_TODAYS_DEFAULT.., _) if registry == defaults::IMAGE_REGISTRY => Ok(None),
        _ => Ok(nested.then(|| format!("{registry}/coredns"))),
    }
}

/// What kubeadm of this release asks for, without the tag (the table above). `registry` is its `imageRepository`,
/// `dns` its `dns.imageRepository`.
pub(super) fn image(minor: u16, patch: u16, registry: &str, dns: Option<&str>) -> String {
    // the patch release that took registry.k8s.io as its default
    let backported = match minor {
        ..=21 => u16::MAX,
        22 => 17,
        23 => 15,
        24 => 9,
        _ => 0,
    };
    let default = if patch >= backported { UPSTREAM[0] } else { UPSTREAM[1] };
    let repository = dns.unwrap_or(registry);
    let is_nested = match (minor, patch) {
        (..=20, _) => false,
        (21, 0 | 1) => true,
        _ => repository == default,
    };
    if is_nested { format!("{repository}/coredns/coredns") } else { format!("{repository}/coredns") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_release_asks_for_an_image_that_is_there() {
        for minor in 20..=crate::cluster::platform::NEWEST_KUBERNETES {
            for patch in 0..30 {
                for known in [None, Some(patch)] {
                    // 1.21 without a patch release is its newest.
                    if (minor, known) == (21, None) && patch < 2 {
                        continue;
                    }
                    let version = KubernetesVersion { minor, patch: known };
                    for (registry, layout, nested) in [
                        ("registry.k8s.io", None, true),
                        ("k8s.gcr.io", None, true),
                        ("registry.k8s.io", Some(ImageLayout::Upstream), true),
                        ("registry.lan:5000/k8s", Some(ImageLayout::Upstream), true),
                        ("registry.lan:5000/k8s", Some(ImageLayout::Flat), false),
                        ("registry.lan:5000/k8s", None, false),
                    ] {
                        let Ok(dns) = repository(version, registry, layout) else {
                            assert_eq!((minor, patch < 2, nested), (21, true, false));
                            continue;
                        };
                        // What is there: up to 1.20 the image is flat everywhere.
                        let there = match (minor, nested || (minor == 21 && patch < 2)) {
                            (20, _) | (_, false) => format!("{registry}/coredns"),
                            _ => format!("{registry}/coredns/coredns"),
                        };
                        let asked = image(minor, patch, registry, dns.as_deref());
                        assert_eq!(asked, there, "{version} {registry} {layout:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let flat = Some(ImageLayout::Flat);
        let of = |patch| KubernetesVersion { minor: 21, patch };
        assert!(repository(of(Some(1)), "registry.lan", flat).unwrap_err().contains("1.21.2"));
        assert_eq!(repository(of(Some(2)), "registry.lan", flat), Ok(None));
        assert!(repository(of(None), "registry.k8s.io", flat).unwrap_err().contains("leave"));
    }
}

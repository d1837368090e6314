//! What base images are called: releases that pibake knows by name, files, addresses, digests. Nothing
//! is fetched or opened here, so that a description can be read without any of it.

mod digest;
mod spec;

pub use digest::{Digest, Hasher, InvalidDigest};
pub use spec::{InvalidSpec, Spec, shown};

/// Where the known images lie; a mirror takes the place of this prefix.
pub const RELEASES: &str = "https://cdimage.ubuntu.com/releases";

/// The release that is baked unless another is asked for.
pub(super) const DEFAULT: &str = "20.04.5";

/// An image known by name.
///
/// The sizes and the digest are hints: what the signed SHA256SUMS says decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// The release, such as `20.04.5`.
    pub release: &'static str,
    /// The series that the release belongs to, such as `20.04`. It is also accepted as a name
    /// and means the newest release of the series that is listed here.
    pub series: &'static str,
    /// The name of the file below `<RELEASES>/<release>/release/`.
    pub file: &'static str,
    /// SHA-256 of the compressed file, as third parties quote it.
    pub digest_hint: &'static str,
    /// About how many bytes the decompressed image has, to see before the download that it fits.
    pub raw_len_hint: u64,
}

/// The known images, oldest first.
///
/// Names and addresses: directory listings of <https://cdimage.ubuntu.com/releases/>. Digests: quoted
/// by third parties who build from these images. Sizes: 20.04.4 has 3,487,742,976 bytes, and 20.04.5
/// differs from it by package updates; 22.04 and 24.04 are given with a FAT of 256 MiB more and some room.
pub(super) const IMAGES: [Image; 3] = [
    Image {
        release: "20.04.5",
        series: "20.04",
        file: "ubuntu-20.04.5-preinstalled-server-arm64+raspi.img.xz",
        digest_hint: "44b98acd3fd4379c6b194696520b6aecb2f596b601e43e9b6934c83f0aa61026",
        raw_len_hint: 3_487_742_976,
    },
    Image {
        release: "22.04.5",
        series: "22.04",
        file: "ubuntu-22.04.5-preinstalled-server-arm64+raspi.img.xz",
        digest_hint: "fd7687c5c9422a6c7ba4717c227bf6473fe4e0c954d5a9f664201dcecc63e822",
        raw_len_hint: 4_200_000_000,
    },
    Image {
        release: "24.04.3",
        series: "24.04",
        file: "ubuntu-24.04.3-preinstalled-server-arm64+raspi.img.xz",
        digest_hint: "9bb1799cee8965e6df0234c1c879dd35be1d87afe39b84951f278b6bd0433e56",
        raw_len_hint: 4_200_000_000,
    },
];

impl Image {
    /// The image called `name`: a release (`20.04.5`) or a series (`20.04`, its newest release here).
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        IMAGES.iter().find(|i| i.release == name).or_else(|| IMAGES.iter().rfind(|i| i.series == name))
    }

    /// The image's address below `mirror`, or at Ubuntu's own server without one.
    #[must_use]
    pub fn url(&self, mirror: Option<&str>) -> String {
        let root = mirror.unwrap_or(RELEASES).trim_end_matches('/');
        format!("{root}/{}/release/{}", self.release, self.file)
    }

    /// Whether `digest` is the one that third parties quote.
    pub(crate) fn hint_agrees(&self, digest: &Digest) -> bool {
        self.digest_hint == digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_found_by_release_and_series() {
        for image in &IMAGES {
            assert_eq!(Image::find(image.release), Some(image));
            assert_eq!(Image::find(image.series).map(|i| i.series), Some(image.series));
            assert!(image.release.starts_with(image.series) && image.file.contains(image.release));
            let digest: Digest = image.digest_hint.parse().unwrap();
            assert!(image.hint_agrees(&digest));
        }
        assert_eq!(Image::find("20.04.4"), None);
        assert!(Image::find(DEFAULT).is_some());
    }

    #[test]
    fn a_mirror_takes_the_place_of_the_prefix() {
        let image = Image::find("20.04.5").unwrap();
        let tail = "20.04.5/release/ubuntu-20.04.5-preinstalled-server-arm64+raspi.img.xz";
        assert_eq!(image.url(None), format!("https://cdimage.ubuntu.com/releases/{tail}"));
        assert_eq!(image.url(Some("http://mirror/ubuntu/")), format!("http://mirror/ubuntu/{tail}"));
    }
}

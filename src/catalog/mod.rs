//! What base images are called: releases of Ubuntu, files, addresses, digests. Nothing is fetched or opened here,
//! so that a description can be read without any of it.

mod checksums;
mod digest;
mod release;
mod spec;

pub use checksums::{ChecksumHasher, Checksums};
pub use digest::{Digest, Hasher, InvalidDigest};
pub use release::{OLD_RELEASES, Release};
pub use spec::{InvalidSpec, Spec, shown};

/// Where releases lie; a mirror takes the place of this prefix.
pub const RELEASES: &str = "https://cdimage.ubuntu.com/releases";

/// The release that is baked unless another is asked for.
pub(super) const DEFAULT: Release = Release::of_series(20, 4).at(5);

/// A series of Ubuntu that is known to make nodes.
///
/// The server knows which of its images is the newest, and its signed SHA256SUMS decides what is in it: what stands
/// here of an image is a hint, used where the server does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// The series.
    pub series: Release,
    /// The first word of its code name, in lower case.
    pub codename: &'static str,
    /// Its newest image, when this was written.
    pub newest: Release,
    /// SHA-256 of that image as it is published, compressed, as third parties quote it.
    pub digest_hint: &'static str,
    /// About how many bytes it has decompressed, to see before the download that it fits; `None` where no source
    /// says it.
    pub raw_len_hint: Option<u64>,
}

/// The known series, oldest first: those with long-term support.
///
/// Names and addresses: directory listings of <https://cdimage.ubuntu.com/releases/>. Digests: quoted by third
/// parties who build from these images. Sizes: 20.04.4 has 3,487,742,976 bytes, and 20.04.5 differs from it by
/// package updates; 26.04.1 is quoted with 4.6 GiB.
pub(super) const SERIES: [Series; 4] = [
    Series {
        series: Release::of_series(20, 4),
        codename: "focal",
        newest: Release::of_series(20, 4).at(5),
        digest_hint: "44b98acd3fd4379c6b194696520b6aecb2f596b601e43e9b6934c83f0aa61026",
        raw_len_hint: Some(3_487_742_976),
    },
    Series {
        series: Release::of_series(22, 4),
        codename: "jammy",
        newest: Release::of_series(22, 4).at(5),
        digest_hint: "fd7687c5c9422a6c7ba4717c227bf6473fe4e0c954d5a9f664201dcecc63e822",
        raw_len_hint: None,
    },
    Series {
        series: Release::of_series(24, 4),
        codename: "noble",
        newest: Release::of_series(24, 4).at(5),
        digest_hint: "b23371a5c8d02f612c26e7c18cacb81c5a48f968c7c66a2645391320aa94351e",
        raw_len_hint: None,
    },
    Series {
        series: Release::of_series(26, 4),
        codename: "resolute",
        newest: Release::of_series(26, 4).at(1),
        digest_hint: "d59ef9c6e85b906995501f166d00726ab80b59be7b65cdeac0fa31b996053e13",
        raw_len_hint: Some(4_939_212_390),
    },
];

impl Series {
    /// The series that `release` belongs to, where it is known.
    #[must_use]
    pub fn of(release: Release) -> Option<&'static Self> {
        SERIES.iter().find(|known| known.series == release.series())
    }

    /// What is known of the image of exactly this release.
    pub(crate) fn hint(release: Release) -> Option<&'static Self> {
        SERIES.iter().find(|known| known.newest == release)
    }

    /// The newest one.
    pub(crate) const fn newest() -> &'static Self {
        &SERIES[SERIES.len() - 1]
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
    fn every_series_has_a_newest_image_of_its_own() {
        for known in &SERIES {
            assert_eq!(Series::of(known.series), Some(known));
            assert_eq!(Series::of(known.newest), Some(known));
            assert_eq!(Series::hint(known.newest), Some(known));
            assert!(known.series.is_series() && known.newest.series() == known.series);
            let digest: Digest = known.digest_hint.parse().unwrap();
            assert!(known.hint_agrees(&digest) && !known.hint_agrees(&Digest::of(b"")));
        }
        assert!(SERIES.is_sorted_by_key(|known| known.series));
        assert_eq!(Series::newest().codename, "resolute");
        assert!(Series::hint(DEFAULT).is_some());
    }
}

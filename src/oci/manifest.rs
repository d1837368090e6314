//! Indices and manifests of images, in OCI's form and in Docker's (version 2, schema 2).

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::catalog::Digest;
use crate::error::{Classified, ErrorClass};

/// A manifest may have so many bytes; registries refuse to store larger ones.
pub(crate) const LARGEST: u64 = 4 << 20;

/// OCI's media type of an index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI's media type of a manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry is asked for. It translates or hides what is not among it.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A part of an image, by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What it is.
    pub media_type: String,
    /// Its name in every registry.
    pub digest: Digest,
    /// Its size in bytes.
    pub len: u64,
}

/// What a machine has to be for an image.
///
/// The fields are in the order in which OCI's own program writes them, by which a document stays what was signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

impl Platform {
    /// A Raspberry Pi's, with a system of 64 bits.
    pub(crate) fn pi() -> Self {
        Self { architecture: "arm64".to_owned(), os: "linux".to_owned(), variant: None }
    }

    /// How well it fits a Raspberry Pi with a system of 64 bits, best is 0. `arm64` is `v8` where it does not say
    /// which, and nothing else is `v8` (containerd's `platforms.Normalize`).
    fn rank(&self) -> Option<u8> {
        let is_arm64 = self.os == "linux" && ["arm64", "aarch64"].contains(&self.architecture.as_str());
        match self.variant.as_deref() {
            Some("v8" | "8") if is_arm64 => Some(0),
            Some("") | None if is_arm64 => Some(1),
            _ => None,
        }
    }

    /// Whether it is a Raspberry Pi's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.rank().is_some()
    }

    /// As people write it: `linux/arm/v7`.
    #[must_use]
    pub fn name(&self) -> String {
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty());
        let words = [Some(self.os.as_str()), Some(&self.architecture), variant];
        words.into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}

/// One of the images that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its manifest, or another index.
    pub blob: Blob,
    /// What it is for, if the index says it.
    pub platform: Option<Platform>,
}

impl Entry {
    fn rank(&self) -> Option<u8> {
        match &self.platform {
            Some(platform) => platform.rank(),
            None if [OCI_INDEX, DOCKER_LIST].contains(&self.blob.media_type.as_str()) => Some(2),
            None => Some(3),
        }
    }
}

/// What a registry has under a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Images for several platforms.
    Index(Vec<Entry>),
    /// One image.
    Manifest {
        /// The description of what runs.
        config: Blob,
        /// The changes of its file system, the lowest first.
        layers: Vec<Blob>,
    },
}

/// A text that is neither an index nor a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// No JSON, or not with the fields of a manifest.
    #[error("it is not an image's manifest: {reason}")]
    Json {
        /// What the parser says.
        reason: String,
    },
    /// Docker's form of 2015.
    #[error(
        "it is a manifest of schema 1, which containerd no longer reads: have the image pushed again by a program of today"
    )]
    Old,
    /// Both at once: which one a reader sees depends on the reader.
    #[error("it says that it is an index and an image at once: nobody can tell which is meant")]
    Ambiguous,
    /// Neither an index nor an image.
    #[error("it names neither images nor layers: it is not a container image")]
    Neither,
    /// A digest of another kind.
    #[error("it names content by {given:?}, which is not sha256: and 64 hex digits in lower case")]
    Digest {
        /// The digest as it stands there.
        given: String,
    },
}

impl Classified for InvalidManifest {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Json { .. } | Self::Old | Self::Ambiguous | Self::Neither | Self::Digest { .. } => {
                ErrorClass::Verification
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Vec<RawBlob>>,
    config: Option<RawBlob>,
    layers: Option<Vec<RawBlob>>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlob {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

impl RawBlob {
    fn read(self) -> Result<Entry, InvalidManifest> {
        let lower = !self.digest.contains(|c: char| c.is_ascii_uppercase());
        let hex = self.digest.strip_prefix("sha256:").filter(|hex| lower && hex.len() == 64);
        let Some(digest) = hex.and_then(|hex| hex.parse().ok()) else {
            return Err(InvalidManifest::Digest { given: self.digest });
        };
        let blob = Blob { media_type: self.media_type, digest, len: self.size };
        Ok(Entry { blob, platform: self.platform })
    }
}

impl Document {
    /// Reads what a registry sends, and says of which media type it is: what is sent beside it (`sent_as`) counts
    /// only where it does not say so itself, as OCI allows.
    ///
    /// # Errors
    /// [`InvalidManifest`]
    pub fn parse(bytes: &[u8], sent_as: Option<&str>) -> Result<(Self, String), InvalidManifest> {
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|e| InvalidManifest::Json { reason: e.to_string() })?;
        if raw.schema_version == Some(1) || raw.fs_layers.is_some() {
            return Err(InvalidManifest::Old);
        }
        let (document, usual) = match (raw.manifests, raw.config, raw.layers) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => return Err(InvalidManifest::Ambiguous),
            (Some(entries), None, None) => {
                let entries = entries.into_iter().map(RawBlob::read).collect::<Result<_, _>>()?;
                (Self::Index(entries), OCI_INDEX)
            }
            (None, Some(config), Some(layers)) => {
                let blob = |raw: RawBlob| raw.read().map(|entry| entry.blob);
                let layers = layers.into_iter().map(blob).collect::<Result<_, _>>()?;
                (Self::Manifest { config: blob(config)?, layers }, OCI_MANIFEST)
            }
            (None, ..) => return Err(InvalidManifest::Neither),
        };
        let fitting = match document {
            Self::Index(_) => [OCI_INDEX, DOCKER_LIST],
            Self::Manifest { .. } => [OCI_MANIFEST, DOCKER_MANIFEST],
        };
        let media_type = match (raw.media_type, sent_as) {
            (Some(own), _) if !fitting.contains(&own.as_str()) => return Err(InvalidManifest::Ambiguous),
            (Some(own), _) => own,
            (None, Some(sent)) if fitting.contains(&sent) => sent.to_owned(),
            (None, _) => usual.to_owned(),
        };
        Ok((document, media_type))
    }
}

/// Those of an index that may be for a Raspberry Pi, the best first, and what is only found out by looking into it
/// last.
#[must_use]
pub(super) fn candidates(entries: &[Entry]) -> Vec<&Entry> {
    let mut fitting: Vec<(u8, &Entry)> = entries.iter().filter_map(|e| Some((e.rank()?, e))).collect();
    // the first of those that fit alike, as containerd takes it
    fitting.sort_by_key(|(rank, _)| *rank);
    fitting.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn entry(n: u8, media_type: &str, platform: &str) -> String {
        let digest = format!("sha256:{}", format!("{n:x}").repeat(64));
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{n},"platform":{platform}}}"#)
    }

    fn index(entries: &[String]) -> String {
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(","))
    }

    /// The sizes, which number the entries, in the order of the candidates.
    fn chosen(text: &str) -> Vec<u64> {
        let Ok((Document::Index(entries), _)) = Document::parse(text.as_bytes(), None) else {
            panic!("{text}")
        };
        candidates(&entries).iter().map(|entry| entry.blob.len).collect()
    }

    #[test]
    fn what_fits_a_pi_best_comes_first() {
        let platform = |os: &str, arch: &str, variant: &str| {
            format!(r#"{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}"#)
        };
        let plain = r#"{"os":"linux","architecture":"arm64"}"#;
        let text = index(&[
            entry(1, OCI_MANIFEST, &platform("linux", "amd64", "")),
            entry(2, OCI_MANIFEST, &platform("linux", "arm", "v7")),
            entry(3, OCI_MANIFEST, "null"),
            entry(4, OCI_INDEX, "null"),
            entry(5, OCI_MANIFEST, plain),
            entry(6, OCI_MANIFEST, &platform("linux", "arm64", "v8")),
            entry(7, OCI_MANIFEST, &platform("windows", "arm64", "")),
            entry(8, OCI_MANIFEST, &platform("linux", "arm64", "v9")),
            entry(9, OCI_MANIFEST, &platform("unknown", "unknown", "")),
            entry(10, OCI_MANIFEST, &platform("linux", "aarch64", "")),
        ]);
        assert_eq!(chosen(&text), [6, 5, 10, 4, 3]);
        assert!(chosen(&index(&[])).is_empty());
    }

    #[test]
    fn the_media_type_is_that_of_the_document_itself() {
        let layers = format!(r#""config":{{"digest":"{A}","size":2}},"layers":[]"#);
        let bare = format!(r#"{{"schemaVersion":2,{layers}}}"#);
        let docker = format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}",{layers}}}"#);
        for (text, sent_as, expected) in [
            (&bare, None, OCI_MANIFEST),
            (&bare, Some("text/plain"), OCI_MANIFEST),
            (&bare, Some(OCI_INDEX), OCI_MANIFEST),
            (&bare, Some(DOCKER_MANIFEST), DOCKER_MANIFEST),
            (&docker, Some(OCI_MANIFEST), DOCKER_MANIFEST),
        ] {
            assert_eq!(Document::parse(text.as_bytes(), sent_as).unwrap().1, expected, "{text} {sent_as:?}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_reason() {
        let blob = format!(r#"{{"digest":"{A}","size":2}}"#);
        for (text, words) in [
            (String::new(), "not an image's manifest"),
            ("[]".to_owned(), "not an image's manifest"),
            ("{}".to_owned(), "neither images nor layers"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), "schema 1"),
            (format!(r#"{{"manifests":[],"layers":[{blob}]}}"#), "at once"),
            (format!(r#"{{"manifests":[],"config":{blob}}}"#), "at once"),
            (format!(r#"{{"mediaType":"{OCI_INDEX}","config":{blob},"layers":[]}}"#), "at once"),
            (format!(r#"{{"config":{blob}}}"#), "neither images nor layers"),
            (format!(r#"{{"layers":[{blob}]}}"#), "neither images nor layers"),
            (format!(r#"{{"manifests":[{}]}}"#, blob.replace("sha256", "sha512")), "names content by"),
            (format!(r#"{{"manifests":[{}]}}"#, blob.replace("aa", "AA")), "names content by"),
            (format!(r#"{{"manifests":[{}]}}"#, blob.replace(":2}", ":-2}")), "not an image's manifest"),
        ] {
            let error = Document::parse(text.as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

//! The documents that lie in a registry, in OCI's form (image-spec 1.1): an index, and manifests of artifacts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Digest;
use crate::oci::{Blob, OCI_MANIFEST, Platform};

/// What an index of a fleet is.
pub(super) const FLEET: &str = "application/vnd.pibake.fleet.v1";
/// What a manifest is of, and so an entry of the index.
pub(super) const BASE: &str = "application/vnd.pibake.base.v1";
pub(super) const PAYLOAD: &str = "application/vnd.pibake.payload.v1";
pub(super) const NODE: &str = "application/vnd.pibake.node.v1";
pub(super) const SIGNATURE: &str = "application/vnd.pibake.signature.v1";
pub(super) const CLAIM: &str = "application/vnd.pibake.claim.v1";
/// What a blob is: a chunk of a raw image, some changes of one, the same encrypted, a bill, a signature.
pub(super) const CHUNK: &str = "application/vnd.pibake.chunk.v1+zstd";
pub(super) const CHANGES: &str = "application/vnd.pibake.changes.v1+zstd";
pub(super) const SEALED: &str = "application/vnd.pibake.changes.v1+zstd+age";
pub(super) const BILL: &str = "application/vnd.pibake.bill.v1.spdx+json+zstd";
pub(super) const MINISIG: &str = "application/vnd.pibake.minisig";

/// The most bytes that a node's own changes may have, packed or not: what is large is in the payload.
pub(super) const NODE_MAX: u64 = 512 << 20;
/// The most that a bill may have.
pub(super) const BILL_MAX: u64 = 64 << 20;

/// OCI's word for a configuration that there is none of, and what it has then (image-spec, "Guidance for an empty
/// descriptor").
pub(super) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const EMPTY_CONTENT: &[u8] = b"{}";

/// Names of annotations. Each is a fact that whoever lists a fleet wants to see; what decides is signed with them.
pub(super) mod note {
    /// Of an index and its entries: what they are.
    pub(crate) const KIND: &str = "vnd.pibake.kind";
    /// Of an index: which cluster it is of, for people.
    pub(crate) const CLUSTER: &str = "vnd.pibake.cluster";
    /// Of an index: the hash of the cluster's CA, which no two clusters share.
    pub(crate) const FLEET: &str = "vnd.pibake.fleet";
    /// Of an index: how many there were before it.
    pub(crate) const SERIAL: &str = "vnd.pibake.serial";
    /// Of an index: which version of pibake made it.
    pub(crate) const MADE_BY: &str = "vnd.pibake.version";
    /// Of a base: its name, SHA-256 of the raw image and of the file that it was published as, sizes in bytes.
    pub(crate) const NAME: &str = "vnd.pibake.name";
    pub(crate) const RAW: &str = "vnd.pibake.raw-sha256";
    pub(crate) const PUBLISHED: &str = "vnd.pibake.published-sha256";
    pub(crate) const LENGTH: &str = "vnd.pibake.length";
    pub(crate) const CHUNK_LENGTH: &str = "vnd.pibake.chunk-length";
    /// Of a chunk: where in the image it begins.
    pub(crate) const OFFSET: &str = "vnd.pibake.offset";
    /// Of a payload and of a node: what it is for.
    pub(crate) const ROLE: &str = "vnd.pibake.role";
    /// Of a node.
    pub(crate) const NODE: &str = "vnd.pibake.node";
    pub(crate) const NUMBER: &str = "vnd.pibake.number";
    pub(crate) const BOARD: &str = "vnd.pibake.board";
    pub(crate) const BOOT_FROM: &str = "vnd.pibake.boot-from";
    pub(crate) const KUBERNETES: &str = "vnd.pibake.kubernetes";
    pub(crate) const CONTAINERD: &str = "vnd.pibake.containerd";
    /// Of a node: the digests of the manifests that it lies over.
    pub(crate) const ON_BASE: &str = "vnd.pibake.base";
    pub(crate) const ON_PAYLOAD: &str = "vnd.pibake.payload";
    /// Of a claim: how it stands, whose it is, since when, and the card.
    pub(crate) const STATE: &str = "vnd.pibake.state";
    pub(crate) const STATION: &str = "vnd.pibake.station";
    pub(crate) const TIME: &str = "vnd.pibake.time";
    pub(crate) const CARD: &str = "vnd.pibake.card";
    pub(crate) const RESULT: &str = "vnd.pibake.result";
}

/// Annotations, in the order of their names.
pub(super) type Notes = BTreeMap<String, String>;

/// Annotations of these names and values.
pub(super) fn notes<const N: usize>(all: [(&str, String); N]) -> Notes {
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Something of a registry, by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    #[serde(with = "prefixed")]
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub(super) annotations: Notes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

impl Descriptor {
    /// Of these bytes.
    pub(super) fn of(media_type: &str, bytes: &[u8], annotations: Notes) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            annotations,
            platform: None,
        }
    }

    /// Of a manifest of this kind, as an index lists it.
    pub(super) fn listed(kind: &str, bytes: &[u8], annotations: Notes) -> Self {
        let mut annotations = annotations;
        annotations.insert(note::KIND.to_owned(), kind.to_owned());
        Self { platform: Some(Platform::pi()), ..Self::of(OCI_MANIFEST, bytes, annotations) }
    }

    pub(super) fn note(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }

    pub(super) fn blob(&self) -> Blob {
        Blob { media_type: self.media_type.clone(), digest: self.digest, len: self.size }
    }
}

/// An artifact: blobs, and what they are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    pub(super) media_type: String,
    pub(super) artifact_type: String,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub(super) annotations: Notes,
}

impl Manifest {
    pub(super) fn new(kind: &str, layers: Vec<Descriptor>, annotations: Notes) -> Self {
        Self {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            artifact_type: kind.to_owned(),
            config: Descriptor::of(EMPTY, EMPTY_CONTENT, Notes::new()),
            layers,
            subject: None,
            annotations,
        }
    }

    pub(super) fn note(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

/// What a tag stands for.
///
/// It has no field that OCI 1.0 does not know, and these in the order of OCI's own program: copying with Debian's skopeo
/// reads an index and writes it again, and only so it stays what was signed. What an entry is of says an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) schema_version: u32,
    pub(super) manifests: Vec<Descriptor>,
    pub(super) annotations: Notes,
}

impl Index {
    pub(super) fn new(manifests: Vec<Descriptor>, annotations: Notes) -> Self {
        let mut annotations = annotations;
        annotations.insert(note::KIND.to_owned(), FLEET.to_owned());
        Self { schema_version: 2, manifests, annotations }
    }

    /// Its bytes, which are those that OCI's program (in Go) would write.
    pub(super) fn text(&self) -> serde_json::Result<Vec<u8>> {
        let text = serde_json::to_string(self)?;
        // in JSON these stand in strings alone
        let escaped = ['<', '>', '&', '\u{2028}', '\u{2029}']
            .into_iter()
            .fold(text, |text, c| text.replace(c, &format!("\\u{:04x}", u32::from(c))));
        Ok(escaped.into_bytes())
    }
}

/// A document's bytes, by which it is known from then on.
pub(super) fn text(document: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(document)
}

/// `sha256:` and the digest.
mod prefixed {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::catalog::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("sha256:{digest}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        let hex = text.strip_prefix("sha256:").filter(|hex| !hex.contains(|c: char| c.is_ascii_uppercase()));
        hex.and_then(|hex| hex.parse().ok()).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is not sha256: and 64 hex digits in lower case"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_those_of_oci() {
        let blob = Descriptor::of(CHUNK, b"x", notes([(note::OFFSET, "0".to_owned())]));
        let manifest = Manifest::new(BASE, vec![blob], Notes::new());
        let bytes = text(&manifest).unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap(), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.pibake.base.v1","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"application/vnd.pibake.chunk.v1+zstd","digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1,"annotations":{"vnd.pibake.offset":"0"}}]}"#);
        assert_eq!(serde_json::from_slice::<Manifest>(&bytes).unwrap(), manifest);
        let about = notes([(note::NAME, "a&b".to_owned())]);
        let index = Index::new(vec![Descriptor::listed(BASE, &bytes, about)], Notes::new());
        let listed = index.text().unwrap();
        assert_eq!(serde_json::from_slice::<Index>(&listed).unwrap(), index);
        insta::assert_snapshot!(String::from_utf8(listed).unwrap(), @r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:d699914eeac2d02398fe8fc629aba572ce54e2ea52589d560a7f273a6d433864","size":471,"annotations":{"vnd.pibake.kind":"application/vnd.pibake.base.v1","vnd.pibake.name":"a\u0026b"},"platform":{"architecture":"arm64","os":"linux"}}],"annotations":{"vnd.pibake.kind":"application/vnd.pibake.fleet.v1"}}"#);
        let upper = String::from_utf8(bytes).unwrap().replace("sha256:44136fa3", "sha256:44136FA3");
        serde_json::from_str::<Manifest>(&upper).unwrap_err();
    }
}

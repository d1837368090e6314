//! Where the signature of an index lies: an artifact that has the index as its subject, under a tag made of its digest.

use super::error::{Error, Result};
use super::format::{MINISIG, Manifest, SIGNATURE};
use super::name::FleetName;
use crate::base::Fetcher;
use crate::catalog::Digest;
use crate::oci::Repository;

/// Longest signature in bytes.
const LARGEST: u64 = 1 << 16;

/// The tag of the signature of the index with this digest.
pub(super) fn signature_tag(index: &Digest) -> String {
    format!("sha256-{index}.minisig")
}

/// The text of the signature of the index with this digest; `None` where the registry has none. Nothing of it is
/// believed yet.
pub(super) fn signature_of(
    repository: &Repository<'_>,
    name: &FleetName,
    index: &Digest,
    fetcher: &Fetcher<'_>,
) -> Result<Option<String>> {
    let Some(bytes) = repository.manifest(&signature_tag(index))? else { return Ok(None) };
    let damaged =
        |fault: String| Error::Damaged { fleet: name.to_string(), what: "the signature".to_owned(), fault };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    let layer = manifest.layers.iter().find(|layer| layer.media_type == MINISIG);
    let Some(layer) = layer.filter(|_| manifest.artifact_type == SIGNATURE) else {
        return Err(damaged("its manifest is of something else".to_owned()));
    };
    if layer.size > LARGEST {
        return Err(damaged(format!("it should have {} bytes", layer.size)));
    }
    repository.fetch("downloading the signature", [&layer.blob()])?;
    let text = fetcher.cache.content(&layer.digest, LARGEST).unwrap_or_default();
    String::from_utf8(text).map(Some).map_err(|_| damaged("it is not text".to_owned()))
}

//! What `--json` prints: one document a run, on standard output, whatever happens.
//!
//! Each document is a type here. Every field is always there, `null` where there is nothing to say or the value is
//! not known. Fixed words are in kebab-case. A name ends in `bytes` where it counts bytes; `bytes` alone is the
//! size of what its object describes.
//!
//! docs/json.md describes every field. `Deserialize` is for the test that holds the page against the types.

mod boot;
mod contents;
mod drives;
mod fleets;
mod images;
mod plan;
mod running;
mod setup;
mod sources;
#[cfg(test)]
mod tests;

pub(super) use boot::*;
pub(super) use contents::*;
pub(super) use drives::{Drive, Drives};
pub(super) use fleets::*;
pub(super) use images::*;
pub(super) use plan::*;
pub(super) use running::*;
pub(super) use setup::*;
pub(super) use sources::*;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{DoingAs, ErrorClass, Failure, causes};
use crate::ui::visible_json;
use crate::workflow;

/// The form of the documents. It changes when a field is removed or means something else; not for one more.
pub(super) const VERSION: u32 = 1;

/// A document as it is printed.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    common: Common,
    /// The fields of the command, one of the types of this module; null where it did not get that far.
    #[serde(flatten)]
    own: &'a Value,
}

/// What every document has.
#[derive(Serialize, Deserialize)]
struct Common {
    version: u32,
    warnings: Vec<Warning>,
    error: Option<Error>,
}

/// Something that is allowed, and probably not meant.
#[derive(Serialize, Deserialize)]
struct Warning {
    kind: String,
    text: String,
}

impl From<&workflow::Warning> for Warning {
    fn from(warning: &workflow::Warning) -> Self {
        use crate::{cluster, project};
        let kind = match warning {
            workflow::Warning::Project(project::Warning::Readable { .. }) => "readable-secret",
            workflow::Warning::Project(project::Warning::Cluster(warning)) => match warning {
                cluster::Warning::NoRadio { .. } => "no-wifi",
                cluster::Warning::UnknownKubernetes { .. } => "unknown-kubernetes",
                cluster::Warning::NoCountry => "no-wifi-country",
                cluster::Warning::PerhapsNoRadio { .. } => "perhaps-no-radio",
                cluster::Warning::SmallControlPlane { .. } => "small-control-plane",
                cluster::Warning::Overlap { .. } => "network-overlap",
            },
            workflow::Warning::OutOfSupport(_) => "out-of-support",
            workflow::Warning::KeyEnds { .. } => "key-expires",
            workflow::Warning::AuthorityEnds { .. } => "ca-expires",
            workflow::Warning::BeginsAnew(_) => "cluster-starts-over",
            workflow::Warning::Empties => "cluster-emptied",
            workflow::Warning::BaseInUse { .. } => "used-base-image",
            workflow::Warning::KeptCard { .. } => "kept-card",
            workflow::Warning::OthersImage { .. } => "other-cluster-image",
            workflow::Warning::NoModes { .. } | workflow::Warning::OpenDescription { .. } => "no-file-modes",
            workflow::Warning::LargeSectors { .. } => "large-sectors",
        };
        Self { kind: kind.to_owned(), text: warning.to_string() }
    }
}

/// What went wrong, with a card or with the whole run.
#[derive(Serialize, Deserialize)]
pub(super) struct Error {
    class: ErrorClass,
    exit_code: u8,
    message: String,
    causes: Vec<String>,
}

impl Error {
    pub(super) fn new(class: ErrorClass, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = causes(error);
        let message = causes.remove(0);
        Self { class, exit_code: class.exit_code(), message, causes }
    }
}

/// The text of a document: the `own` fields of the command and what every document has.
pub(super) fn document(
    own: &Value,
    warnings: &[workflow::Warning],
    failure: Option<&Failure>,
) -> Result<String, Failure> {
    let common = Common {
        version: VERSION,
        warnings: warnings.iter().map(Warning::from).collect(),
        error: failure.map(|failure| Error::new(failure.class(), failure.error())),
    };
    let text = serde_json::to_string_pretty(&Document { common, own })
        .doing_as(ErrorClass::Internal, || "writing JSON".to_owned())?;
    Ok(visible_json(&text).into_owned())
}

/// JSON holds text, and a path or a name is any bytes: one that is not UTF-8 has U+FFFD where it is not, and its
/// bytes stand beside it in base64.
pub(super) fn text(bytes: impl AsRef<OsStr>) -> (String, Option<String>) {
    let bytes = bytes.as_ref();
    let base64 = bytes.to_str().is_none().then(|| BASE64_STANDARD.encode(bytes.as_bytes()));
    (bytes.to_string_lossy().into_owned(), base64)
}

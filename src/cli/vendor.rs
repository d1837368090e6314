//! `pibake vendor DIR`: all that a build needs, in one folder.

use std::path::PathBuf;

use clap::Args;

use super::base_flags::BaseFlags;
use super::description::Description;
use super::json::{self, Vendored};
use super::session::Session;
use crate::catalog::Spec;
use crate::error::Failure;
use crate::io::human_bytes;
use crate::workflow::{BaseRequest, Gathered, Store};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake vendor /media/usb/vendor --preload          all that the build needs\n  pibake build --preload --vendor /media/usb/vendor  on the other side, without a network\n\ndocs/offline.md walks through a build in a closed network."
)]
pub(super) struct Arguments {
    /// The folder; created if missing. What it has already is not fetched again
    dir: PathBuf,
    /// Accept nothing but what pibake.lock has
    #[arg(long)]
    locked: bool,
    #[command(flatten)]
    description: Description,
    #[command(flatten)]
    base_flags: BaseFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let described = arguments.description.open(session)?;
    let store = Store::Into(arguments.dir.clone());
    let request =
        BaseRequest { locked: arguments.locked, store, ..arguments.base_flags.request(session.offline) };
    let Gathered { base, payload } = described.gather(&request)?;
    let parts: Vec<_> = payload.iter().flat_map(|payload| payload.parts()).map(|(_, part)| part).collect();
    let images: std::collections::BTreeSet<_> =
        parts.iter().flat_map(|part| &part.images).map(|image| &image.name).collect();
    let (path, path_base64) = json::text(&arguments.dir);
    let document = Vendored {
        path,
        path_base64,
        base: (&base).into(),
        packages: payload.as_ref().map_or(0, |payload| payload.packages().count()),
        images: images.len(),
    };
    // what is used where it lies is not copied
    let own = matches!(described.project.cluster.base.image, Spec::Path(_));
    session.result(&document, || {
        let Vendored { path, packages, images, .. } = &document;
        let base = match own {
            true => format!("the base image is your own file: carry {} along", base.name),
            false => format!("base image {} ({})", base.name, human_bytes(base.len)),
        };
        format!("{path}: {packages} packages, {images} container images; {base}\n")
    })
}

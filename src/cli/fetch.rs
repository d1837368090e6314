//! `pibake fetch [RELEASE]`: the base image in the cache, verified, and nothing else.

use std::os::unix::fs::MetadataExt;

use clap::Args;

use super::base_flags::BaseFlags;
use super::json::{self, Fetched, FetchedBase};
use super::session::Session;
use crate::base::{Base, Trust};
use crate::cluster::Overrides;
use crate::error::{Doing, Failure};
use crate::io::human_bytes;
use crate::project::Project;
use crate::ui::Table;
use crate::workflow::{BaseRequest, Wanted};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake fetch                    the image that pibake.toml names\n  pibake fetch 24.04 --check      another one, read in full"
)]
pub(super) struct Arguments {
    /// A release (24.04.5, or 24.04 for its newest), `sample`, a path or a URL [default: what pibake.toml names]
    #[arg(value_name = "RELEASE")]
    base: Option<String>,
    /// Read a cached image in full and compare it with its checksum; a damaged one is downloaded again
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    flags: BaseFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let overrides = Overrides { base: arguments.base.clone(), ..Overrides::default() };
    let project = Project::open(session.config.as_deref(), &overrides)?;
    let request = BaseRequest { thorough: arguments.check, ..arguments.flags.request(session.offline) };
    let wanted = Wanted::new(&project.cluster.base, &request, &session.control)?;
    report(&wanted.obtain(&session.control, None)?, session)
}

fn report(base: &Base, session: &Session) -> Result<(), Failure> {
    let file = base.path();
    let stored = std::fs::metadata(file).doing(|| format!("examining {}", file.display()))?;
    let (path, path_base64) = json::text(file);
    let (trust, signed_by) = trust(&base.trust);
    let base_image = FetchedBase {
        name: base.name.clone(),
        sha256: base.digest.to_string(),
        release: base.release.map(|release| release.to_string()),
        trust: trust.to_owned(),
        signed_by,
        checked: base.checked.as_str().to_owned(),
        path,
        path_base64,
        bytes: base.len,
        // st_blocks counts 512 bytes each, whatever the file system's blocks are: inode(7)
        disk_bytes: stored.blocks() * 512,
        packed_bytes: base.packed_len,
    };
    let document = Fetched { base: base_image };
    session.result(&document, || {
        let mut table = Table::new(["BASE", base.name.as_str()]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("SHA-256", document.base.sha256.clone());
        row("trust", base.trust.to_string());
        row("checked", base.checked.to_string());
        row("path", file.display().to_string());
        row("size", human_bytes(base.len));
        row("on disk", human_bytes(document.base.disk_bytes));
        row("as published", human_bytes(base.packed_len));
        table.to_string()
    })
}

/// Why it is trusted, in one word for programs, and the key where it was signed.
fn trust(trust: &Trust) -> (&'static str, Option<String>) {
    match trust {
        Trust::Signed(key) => ("signed", Some(key.clone())),
        Trust::Given => ("given", None),
        Trust::Listed => ("listed", None),
        Trust::Beside => ("beside", None),
        Trust::Own => ("own", None),
        Trust::BuiltIn => ("built-in", None),
        Trust::Nothing => ("nothing", None),
    }
}

//! `pibake fetch [RELEASE]`: the base image in the cache, verified, and nothing else.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::base_flags::BaseFlags;
use crate::base::{Base, Trust};
use crate::cluster::Overrides;
use crate::error::{Doing, Failure};
use crate::io::human_bytes;
use crate::project::Project;
use crate::ui::{Table, Ui, put_path};
use crate::workflow::{BaseRequest, Wanted};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A release (20.04.5), `sample`, a path or a URL; without it the one that pibake.toml names
    #[arg(value_name = "RELEASE")]
    base: Option<String>,
    /// Read a cached image in full and compare it with its checksum; a damaged one is downloaded again
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    flags: BaseFlags,
}

pub(super) fn run(
    arguments: &Arguments,
    config: Option<&Path>,
    offline: bool,
    ui: &Ui,
) -> Result<(), Failure> {
    let overrides = Overrides { base: arguments.base.clone(), ..Overrides::default() };
    let project = Project::open(config, &overrides)?;
    let control = super::signals::control(ui, &super::signals::cancelled()?);
    let request = BaseRequest { thorough: arguments.check, ..arguments.flags.request(offline) };
    let wanted = Wanted::new(&project.cluster.base, &request, &control)?;
    report(&wanted.obtain(&control, None)?, ui)
}

fn report(base: &Base, ui: &Ui) -> Result<(), Failure> {
    let path = base.path();
    let stored = std::fs::metadata(path).doing(|| format!("examining {}", path.display()))?;
    // st_blocks counts 512 bytes each, whatever the file system's blocks are: inode(7)
    let stored = stored.blocks() * 512;
    let digest = base.digest.to_string();
    let mut value = json!({
        "base": base.name, "release": base.release, "sha256": digest,
        "trust": trust(&base.trust), "signed_by": signer(&base.trust),
        "checked": base.checked.as_str(),
        "bytes": base.len, "stored_bytes": stored, "packed_bytes": base.packed_len,
    });
    put_path(&mut value, "path", path);
    ui.result(&value, || {
        let mut table = Table::new(["BASE", base.name.as_str()]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("SHA-256", digest);
        row("trust", base.trust.to_string());
        row("checked", base.checked.to_string());
        row("path", path.display().to_string());
        row("size", human_bytes(base.len));
        row("on disk", human_bytes(stored));
        row("as published", human_bytes(base.packed_len));
        table.to_string()
    })?;
    Ok(())
}

/// The kind of trust as one word, for programs.
fn trust(trust: &Trust) -> &'static str {
    match trust {
        Trust::Signed(_) => "signed",
        Trust::Given => "given",
        Trust::Listed => "listed",
        Trust::Beside => "beside",
        Trust::Own => "own",
        Trust::BuiltIn => "built-in",
        Trust::Nothing => "nothing",
    }
}

fn signer(trust: &Trust) -> Option<&str> {
    match trust {
        Trust::Signed(key) => Some(key),
        _ => None,
    }
}

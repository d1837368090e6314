//! `pibake update`: moves pibake.lock on.

use clap::Args;

use super::base_flags::BaseFlags;
use super::description::Description;
use super::json::{self, LockChange, Updated};
use super::session::Session;
use crate::error::Failure;
use crate::ui::Table;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake update                           what pibake.toml preloads, as it is today\n  pibake update --preload --nodes 4       for cards that are made with --preload"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    description: Description,
    #[command(flatten)]
    base_flags: BaseFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let described = arguments.description.open(session)?;
    let updated = described.update(&arguments.base_flags.request(session.offline))?;
    let (path, path_base64) = json::text(&updated.path);
    let changes = updated.changes.into_iter();
    let changes = changes.map(|c| LockChange { what: c.what, before: c.before, after: c.after }).collect();
    let document = Updated { path, path_base64, changes };
    session.result(&document, || {
        if document.changes.is_empty() {
            return format!("{} is up to date\n", document.path);
        }
        let mut table = Table::new(["WHAT", "WAS", "IS"]);
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        for LockChange { what, before, after } in &document.changes {
            table.row([what.clone(), or_dash(before), or_dash(after)]);
        }
        format!("{table}{} is written\n", document.path)
    })
}

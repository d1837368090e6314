//! `pibake drives`: what could be written, and why or why not.

use clap::Args;

use super::json;
use super::session::Session;
use crate::drives::{Drive, Eligibility, Kind, Own, Purpose};
use crate::error::{Doing, Failure};
use crate::io::sold_size;
use crate::ui::Table;
use crate::workflow::own;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  pibake drives\n  pibake drives --json")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, session: &Session) -> Result<(), Failure> {
    let own = own(session.config.as_deref());
    let drives: Vec<Drive> = all(&own)?.into_iter().filter(is_listed).collect();
    let document = json::Drives { drives: drives.iter().map(json::Drive::from).collect() };
    session.result(&document, || {
        let mut table = Table::new(["DRIVE", "SIZE", "BUS", "MODEL", "SERIAL", "CONTENT", "MAY BE WRITTEN"]);
        for drive in &drives {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            table.row([
                drive.path.display().to_string(),
                sold_size(drive.size),
                drive.bus.to_string(),
                or_dash(&drive.model),
                or_dash(&drive.serial),
                drive.summary(),
                Eligibility::of(drive, Purpose::Card, None).to_string(),
            ]);
        }
        if drives.is_empty() { "no drives found\n".to_owned() } else { table.to_string() }
    })
}

#[cfg(target_os = "linux")]
fn all(own: &[Own]) -> Result<Vec<Drive>, Failure> {
    crate::drives::linux::Machine::this().drives(own).doing(|| "looking for drives".to_owned())
}

#[cfg(target_os = "macos")]
fn all(own: &[Own]) -> Result<Vec<Drive>, Failure> {
    crate::drives::macos::drives(own).doing(|| "looking for drives".to_owned())
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn all(_: &[Own]) -> Result<Vec<Drive>, Failure> {
    Err(Failure::new(crate::error::ErrorClass::Failed, "drives can be listed on Linux and macOS alone"))
}

/// Drives, and loop devices that have a file behind them; what the kernel makes of other drives or
/// of memory is none.
fn is_listed(drive: &Drive) -> bool {
    match drive.kind {
        Kind::Disk | Kind::Optical | Kind::Floppy => true,
        Kind::Loop => drive.backing.is_some(),
        Kind::BootArea | Kind::Volume | Kind::Raid | Kind::Memory => false,
    }
}

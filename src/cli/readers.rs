//! Card readers: drives that are safe to write, held open.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::boards::BootFrom;
use crate::drives::linux::{Found, Machine, udisks, unmount};
use crate::drives::{By, Drive, Eligibility, Own, Purpose};
use crate::error::{Classified, Doing, Failure};
use crate::io::shell_word;
use crate::sink::card::DriveCard;
use crate::workflow::{Control, Warning};

/// Links here name the drive itself, wherever it is plugged in.
const BY_ID: &str = "/dev/disk/by-id";

/// How long a process may have a drive open without being taken for somebody who writes to it.
const MOMENT: Duration = Duration::from_millis(200);
const PATIENCE: u32 = 8;

/// What is allowed with drives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Nothing is asked, so drives are named by what stays the same.
    pub yes: bool,
    /// What a desktop mounted is unmounted.
    pub unmount: bool,
    /// Drives that do not look like cards are written, too.
    pub allow_fixed: bool,
}

/// What drives are judged by.
pub(super) struct Readers<'a> {
    pub machine: &'a Machine,
    pub rules: Rules,
    /// Bytes that a card must have, where that is known.
    pub needed: Option<u64>,
    /// What no drive may hold that is written.
    pub own: &'a [Own],
    pub control: &'a Control,
}

/// What a drive is to be that a node starts from; what it is not known to start from is a card.
pub(super) fn purpose(boot_from: Option<BootFrom>) -> Purpose {
    if boot_from.is_some_and(BootFrom::is_disk) { Purpose::Disk } else { Purpose::Card }
}

impl Readers<'_> {
    /// Opens the drive at `path`, which was found safe, for this process alone, and judges it again.
    pub(super) fn hold(
        &self,
        path: &Path,
        drive: &Drive,
        purpose: Purpose,
    ) -> Result<(Drive, DriveCard), Failure> {
        let card = self.open(drive)?;
        // Whoever came between the look and the opening is seen now; nobody can come any more.
        let seen = drive.number;
        let drive = self.judged(path, purpose)?;
        if drive.number != seen {
            let path = path.display();
            return Err(Failure::refused(format!("{path} leads to another drive now than a moment ago")));
        }
        if drive.logical_sector > 512 {
            let (path, sector) = (drive.path.clone(), drive.logical_sector);
            self.control.warn(Warning::LargeSectors { drive: path, sector });
        }
        Ok((drive, card))
    }

    /// Opens the drive for this process alone: directly where this user may do that, else by udisks, which asks for
    /// permission.
    fn open(&self, drive: &Drive) -> Result<DriveCard, Failure> {
        let number = (drive.number.major, drive.number.minor);
        let error = match DriveCard::open(&drive.path, number, drive.logical_sector) {
            Ok(card) => return Ok(card),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
            Err(error) => return Err(refused(drive, error)),
        };
        tracing::info!("{}: {error}", drive.path.display());
        let shown = drive.path.display();
        self.control.progress().note(&format!("asking udisks2 for permission to write to {shown}"));
        // --yes asks nothing
        let file = udisks::open(udisks::Bus::System, &drive.path, !self.rules.yes)
            .map_err(|error| not_permitted(drive, error))?;
        DriveCard::opened(file, number, drive.logical_sector).map_err(|error| refused(drive, error))
    }

    /// The drive at `path`, after unmounting what may be unmounted.
    pub(super) fn safe(&self, path: &Path, purpose: Purpose) -> Result<Drive, Failure> {
        if self.rules.unmount
            && let Found::Drive(drive, _) = self.find(path)?
            && let Some(mounts) = Eligibility::of(&drive, purpose, self.needed).only_automounts()
        {
            // nothing is unmounted from what would then be refused all the same
            self.permitted(path, Drive { uses: Vec::new(), ..(*drive).clone() }, purpose)?;
            for used in mounts {
                let By::Mount(at) = &used.by else { continue };
                let device =
                    used.way.first().map_or_else(|| drive.path.clone(), |n| Path::new("/dev").join(n));
                let shown = at.display();
                unmount(at, &device)
                    .doing(|| format!("unmounting {shown}; close what uses it, nothing was written"))?;
                self.control.progress().note(&format!("unmounted {shown}"));
            }
        }
        self.judged(path, purpose)
    }

    fn find(&self, path: &Path) -> Result<Found, Failure> {
        self.machine.find(path, self.own).doing(|| format!("looking at {}", path.display()))
    }

    fn judged(&self, path: &Path, purpose: Purpose) -> Result<Drive, Failure> {
        let mut found = self.find(path)?;
        for _ in 0..PATIENCE {
            // Programs that list drives open them for a moment; one that writes stays.
            let Found::Drive(drive, _) = &found else { break };
            if !drive.uses.iter().any(|used| matches!(used.by, By::Process { .. })) {
                break;
            }
            std::thread::sleep(MOMENT);
            found = self.find(path)?;
        }
        let shown = path.display();
        if matches!(found, Found::Missing) {
            return Err(Failure::usage(format!("{shown} does not exist; pibake drives lists the drives")));
        }
        Err(Failure::refused(match found {
            Found::Drive(drive, _) => return self.permitted(path, *drive, purpose),
            Found::Partition { drive } => {
                format!("{shown} is a partition: a card is written as a whole, {}", drive.display())
            }
            Found::Missing => format!("{shown} has gone away"),
            Found::Other(what) => {
                format!("{shown} is {what}, not a drive; images are written by pibake build")
            }
            Found::Unknown => format!("{shown} is a drive that the kernel does not know"),
        }))
    }

    /// The drive, if it may be written by what was asked for.
    fn permitted(&self, path: &Path, drive: Drive, purpose: Purpose) -> Result<Drive, Failure> {
        let shown = path.display();
        // not by a way that only begins there
        if self.rules.yes && path.parent() != Some(Path::new(BY_ID)) {
            let known = drive.ids.first().map_or(String::new(), |id| format!(": {}", id.display()));
            return Err(Failure::refused(format!(
                "--yes asks nothing, so {shown} must be named by its link in {BY_ID}, which stays the same{known}"
            )));
        }
        match Eligibility::of(&drive, purpose, self.needed) {
            Eligibility::Allowed => Ok(drive),
            Eligibility::NeedsAllowFixed(_) if self.rules.allow_fixed => Ok(drive),
            eligibility => {
                let real =
                    if drive.path == path { String::new() } else { format!(" ({})", drive.path.display()) };
                Err(Failure::refused(format!("{shown}{real} is not written: {eligibility}")))
            }
        }
    }
}

/// What opening a drive answered.
fn refused(drive: &Drive, error: io::Error) -> Failure {
    let shown = drive.path.display();
    match error.kind() {
        io::ErrorKind::ResourceBusy => held(drive),
        io::ErrorKind::ReadOnlyFilesystem => {
            Failure::refused(format!("{shown} is read-only (the lock switch of an SD card?)"))
        }
        _ => Failure::of_io(error, format!("opening {shown}")),
    }
}

fn held(drive: &Drive) -> Failure {
    let shown = drive.path.display();
    Failure::refused(format!("{shown} is held by another program or by the kernel: close what uses it"))
}

/// What udisks answered where this user may not write to a drive by themselves.
fn not_permitted(drive: &Drive, error: udisks::Error) -> Failure {
    let shown = drive.path.display();
    match error {
        udisks::Error::Busy => held(drive),
        udisks::Error::Dismissed => Failure::new(
            error.class(),
            format!(
                "{shown} was not opened, for the question for permission was closed: run it again, or {}",
                again()
            ),
        ),
        // what makes no sense is not asked for twice
        error => {
            Failure::from(error).while_doing(format!("{} may not write to {shown}; {}", user(), again()))
        }
    }
}

/// Who this program runs as.
fn user() -> String {
    std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "this user".to_owned())
}

/// What to type so that the drive may be written: the same, as root. sudo looks for programs in places of its own,
/// so this one is named by its path. What is made belongs to the user all the same.
fn again() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "pibake".into());
    let words = std::env::args_os().skip(1).map(|word| shell_word(Path::new(&word)));
    let kept: Vec<&str> = PASSED_ON
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        .collect();
    let keep = if kept.is_empty() { String::new() } else { format!("--preserve-env={} ", kept.join(",")) };
    let words: Vec<String> = words.collect();
    format!("type: sudo {keep}{} {}", shell_word(&program), words.join(" "))
}

/// What a run as root needs of the user's environment, and sudo takes away.
const PASSED_ON: [&str; 6] = [
    "PIBAKE_WIFI_PASSWORD",
    "PIBAKE_LOGIN_PASSWORD",
    "PIBAKE_PROXY_PASSWORD",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "SOURCE_DATE_EPOCH",
];

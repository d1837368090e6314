//! From what was typed to drives that are safe to write, held open.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{Arguments, Asked, selector};
use super::fleet::Ordered;
use super::image::Image;
use super::whose::whose;
use crate::cluster::ImageSize;
use crate::drives::linux::{Found, Machine, udisks, unmount};
use crate::drives::{By, Drive, Own, Verdict, judge};
use crate::error::{Classified, Doing, Failure};
use crate::io::shell_word;
use crate::sink::card::{Card, DriveCard, Target, as_device};
use crate::workflow::{Chosen, Control, Warning};

/// Links here name the drive itself, wherever it is plugged in.
const BY_ID: &str = "/dev/disk/by-id";

/// How long a process may have a drive open without being taken for somebody who writes to it.
const MOMENT: Duration = Duration::from_millis(200);
const PATIENCE: u32 = 8;

/// What is written.
pub(super) enum Job<'f> {
    Nodes(Box<Chosen>),
    Image(Box<Image>),
    Fleet(Box<Ordered<'f>>),
}

impl Job<'_> {
    /// Bytes that a card must have, where that is known already.
    pub(super) fn needed(&self) -> Option<u64> {
        match self {
            Self::Nodes(chosen) => chosen.project().cluster.image.size.map(ImageSize::bytes),
            Self::Image(image) => Some(image.len()),
            Self::Fleet(ordered) => Some(ordered.ready.length()),
        }
    }
}

/// A drive that nobody else can open, and what it becomes.
pub(super) struct Held {
    /// As it was typed.
    pub asked: PathBuf,
    pub drive: Drive,
    pub node: String,
    /// Whose card it is now, where pibake made it.
    pub whose: Option<String>,
    card: Arc<DriveCard>,
}

impl Held {
    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.drive.path.display().to_string()
    }

    pub(super) fn file(&self) -> &File {
        self.card.file()
    }

    pub(super) fn target(&self) -> Target {
        let card = Arc::clone(&self.card) as _;
        Target { card_name: self.name(), node: self.node.clone(), card }
    }
}

/// What drives are chosen by.
pub(super) struct Choice<'a> {
    pub machine: &'a Machine,
    pub arguments: &'a Arguments,
    pub job: &'a Job<'a>,
    /// What no drive may hold that is written.
    pub own: &'a [Own],
    pub control: &'a Control,
}

impl Choice<'_> {
    /// Finds the drives, judges them, opens them for this process alone and judges them again.
    pub(super) fn hold(&self) -> Result<Vec<Held>, Failure> {
        let mut held: Vec<Held> = Vec::new();
        let ours = match self.job {
            Job::Nodes(chosen) => chosen.project().existing_identity()?,
            Job::Image(_) | Job::Fleet(_) => None,
        };
        for asked in &self.arguments.devices {
            let node = self.node(asked)?;
            if let Some(other) = held.iter().find(|h| h.node == node && !matches!(self.job, Job::Image(_))) {
                let (a, b) = (other.asked.display(), asked.path.display());
                return Err(Failure::usage(format!(
                    "{a} and {b} are both to become {node}: every node is there once"
                )));
            }
            let drive = self.safe(&asked.path)?;
            if let Some(other) = held.iter().find(|h| h.drive.number == drive.number) {
                let (a, b, drive) = (other.asked.display(), asked.path.display(), drive.path.display());
                return Err(Failure::usage(format!("{a} and {b} are the same drive, {drive}")));
            }
            let card = Arc::new(self.open(&drive)?);
            // Whoever came between the look and the opening is seen now; nobody can come any more.
            let seen = drive.number;
            let drive = self.judged(&asked.path)?;
            if drive.number != seen {
                let path = asked.path.display();
                return Err(Failure::refused(format!("{path} leads to another drive now than a moment ago")));
            }
            if drive.logical_sector > 512 {
                let (path, sector) = (drive.path.clone(), drive.logical_sector);
                self.control.warn(Warning::LargeSectors { drive: path, sector });
            }
            let whose = whose(as_device(&(Arc::clone(&card) as Arc<dyn Card>)), ours.as_ref());
            held.push(Held { asked: asked.path.clone(), drive, node, whose, card });
        }
        Ok(held)
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
        let file = udisks::open(udisks::Bus::System, &drive.path, !self.arguments.yes)
            .map_err(|error| not_permitted(drive, error))?;
        DriveCard::opened(file, number, drive.logical_sector).map_err(|error| refused(drive, error))
    }

    fn node(&self, asked: &Asked) -> Result<String, Failure> {
        match self.job {
            Job::Nodes(chosen) => {
                let node = selector(asked, self.arguments)?.find(&chosen.project().cluster)?;
                Ok(node.name.to_string())
            }
            Job::Fleet(ordered) => Ok(ordered.node(asked, self.arguments)?.name.clone()),
            Job::Image(_) if asked.node.is_some() => {
                Err(Failure::usage("--image writes one image: leave =N out"))
            }
            Job::Image(image) => Ok(image.name()),
        }
    }

    /// The drive at `path`, after unmounting what may be unmounted.
    fn safe(&self, path: &Path) -> Result<Drive, Failure> {
        if self.arguments.unmount
            && let Found::Drive(drive, _) = self.find(path)?
            && let Some(mounts) = judge(&drive, self.job.needed()).only_automounts()
        {
            // nothing is unmounted from what would then be refused all the same
            self.permitted(path, Drive { uses: Vec::new(), ..(*drive).clone() })?;
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
        self.judged(path)
    }

    fn find(&self, path: &Path) -> Result<Found, Failure> {
        self.machine.find(path, self.own).doing(|| format!("looking at {}", path.display()))
    }

    fn judged(&self, path: &Path) -> Result<Drive, Failure> {
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
            Found::Drive(drive, _) => return self.permitted(path, *drive),
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
    fn permitted(&self, path: &Path, drive: Drive) -> Result<Drive, Failure> {
        let shown = path.display();
        // not by a way that only begins there
        if self.arguments.yes && path.parent() != Some(Path::new(BY_ID)) {
            let known = drive.ids.first().map_or(String::new(), |id| format!(": {}", id.display()));
            return Err(Failure::refused(format!(
                "--yes asks nothing, so {shown} must be named by its link in {BY_ID}, which stays the same{known}"
            )));
        }
        match judge(&drive, self.job.needed()) {
            Verdict::Allowed => Ok(drive),
            Verdict::NeedsAllowFixed(_) if self.arguments.allow_fixed => Ok(drive),
            verdict => {
                let real =
                    if drive.path == path { String::new() } else { format!(" ({})", drive.path.display()) };
                Err(Failure::refused(format!("{shown}{real} is not written: {verdict}")))
            }
        }
    }
}

/// Refuses devices that are not there, before anything is asked about them.
pub(super) fn check_there(devices: &[Asked]) -> Result<(), Failure> {
    let missing = |path: &Path| {
        std::fs::metadata(path)
            .is_err_and(|e| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    };
    let Some(Asked { path, .. }) = devices.iter().find(|asked| missing(&asked.path)) else { return Ok(()) };
    let shown = path.display();
    Err(Failure::usage(match path.components().count() {
        1 => format!(
            "there is no drive {shown} in this folder: name a card's drive and its node as in /dev/sdX={shown}; pibake \
             drives lists the drives"
        ),
        _ => format!("{shown} does not exist; pibake drives lists the drives"),
    }))
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

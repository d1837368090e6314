//! Opening a drive through udisks2, as desktops have it: whoever sits at the machine is asked for permission, by polkit.
//! Nothing here decides which drive may be written; that was decided before.
//!
//! Methods and errors: udisks2's D-Bus reference, `org.freedesktop.UDisks2.Manager.ResolveDevice` and
//! `org.freedesktop.UDisks2.Block.OpenDevice` (both since 2.7.3).

use std::collections::HashMap;
use std::fs::File;
use std::os::fd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zbus::connection::Builder;
use zbus::fdo;
use zbus::{Connection, OwnedFd, OwnedObjectPath, Variant};

use crate::error::{Classified, ErrorClass};

const SERVICE: &str = "org.freedesktop.UDisks2";
const MANAGER: &str = "/org/freedesktop/UDisks2/Manager";

/// Options of a method, as udisks takes them.
type Options<'v> = HashMap<&'static str, Variant<'v>>;

/// Which message bus udisks is on.
#[derive(Debug, Clone, Copy)]
pub enum Bus<'a> {
    /// The system's.
    System,
    /// The one at this D-Bus address.
    At(&'a str),
}

/// Why udisks did not open a drive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no message bus, or no udisks on it.
    #[error("there is no udisks2 on this machine that could open it")]
    Absent,
    /// It knows no such drive.
    #[error("udisks2 does not know {}", path.display())]
    Unknown {
        /// The drive.
        path: PathBuf,
    },
    /// The user was asked for permission and closed the question.
    #[error("the question for permission was closed")]
    Dismissed,
    /// The user would have to be asked, and that cannot be.
    #[error("nobody can be asked for permission here: no polkit agent belongs to this session, as over SSH")]
    NobodyToAsk,
    /// The user may not.
    #[error("polkit does not permit it (org.freedesktop.udisks2.open-device)")]
    Denied,
    /// Somebody else holds it.
    #[error("it is held by another program or by the kernel")]
    Busy,
    /// Another reason, in the words of udisks.
    #[error("udisks2 could not open it: {0}")]
    Failed(String),
    /// The bus or udisks answered with what makes no sense.
    #[error("asking udisks2")]
    Bus(#[source] Box<zbus::Error>),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Dismissed => ErrorClass::Cancelled,
            Self::Busy => ErrorClass::Refused,
            Self::Absent
            | Self::Unknown { .. }
            | Self::NobodyToAsk
            | Self::Denied
            | Self::Failed(_)
            | Self::Bus(_) => ErrorClass::Failed,
        }
    }
}

/// Opens the drive at `path` for reading and writing, and for this process alone. Where the user has to permit it, that
/// is asked if they `may_be_asked`, and waited for.
///
/// # Errors
/// [`Error`]
pub fn open(bus: Bus<'_>, path: &Path, may_be_asked: bool) -> Result<File, Error> {
    zbus::block_on(async {
        let connection = connect(bus).await?;
        let drive = object(&connection, path).await?;
        // How it is opened is said by the mode alone: udisks refuses O_RDWR among the flags. Direct transfers are
        // asked of the open drive, since what a refusal says is in the language of the daemon.
        let flags = (OFlags::EXCL | OFlags::CLOEXEC).bits().cast_signed();
        let options = Options::from([
            ("flags", Variant::from(flags)),
            ("auth.no_user_interaction", Variant::from(!may_be_asked)),
        ]);
        let interface = Some("org.freedesktop.UDisks2.Block");
        let opened =
            connection.call_method(Some(SERVICE), drive, interface, "OpenDevice", &("rw", options)).await;
        let opened: OwnedFd = opened.and_then(|reply| reply.body().deserialize()).map_err(failed)?;
        let file = File::from(fd::OwnedFd::from(opened));
        let mode = rustix::fs::fcntl_getfl(&file).map_err(|e| bus_error(e.into()))?;
        match mode & OFlags::ACCMODE {
            OFlags::RDWR => Ok(file),
            _ => Err(Error::Failed("it gave a drive that cannot be written".to_owned())),
        }
    })
}

async fn connect(bus: Bus<'_>) -> Result<Connection, Error> {
    let connected = match bus {
        Bus::System => Connection::system().await,
        Bus::At(address) => Builder::address(address).build().await,
    };
    connected.map_err(|error| {
        tracing::debug!("no message bus: {error}");
        Error::Absent
    })
}

/// What udisks calls the drive at `path`.
async fn object(connection: &Connection, path: &Path) -> Result<OwnedObjectPath, Error> {
    let unknown = || Error::Unknown { path: path.to_owned() };
    let name = path.to_str().ok_or_else(unknown)?;
    let arguments = (Options::from([("path", Variant::from(name))]), Options::new());
    let interface = Some("org.freedesktop.UDisks2.Manager");
    let found = connection.call_method(Some(SERVICE), MANAGER, interface, "ResolveDevice", &arguments).await;
    let found: Vec<OwnedObjectPath> = found.and_then(|reply| reply.body().deserialize()).map_err(failed)?;
    found.into_iter().next().ok_or_else(unknown)
}

fn bus_error(error: std::io::Error) -> Error {
    Error::Bus(Box::new(zbus::Error::from(error)))
}

/// What an answer means.
fn failed(error: zbus::Error) -> Error {
    match error {
        zbus::Error::MethodError(name, text, reply) => {
            let text = text.unwrap_or_default();
            match name.as_str().strip_prefix("org.freedesktop.UDisks2.Error.") {
                Some("NotAuthorizedDismissed") => Error::Dismissed,
                Some("NotAuthorizedCanObtain") => Error::NobodyToAsk,
                Some("NotAuthorized") => Error::Denied,
                Some("DeviceBusy") => Error::Busy,
                // open(2), EBUSY, as a daemon words it that runs in no other language
                Some("Failed") if text.contains("resource busy") => Error::Busy,
                Some(_) => Error::Failed(text),
                // one that systemd or the bus could not start
                None if name.as_str().starts_with("org.freedesktop.systemd1.") => Error::Absent,
                None => Error::Bus(Box::new(zbus::Error::MethodError(name, Some(text), reply))),
            }
        }
        zbus::Error::FDO(error) => match *error {
            fdo::Error::ServiceUnknown(_)
            | fdo::Error::NameHasNoOwner(_)
            | fdo::Error::SpawnServiceNotFound(_)
            | fdo::Error::SpawnFailed(_)
            | fdo::Error::SpawnChildExited(_)
            | fdo::Error::SpawnExecFailed(_) => Error::Absent,
            fdo::Error::AccessDenied(_) => Error::Denied,
            other => Error::Bus(Box::new(zbus::Error::FDO(Box::new(other)))),
        },
        other => Error::Bus(Box::new(other)),
    }
}

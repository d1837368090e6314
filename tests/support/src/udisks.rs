//! A message bus of a test's own, and a udisks2 on it that answers as the real one does: what its source refuses
//! (`open_device` in src/udiskslinuxblock.c) is refused here, with the same names.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::fd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::OFlags;
use zbus::connection::Builder;
use zbus::{Connection, DBusError, OwnedFd, OwnedObjectPath, OwnedVariant, interface};

use crate::tool;

const BLOCK: &str = "/org/freedesktop/UDisks2/block_devices/card";

/// A message bus, gone when dropped.
pub struct Bus {
    daemon: Child,
    pub address: String,
}

impl Bus {
    /// A bus whose socket lies in `dir`, and which everybody may use in every way.
    pub fn new(dir: &Path) -> Self {
        let config = dir.join("bus.conf");
        let text = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>system</type>\
             <listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/>\
             <allow own=\"*\"/><allow send_type=\"method_call\"/><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/></policy></busconfig>\n",
            dir.join("bus").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = tool("dbus-daemon", "dbus-daemon");
        command.arg("--nofork").arg("--print-address").arg(format!("--config-file={}", config.display()));
        let mut daemon = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("unix:"), "dbus-daemon said {address:?}");
        Self { daemon, address: address.trim().to_owned() }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// How the question for permission ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// With the right password.
    Given,
    /// It is closed.
    Dismissed,
    /// Nobody can be asked.
    NobodyToAsk,
    /// The rules say no.
    Denied,
}

/// udisks2 on a bus, with one drive.
pub struct Udisks {
    _connection: Connection,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Udisks {
    /// Knows the drive at `path`, which opening it leads to `file`.
    pub fn new(bus: &Bus, path: &Path, file: &Path, permission: Permission) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let manager = Manager { path: path.to_str().unwrap().to_owned() };
        let block = Block { file: file.to_owned(), permission, asked: Arc::clone(&asked) };
        let connection = zbus::block_on(async {
            Builder::address(bus.address.as_str())
                .serve_at("/org/freedesktop/UDisks2/Manager", manager)
                .serve_at(BLOCK, block)
                .name("org.freedesktop.UDisks2")
                .build()
                .await
        });
        Self { _connection: connection.unwrap(), asked }
    }

    /// With which mode and options drives were opened, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop.UDisks2.Error")]
enum Error {
    #[zbus(error)]
    Bus(zbus::Error),
    Failed(String),
    NotAuthorized(String),
    NotAuthorizedCanObtain(String),
    NotAuthorizedDismissed(String),
}

struct Manager {
    path: String,
}

#[interface(name = "org.freedesktop.UDisks2.Manager")]
impl Manager {
    /// Drives that are not there are no error.
    fn resolve_device(
        &self,
        devspec: HashMap<String, OwnedVariant>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<Vec<OwnedObjectPath>, Error> {
        let _ = options;
        let path = devspec.get("path").and_then(|path| String::try_from(path.clone()).ok());
        match path {
            None => Err(Error::Failed("Invalid device specification".to_owned())),
            Some(path) if path == self.path => Ok(vec![OwnedObjectPath::try_from(BLOCK).unwrap()]),
            Some(_) => Ok(Vec::new()),
        }
    }
}

struct Block {
    file: std::path::PathBuf,
    permission: Permission,
    asked: Arc<Mutex<Vec<String>>>,
}

#[interface(name = "org.freedesktop.UDisks2.Block")]
impl Block {
    fn open_device(&self, mode: &str, options: HashMap<String, OwnedVariant>) -> Result<OwnedFd, Error> {
        let option = |name: &str| options.get(name).cloned();
        let is_silent =
            option("auth.no_user_interaction").is_some_and(|v| bool::try_from(v).unwrap_or(false));
        let flags = option("flags").and_then(|v| i32::try_from(v).ok()).unwrap_or(0);
        self.asked
            .lock()
            .unwrap()
            .push(format!("{mode} {flags:#x} {}", if is_silent { "silent" } else { "asking" }));
        match self.permission {
            Permission::Given if !is_silent => {}
            Permission::Given | Permission::NobodyToAsk => {
                return Err(Error::NotAuthorizedCanObtain("Not authorized to perform operation".to_owned()));
            }
            Permission::Dismissed => {
                let text = "The authentication dialog was dismissed";
                return Err(Error::NotAuthorizedDismissed(text.to_owned()));
            }
            Permission::Denied => {
                return Err(Error::NotAuthorized("Not authorized to perform operation".to_owned()));
            }
        }
        let flags = OFlags::from_bits_retain(flags.cast_unsigned());
        if flags.intersects(OFlags::RDWR | OFlags::WRONLY) {
            return Err(Error::Failed(
                "Using 'O_RDWR', 'O_RDONLY' and 'O_WRONLY' flags is not permitted. Use 'mode' argument instead."
                    .to_owned(),
            ));
        }
        let mut open = OpenOptions::new();
        match mode {
            "r" => open.read(true),
            "w" => open.write(true),
            "rw" => open.read(true).write(true),
            _ => return Err(Error::Failed(format!("Unknown mode '{mode}'"))),
        };
        let opened = open.custom_flags(flags.bits().cast_signed()).open(&self.file);
        let file = opened.map_err(|error| {
            let text = rustix::io::Errno::from_io_error(&error).map_or_else(|| error.to_string(), words);
            Error::Failed(format!("Error opening device {}: {text}", self.file.display()))
        })?;
        Ok(OwnedFd::from(fd::OwnedFd::from(file)))
    }
}

/// As the C library words it, which `%m` prints.
fn words(errno: rustix::io::Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

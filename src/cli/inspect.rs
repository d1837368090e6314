//! `pibake inspect IMAGE|DEVICE|FLEET [PATH]`

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::baked::{baked, described};
use super::fleets::{self, FleetFlags};
use super::json::{self, Entry, FleetNode, Inspected, InspectedFleet, Listing, Partition, Printed};
use super::named::look_anywhere;
use super::session::Session;
use crate::disk;
use crate::error::{Doing, Failure};
use crate::fleet::{Fleet, ListedNode};
use crate::fs::{FileKind, Metadata};
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::io::human_bytes;
use crate::ui::{Table, visible};
use crate::workflow::image::Looked;

/// The most bytes of a file that a JSON document holds: far more than any text on a card.
const DOCUMENT_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake inspect images/node-1.img                  whose it is, and its partitions\n  pibake inspect /dev/sdX /etc                      a directory of a card\n  pibake inspect /dev/sdX /boot/firmware/config.txt     a file\n  pibake inspect oci://registry.example/home        the nodes of a cluster that is in a registry"
)]
pub(super) struct Arguments {
    /// An image, raw, qcow2 or compressed, the device of a card reader, or oci://REGISTRY/NAME[:TAG][#NODE]
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// A directory to list or a file to print, as the node sees it: the boot partition is /boot/firmware
    path: Option<String>,
    #[command(flatten)]
    fleet: FleetFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let inspecting = || format!("inspecting {}", arguments.image.display());
    if let Some(name) = fleets::named(&arguments.image)?.filter(|name| name.node().is_none()) {
        return match &arguments.path {
            None => fleets::with(&name, &arguments.fleet, session, |_, fleet| listed(fleet, session))
                .doing(inspecting),
            Some(_) => Err(Failure::usage(format!("which node of {name}? Write {name}#NODE"))),
        };
    }
    let Looked { image, .. } =
        &look_anywhere(&arguments.image, &arguments.fleet, session).doing(inspecting)?;
    let Some(path) = &arguments.path else {
        return partitions(image, session).doing(inspecting);
    };
    let path = ImagePath::new(path.as_str()).map_err(|e| Failure::usage(e.to_string()))?;
    match image.metadata(&path).doing(inspecting)? {
        Some(Metadata { kind: FileKind::Directory, .. }) => list(image, &path, session).doing(inspecting),
        Some(Metadata { len, .. }) if session.is_json() => {
            document(image, &path, len, session).doing(inspecting)
        }
        _ => match print(image, &path) {
            Err(crate::image_reader::Error::FileSystem(crate::fs::Error::Io { source, .. }))
                if source.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(())
            }
            other => other.doing(inspecting),
        },
    }
}

/// What is in a registry of a cluster.
fn listed(fleet: &Fleet<'_>, session: &Session) -> Result<(), Failure> {
    let listing = fleet.listing();
    let node = |node: &ListedNode| FleetNode {
        node: node.name.clone(),
        number: node.number.into(),
        role: node.role.clone(),
        board: node.board.clone(),
        boot_from: node.boot_from.clone(),
        kubernetes: node.versions.kubernetes.clone(),
        containerd: node.versions.containerd.clone(),
        preloaded: node.payload.is_some(),
    };
    let base = &listing.base;
    let document = InspectedFleet {
        fleet: fleet.name().to_string(),
        cluster: listing.cluster.clone(),
        serial: listing.serial,
        sha256: fleet.index().to_string(),
        signed_by: fleet.signed_by().to_string(),
        pibake: listing.made_by.clone(),
        base: json::Base { name: base.name.clone(), sha256: Some(base.published.to_string()) },
        nodes: listing.nodes.iter().map(node).collect(),
    };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "KUBERNETES", "CONTAINERD", "PRELOADED"]);
        for node in &document.nodes {
            let preloaded = if node.preloaded { "yes" } else { "no" };
            let (kubernetes, containerd) = (node.kubernetes.clone(), node.containerd.clone());
            table.row([node.node.clone(), node.role.clone(), kubernetes, containerd, preloaded.to_owned()]);
        }
        let InspectedFleet { cluster, serial, base, pibake, .. } = &document;
        let head = format!(
            "the cluster {cluster:?}, number {serial}, of the base image {}, by pibake {pibake}\n  signed by  {}\n  index      sha256:{}\n",
            base.name,
            fleet.signed_by().id(),
            document.sha256
        );
        format!("{}\n{table}", visible(&head))
    })
}

/// A file's content as a document.
fn document(image: &ImageReader, path: &ImagePath, len: u64, session: &Session) -> Result<(), Failure> {
    if len > DOCUMENT_MAX {
        let (len, limit) = (human_bytes(len), human_bytes(DOCUMENT_MAX));
        return Err(Failure::usage(format!(
            "{path} has {len}, and --json takes at most {limit}: leave --json out"
        )));
    }
    let content = image.read_whole(path, DOCUMENT_MAX)?.unwrap_or_default();
    let (text, text_base64) = json::text(OsStr::from_bytes(&content));
    let document = Printed { path: path.to_string(), text, text_base64, bytes: content.len() as u64 };
    session.result(&document, String::new)
}

/// A file's content: the bytes as they are, but to a terminal nothing that it would obey.
fn print(image: &ImageReader, path: &ImagePath) -> Result<(), crate::image_reader::Error> {
    let mut out = io::stdout().lock();
    if out.is_terminal() { image.read(path, &mut Shown(out)) } else { image.read(path, &mut out) }
}

/// A writer that shows what a terminal would obey.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(visible(&shown(bytes)).as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn partitions(image: &ImageReader, session: &Session) -> Result<(), Failure> {
    let layout = image.layout();
    let role = |number| match &layout {
        Ok(layout) if layout.boot.number == number => Some("boot"),
        Ok(layout) if layout.root.number == number => Some("root"),
        _ => None,
    };
    let partition = |p: &disk::Partition| Partition {
        number: p.number,
        offset: p.offset,
        bytes: p.len,
        kind: match p.kind {
            disk::Kind::Fat => "fat".to_owned(),
            disk::Kind::Linux => "linux".to_owned(),
            disk::Kind::Other => "other".to_owned(),
        },
        role: role(p.number).map(str::to_owned),
    };
    let partitions = image.partitions.iter().map(partition).collect();
    let scheme = image.scheme.to_string().to_lowercase();
    let baked = if layout.is_ok() { baked(image)? } else { None };
    let document = Inspected { baked, scheme, bytes: image.len, partitions };
    session.result(&document, || {
        let none = || "not the image of a node: pibake did not bake it\n".to_owned();
        let head = document.baked.as_ref().map_or_else(none, |baked| visible(&described(baked)).into_owned());
        let mut table = Table::new(["PARTITION", "OFFSET", "SIZE", "TYPE", "ROLE"]);
        for p in &document.partitions {
            let role = p.role.clone().unwrap_or_default();
            let (number, offset) = (p.number.to_string(), p.offset.to_string());
            table.row([number, offset, human_bytes(p.bytes), p.kind.clone(), role]);
        }
        format!("{head}\n{table}")
    })?;
    // an image of something else is shown all the same, and said to be none of ours
    layout?;
    Ok(())
}

/// A name for people; bytes that are not UTF-8 as they would be typed in a shell's $'…'.
fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    for part in name.utf8_chunks() {
        text += part.valid();
        for byte in part.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

fn list(image: &ImageReader, path: &ImagePath, session: &Session) -> Result<(), Failure> {
    let listed = image.list(path)?;
    let entry = |(name, m): &(Vec<u8>, Metadata)| {
        let kind = match m.kind {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "link",
            FileKind::Other => "other",
        };
        let (name, name_base64) = json::text(OsStr::from_bytes(name));
        let mode = m.attributes.map(|a| format!("{:04o}", a.mode));
        let (uid, gid) = m.attributes.map(|a| (a.uid, a.gid)).unzip();
        Entry { name, name_base64, kind: kind.to_owned(), bytes: m.len, mode, uid, gid }
    };
    let document = Listing { path: path.to_string(), entries: listed.iter().map(entry).collect() };
    session.result(&document, || {
        let mut table = Table::new(["MODE", "OWNER", "SIZE", "KIND", "NAME"]);
        for ((name, _), entry) in listed.iter().zip(&document.entries) {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let owner = entry.uid.zip(entry.gid).map(|(uid, gid)| format!("{uid}:{gid}"));
            table.row([
                or_dash(entry.mode.clone()),
                or_dash(owner),
                entry.bytes.to_string(),
                entry.kind.clone(),
                shown(name),
            ]);
        }
        table.to_string()
    })
}

//! `pibake inspect IMAGE|DEVICE [PATH]`

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::error::{Doing, Failure};
use crate::fs::{FileKind, Metadata};
use crate::image_path::ImagePath;
use crate::io::human_bytes;
use crate::opened::Opened;
use crate::ui::{Table, Ui, put_bytes, visible};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A raw image, or the device of a card reader
    image: PathBuf,
    /// A directory to list or a file to print, as the node sees it: the boot partition is /boot/firmware
    path: Option<String>,
}

pub(super) fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let inspecting = || format!("inspecting {}", arguments.image.display());
    let image = Opened::open(&arguments.image).doing(inspecting)?;
    let Some(path) = &arguments.path else {
        return partitions(&image, ui).doing(inspecting);
    };
    let path = ImagePath::new(path.as_str()).map_err(|e| Failure::usage(e.to_string()))?;
    match image.metadata(&path).doing(inspecting)? {
        Some(Metadata { kind: FileKind::Directory, .. }) => list(&image, &path, ui).doing(inspecting),
        _ => match print(&image, &path) {
            Err(crate::opened::Error::FileSystem(crate::fs::Error::Io { source, .. }))
                if source.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(())
            }
            other => other.doing(inspecting),
        },
    }
}

/// A file's content: the bytes as they are, but to a terminal nothing that it would obey.
fn print(image: &Opened, path: &ImagePath) -> Result<(), crate::opened::Error> {
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

fn partitions(image: &Opened, ui: &Ui) -> Result<(), Failure> {
    let layout = image.layout();
    let role = |number| match &layout {
        Ok(layout) if layout.boot.number == number => "boot",
        Ok(layout) if layout.root.number == number => "root",
        _ => "",
    };
    let value = json!({
        "scheme": format!("{:?}", image.scheme).to_lowercase(),
        "bytes": image.len,
        "partitions": image.partitions.iter().map(|p| json!({
            "number": p.number, "offset": p.offset, "bytes": p.len, "role": role(p.number),
        })).collect::<Vec<_>>(),
    });
    ui.result(&value, || {
        let mut table = Table::new(["PARTITION", "OFFSET", "SIZE", "TYPE", "ROLE"]);
        for p in &image.partitions {
            let kind = format!("{:?}", p.kind);
            table.row([
                p.number.to_string(),
                p.offset.to_string(),
                human_bytes(p.len),
                kind,
                role(p.number).into(),
            ]);
        }
        table.to_string()
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

fn list(image: &Opened, path: &ImagePath, ui: &Ui) -> Result<(), Failure> {
    let listed = image.list(path)?;
    let kind = |m: &Metadata| match m.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "link",
        FileKind::Other => "other",
    };
    let value: Vec<_> = listed
        .iter()
        .map(|(name, m)| {
            let mut value = json!({ "kind": kind(m), "bytes": m.len,
                "mode": m.attributes.map(|a| format!("{:04o}", a.mode)),
                "uid": m.attributes.map(|a| a.uid), "gid": m.attributes.map(|a| a.gid) });
            put_bytes(&mut value, "name", name);
            value
        })
        .collect();
    ui.result(&value, || {
        let mut table = Table::new(["MODE", "OWNER", "SIZE", "KIND", "NAME"]);
        for (name, m) in &listed {
            let (mode, owner) = m.attributes.map_or_else(
                || ("-".to_owned(), "-".to_owned()),
                |a| (format!("{:04o}", a.mode), format!("{}:{}", a.uid, a.gid)),
            );
            table.row([mode, owner, m.len.to_string(), kind(m).into(), shown(name)]);
        }
        table.to_string()
    })?;
    Ok(())
}

//! `pibake inspect IMAGE|DEVICE [PATH]`

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::exit::Usage;
use crate::fs::{FileKind, Metadata};
use crate::image_path::ImagePath;
use crate::opened::Opened;
use crate::ui::{Table, Ui, human_bytes};

#[derive(Debug, Args)]
pub struct Arguments {
    /// A raw image, or the device of a card reader
    image: PathBuf,
    /// A directory to list or a file to print, as the node sees it: the boot partition is /boot/firmware
    path: Option<String>,
}

pub fn run(arguments: &Arguments, ui: &Ui) -> anyhow::Result<()> {
    let inspecting = || format!("inspecting {}", arguments.image.display());
    let image = Opened::open(&arguments.image).with_context(inspecting)?;
    let Some(path) = &arguments.path else {
        return partitions(&image, ui).with_context(inspecting);
    };
    let path = ImagePath::new(path.as_str()).map_err(|e| Usage(e.to_string()))?;
    match image.metadata(&path).with_context(inspecting)? {
        Some(Metadata { kind: FileKind::Directory, .. }) => list(&image, &path, ui).with_context(inspecting),
        _ => match image.read(&path, &mut io::stdout().lock()) {
            Err(crate::opened::Error::FileSystem(crate::fs::Error::Io { source, .. }))
                if source.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(())
            }
            other => other.with_context(inspecting),
        },
    }
}

fn partitions(image: &Opened, ui: &Ui) -> anyhow::Result<()> {
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

fn list(image: &Opened, path: &ImagePath, ui: &Ui) -> anyhow::Result<()> {
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
            json!({ "name": name, "kind": kind(m), "bytes": m.len,
                "mode": m.attributes.map(|a| format!("{:04o}", a.mode)),
                "uid": m.attributes.map(|a| a.uid), "gid": m.attributes.map(|a| a.gid) })
        })
        .collect();
    ui.result(&value, || {
        let mut table = Table::new(["MODE", "OWNER", "SIZE", "KIND", "NAME"]);
        for (name, m) in &listed {
            let (mode, owner) = m.attributes.map_or_else(
                || ("-".to_owned(), "-".to_owned()),
                |a| (format!("{:04o}", a.mode), format!("{}:{}", a.uid, a.gid)),
            );
            table.row([mode, owner, m.len.to_string(), kind(m).into(), name.clone()]);
        }
        table.to_string()
    })?;
    Ok(())
}

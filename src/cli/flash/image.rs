//! An image that was made before, to be written to a card.

use std::path::{Path, PathBuf};

use crate::boards::BootFrom;
use crate::cli::baked::baked;
use crate::cli::compared::{Files, MARK};
use crate::disk::Patch;
use crate::error::{Doing, ErrorClass, Failure};
use crate::image_reader::ImageReader;
use crate::io::Stamp;
use crate::node_paths;
use crate::sink::card::Content;
use crate::workflow::Control;
use crate::workflow::image::{self, Raw};

/// An image of a node.
pub(super) struct Image {
    /// As it was named.
    path: PathBuf,
    /// Its bytes.
    raw: Raw,
    len: u64,
    node: String,
    boot_from: Option<BootFrom>,
    files: Files,
    seen: Stamp,
}

/// Opens the image of a node.
pub(super) fn open(path: &Path, control: &Control) -> Result<Image, Failure> {
    let opening = || format!("opening the image {}", path.display());
    let seen = Stamp::at(path).map_err(|source| Failure::of_named(source, opening()))?;
    let raw = image::raw(path, control).doing(opening)?;
    let image = ImageReader::open(raw.path()).doing(opening)?;
    let files = Files::of(&image).doing(opening)?;
    if files.text(MARK).is_none() {
        return Err(Failure::usage(format!(
            "{} is not the image of a node: it has no {MARK}. A card with it would not be configured; \
             pibake build makes images of nodes",
            path.display()
        )));
    }
    let node = files.text(node_paths::HOSTNAME).unwrap_or_else(|| path.display().to_string());
    let boot_from = baked(&image)?.and_then(|baked| BootFrom::named(baked.boot_from.as_deref()?));
    Ok(Image { path: path.to_owned(), raw, len: image.len, node, boot_from, files, seen })
}

impl Image {
    /// The raw file that its bytes are in.
    pub(super) fn path(&self) -> &Path {
        self.raw.path()
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The node that it is of.
    pub(super) fn name(&self) -> String {
        self.node.clone()
    }

    /// What the node starts from, where the image says so.
    pub(super) fn boot_from(&self) -> Option<BootFrom> {
        self.boot_from
    }

    /// Nothing over it; and that a card holds it.
    pub(super) fn content(&self) -> Content {
        let (path, seen) = (self.path.clone(), self.seen);
        let still =
            move || match seen == Stamp::at(&path).doing(|| format!("examining {}", path.display()))? {
                true => Ok(()),
                false => {
                    Err(Failure::new(ErrorClass::Verification, format!("{} was written to", path.display())))
                }
            };
        Content { patch: Patch::default(), proof: self.files.clone().proof(), still: Box::new(still) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use support::images::{Spec, put};
    use support::{run, tool};

    use super::*;
    use crate::disk::FileDevice;

    /// A node's image with a kernel's command line below `prefix`, and config.txt as it says so.
    fn node(dir: &Path, prefix: &str, line: &str) -> PathBuf {
        fs::create_dir(dir).unwrap();
        let root = dir.join("root");
        put(&root.join("etc/pibake/node.env"), "NODE_NAME='node-2'\n");
        put(&root.join("etc/hostname"), "node-2\n");
        let (image, _) = Spec { ext4_mib: 16, ..Spec::default() }.make_from(dir, &root);
        put(&dir.join("config.txt"), &format!("os_prefix={prefix}\n[tryboot]\nos_prefix=new/\n"));
        put(&dir.join("cmdline.txt"), line);
        let place = format!("{}@@1M", image.display());
        run(tool("mdel", "mtools").args(["-i", &place, "::cmdline.txt"]));
        if !prefix.is_empty() {
            run(tool("mmd", "mtools").args(["-i", &place, &format!("::{}", prefix.trim_end_matches('/'))]));
        }
        run(tool("mcopy", "mtools").args(["-o", "-i", &place]).arg(dir.join("config.txt")).arg("::"));
        let target = format!("::{prefix}cmdline.txt");
        run(tool("mcopy", "mtools").args(["-i", &place]).arg(dir.join("cmdline.txt")).arg(target));
        image
    }

    #[test]
    fn the_command_line_is_compared_wherever_the_firmware_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        for (number, prefix) in ["", "current/"].into_iter().enumerate() {
            let make =
                |name: &str, line: &str| node(&dir.path().join(format!("{name}{number}")), prefix, line);
            let (image, other) = (make("a", "quiet\n"), make("b", "splash\n"));
            let opened = open(&image, &Control::default()).unwrap();
            assert_eq!(opened.name(), "node-2");
            let prove = |card: &Path| (opened.content().proof)(Arc::new(FileDevice::open(card).unwrap()));
            assert!(prove(&image).is_ok());
            let told = prove(&other).unwrap_err().to_string();
            assert!(told.contains(&format!("/boot/firmware/{prefix}cmdline.txt")), "{told}");
        }
    }
}

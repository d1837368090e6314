//! What an emulator needs to know of an image: its boot files, and who the node is.

use std::net::Ipv4Addr;

use super::devicetree::{self, Pi, RASPI3B, RASPI4B};
use super::kernel;
use crate::error::{Classified, ErrorClass};
use crate::firmware;
use crate::image_path::{ImagePath, InvalidImagePath};
use crate::image_reader::{self, ImageReader};
use crate::node_paths::{self, HOSTNAME, HOSTS};

/// What Ubuntu's images call what the firmware or u-boot loads, all in one folder: that of the boot partition itself
/// or, from 26.04 on, the one that config.txt names.
const KERNEL: &str = "vmlinuz";
const INITRD: &str = "initrd.img";
const CMDLINE: &str = firmware::COMMAND_LINE;
/// Only the node that serves the others has it.
const DHCP_SERVER: &str = node_paths::DHCPD_CONF;

/// Longest file that is read: an initrd of everything has some 100 MiB.
const LARGEST: u64 = 512 << 20;

/// Why an image cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Image(#[from] image_reader::Error),
    /// One of the boot files is not there.
    #[error("the image has no {path}: it cannot be booted without the firmware that it is made for")]
    Missing {
        /// Which one, as the running system sees it.
        path: String,
    },
    /// The kernel is none.
    #[error("the image's kernel, {KERNEL}, cannot be booted")]
    Kernel(#[from] kernel::Error),
    /// The device tree is none, or another machine's.
    #[error("the image's {name} cannot be used")]
    DeviceTree {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        source: devicetree::Error,
    },
    /// It cannot be told where they are.
    #[error("finding the kernel")]
    Firmware(#[from] firmware::Error<image_reader::Error>),
    /// Not reached: the paths are constants, or were checked where they were read.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Image(error) => error.class(),
            Self::Missing { .. } => ErrorClass::Failed,
            Self::Kernel(error) => error.class(),
            Self::DeviceTree { source, .. } => source.class(),
            Self::Firmware(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}

/// What is loaded into an emulated machine, since it runs no firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFiles {
    /// An arm64 image, unpacked.
    pub kernel: Vec<u8>,
    /// The initial file system, where the image has one.
    pub initrd: Option<Vec<u8>>,
    /// The arguments in the image's `cmdline.txt`.
    pub cmdline: String,
    /// The device trees of Pis that are emulated, as they are in the image, by their names.
    device_trees: Vec<(&'static str, Vec<u8>)>,
    /// The folder that they are in, as the running system sees it.
    folder: String,
}

impl BootFiles {
    /// Takes them out of an image.
    ///
    /// # Errors
    /// [`Error`]
    pub fn read(image: &ImageReader) -> Result<Self, Error> {
        let in_boot = |path: &ImagePath| {
            // checked already: it is the end of a longer one
            let path = ImagePath::new(format!("{}{path}", node_paths::BOOT_MOUNT));
            path.map_or(Ok(None), |path| image.read_whole(&path, LARGEST))
        };
        let prefixes = firmware::prefixes(&in_boot, None)?;
        let place = |prefix: &str, name| format!("{}/{prefix}{name}", node_paths::BOOT_MOUNT);
        let mut found = None;
        for prefix in &prefixes {
            if let Some(kernel) = file(image, &place(prefix, KERNEL))? {
                found = Some((prefix, kernel));
                break;
            }
        }
        let Some((prefix, kernel)) = found else { return Err(Error::Missing { path: place("", KERNEL) }) };
        let path = place(prefix, CMDLINE);
        let cmdline = image.text(&path, LARGEST)?.ok_or(Error::Missing { path })?;
        let mut device_trees = Vec::new();
        for name in [&RASPI3B, &RASPI4B].into_iter().flat_map(Pi::trees) {
            if let Some(tree) = file(image, &place(prefix, name))? {
                device_trees.push((*name, tree));
            }
        }
        Ok(Self {
            kernel: kernel::unpack(kernel)?,
            initrd: file(image, &place(prefix, INITRD))?,
            cmdline: cmdline.trim().to_owned(),
            device_trees,
            folder: place(prefix, ""),
        })
    }

    /// The image's device tree of this Pi, changed so that it fits what QEMU emulates.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::DeviceTree`]
    pub fn device_tree(&self, pi: &Pi) -> Result<Vec<u8>, Error> {
        let found =
            pi.trees().iter().find_map(|name| self.device_trees.iter().find(|(found, _)| found == name));
        let (name, stock) = found
            .ok_or_else(|| Error::Missing { path: format!("{}{}", self.folder, pi.trees().join(" or ")) })?;
        devicetree::fit(stock, pi).map_err(|source| Error::DeviceTree { name, source })
    }
}

/// Who a node is, as far as its image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its host name, where the image has one.
    pub name: Option<String>,
    /// Its address on the cluster's network, where /etc/hosts has it.
    pub address: Option<Ipv4Addr>,
    /// Whether it serves the others and has a way out of its own.
    pub is_gateway: bool,
}

impl Guest {
    /// Reads it from an image.
    ///
    /// # Errors
    /// [`Error::Image`]
    pub fn read(image: &ImageReader) -> Result<Self, Error> {
        let text = |path| Ok::<_, Error>(image.text(path, LARGEST)?.unwrap_or_default());
        let name = text(HOSTNAME)?.trim().to_owned();
        let address = address(&text(HOSTS)?, &name);
        let is_gateway = image.metadata(&ImagePath::new(DHCP_SERVER)?)?.is_some();
        Ok(Self { name: Some(name).filter(|name| !name.is_empty()), address, is_gateway })
    }
}

/// The address of `name` in a hosts(5) file, other than that of the machine itself.
fn address(hosts: &str, name: &str) -> Option<Ipv4Addr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found = lines.filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address: Ipv4Addr = words.next()?.parse().ok()?;
        (!address.is_loopback() && words.any(|word| word == name)).then_some(address)
    });
    found.next()
}

/// A file's content; `None` if nothing is there.
fn file(image: &ImageReader, path: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(image.read_whole(&ImagePath::new(path)?, LARGEST)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_host_name_and_not_loopback() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 node-2 # own\n10.0.0.1 node-1 kubernetes\n10.0.0.2\tnode-2.cluster.home node-2\n";
        assert_eq!(address(hosts, "node-2"), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(address(hosts, "node-3"), None);
        assert_eq!(address("# 10.0.0.3 node-3\n", "node-3"), None);
    }
}

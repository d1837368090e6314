//! What `pibake boot` is told.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use regex::Regex;

use crate::cli::description::NodeFlags;
use crate::emulator::machine::Machine;
use crate::emulator::qemu;
use crate::workflow::NodeSelector;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        pibake boot --node 1                       what node-1's card would be, from its console on\n  \
                        pibake boot images/node-1.img --uplink     an image that was built, with a way to the internet\n  \
                        pibake boot images/node-1.img images/node-2.img --keep lab   two at one switch, kept for the next time")]
pub(crate) struct Arguments {
    /// Images to boot, raw, qcow2 or compressed; the files are not changed
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath, conflicts_with_all = ["node", "nodes", "base", "sha256", "insecure_base"])]
    pub(super) images: Vec<PathBuf>,
    /// Boot what would be written to this node's card, by number or name; may be repeated
    #[arg(long, value_name = "N", required_unless_present = "images")]
    pub(super) node: Vec<NodeSelector>,
    /// The machine: a Pi, or virt, which is faster and needs a kernel with virtio drivers [default: raspi3b for a
    /// card whose board is a Pi 3, raspi4b for others]
    #[arg(
        long,
        value_name = "MACHINE",
        value_parser = PossibleValuesParser::new(["raspi3b", "raspi4b", "virt"]).try_map(|name| name.parse::<Machine>())
    )]
    pub(super) machine: Option<Machine>,
    /// Plug the machines into the Ethernet segment in this folder, which other runs can share; by
    /// default the machines of one run share one
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Advanced")]
    pub(super) net: Option<PathBuf>,
    /// Give the node that serves the others a second Ethernet adapter, eth1, with a way out through
    /// this machine (10.0.2.2)
    #[arg(long)]
    pub(super) uplink: bool,
    /// Forward this port of 127.0.0.1 to the machine's SSH server; with --uplink, to that of the node
    /// with the uplink
    #[arg(long, value_name = "PORT")]
    pub(super) ssh: Option<u16>,
    /// Keep the cards in this folder, and continue with them next time; by default they are thrown away
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) keep: Option<PathBuf>,
    /// Also write the console to this file; with several machines, to one file each, with the node's
    /// name before the extension
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// Succeed once a line of every machine's console matches; any other end is a failure
    #[arg(long, value_name = "REGEX")]
    pub(super) until: Option<Regex>,
    /// Fail after this many seconds
    #[arg(long, value_name = "S")]
    pub(super) timeout: Option<u64>,
    /// Print QEMU's command line instead of running it
    #[arg(long, help_heading = "Advanced")]
    pub(super) print: bool,
    /// The emulator
    #[arg(long, value_name = "PROGRAM", default_value = qemu::PROGRAM, value_hint = ValueHint::CommandName, help_heading = "Advanced")]
    pub(super) qemu: OsString,
    #[command(flatten)]
    pub(super) flags: NodeFlags,
}

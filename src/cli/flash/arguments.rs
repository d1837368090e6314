//! What `pibake flash` is told.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueHint};

use crate::cli::description::NodeFlags;
use crate::cli::fleets::TrustFlags;
use crate::error::Failure;
use crate::fleet::FleetName;
use crate::workflow::NodeSelector;

/// What says how nodes are made, and so nothing of nodes that are made already.
const OF_A_DESCRIPTION: [&str; 11] = [
    "image",
    "nodes",
    "base",
    "preload",
    "image_size",
    "new_cluster",
    "locked",
    "vendor",
    "sha256",
    "insecure_base",
    "max_base_size",
];

#[derive(Debug, Args)]
#[command(
    long_about = "Write nodes straight to SD cards.\n\nEverything on the cards is lost. A drive in use is never written, \
                  you are asked about each by something that is read off it, and what was written is read back past \
                  every cache. docs/flashing.md says what keeps other drives safe.",
    after_help = "Examples:\n  \
                  pibake flash /dev/sdX=1 /dev/sdY=2                        node-1 and node-2, at the same time\n  \
                  pibake flash /dev/sdX --node node-3                       one card\n  \
                  pibake flash /dev/sdX --image images/node-1.img.zst       an image that was built before\n  \
                  pibake flash --from oci://registry.example/home /dev/sdX=1   without a description"
)]
pub(crate) struct Arguments {
    /// The cards' drives: /dev/sdX with --node N, or several as /dev/sdX=N
    #[arg(required = true, value_name = "DEVICE[=N]", value_hint = ValueHint::FilePath)]
    pub(super) devices: Vec<Asked>,
    /// The node to write, by number or name; with one DEVICE
    #[arg(long, value_name = "N", conflicts_with = "image")]
    pub(super) node: Option<NodeSelector>,
    /// Write this image of a node, made by pibake build, instead of baking one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) image: Option<PathBuf>,
    /// Write nodes that pibake push put into a registry: oci://REGISTRY/NAME[:TAG]; no description is needed
    #[arg(long, value_name = "FLEET", conflicts_with_all = OF_A_DESCRIPTION)]
    pub(super) from: Option<FleetName>,
    /// With --from, trust this public key (RW…) in this run, beside those of pibake key --trust; may be repeated
    #[arg(long, value_name = "KEY", requires = "from")]
    pub(super) trust: Vec<String>,
    /// Ask nothing; each drive must be named by its link in /dev/disk/by-id
    #[arg(long)]
    pub(super) yes: bool,
    /// Unmount what a desktop mounted from the cards under /media or /run/media
    #[arg(long)]
    pub(super) unmount: bool,
    /// Also write to drives that do not look like cards; never to one in use
    #[arg(long, help_heading = "Advanced")]
    pub(super) allow_fixed: bool,
    /// Write every byte of the image, including what its file systems call free
    #[arg(long, help_heading = "Advanced")]
    pub(super) full: bool,
    /// Discard or zero the whole card first
    #[arg(long, help_heading = "Advanced")]
    pub(super) wipe: bool,
    /// Do not read back what was written, except the first MiB
    #[arg(long, help_heading = "Advanced")]
    pub(super) no_verify: bool,
    /// Do not power off the card readers when done
    #[arg(long, help_heading = "Advanced")]
    pub(super) no_eject: bool,
    #[command(flatten)]
    pub(super) flags: NodeFlags,
}

impl Arguments {
    /// The keys that are trusted in this run.
    pub(super) fn trust(&self) -> TrustFlags {
        TrustFlags { trust: self.trust.clone() }
    }
}

/// `/dev/sdb` or `/dev/sdb=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub path: PathBuf,
    pub node: Option<NodeSelector>,
}

impl FromStr for Asked {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.rsplit_once('=') {
            // a link in by-id may have an equals sign in it
            Some((path, node)) if !Path::new(text).exists() && !node.contains('/') => {
                Self { path: path.into(), node: node.parse().ok() }
            }
            _ => Self { path: text.into(), node: None },
        })
    }
}

/// The node that a card is to become, as it was typed.
pub(super) fn selector<'a>(asked: &'a Asked, arguments: &'a Arguments) -> Result<&'a NodeSelector, Failure> {
    match (&asked.node, &arguments.node) {
        (Some(_), Some(_)) => Err(Failure::usage("say the node by --node or by =N, not by both")),
        (None, Some(_)) if arguments.devices.len() > 1 => {
            Err(Failure::usage("--node goes with one device; write several as DEVICE=N"))
        }
        (Some(selector), None) | (None, Some(selector)) => Ok(selector),
        (None, None) => {
            let path = asked.path.display();
            Err(Failure::usage(format!("which node is {path} to become? Add --node N, or write {path}=N")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_name_its_node() {
        let asked = |text: &str| text.parse::<Asked>().unwrap_or_else(|e| match e {});
        assert_eq!(asked("/dev/sdb"), Asked { path: "/dev/sdb".into(), node: None });
        assert_eq!(
            asked("/dev/sdb=2"),
            Asked { path: "/dev/sdb".into(), node: Some(NodeSelector::Number(2)) }
        );
        let by_name = asked("/dev/sdb=node-2");
        assert_eq!(by_name.node, Some(NodeSelector::Name("node-2".into())));
    }
}

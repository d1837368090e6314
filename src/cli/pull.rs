//! `pibake pull`: images of nodes that are in a registry.

use std::collections::BTreeMap;

use clap::Args;

use super::base_flags::NetworkFlags;
use super::fleets::{Station, TrustFlags, nodes};
use super::images::{Entry, Images};
use super::json::{self, Image};
use super::session::Session;
use super::written::{To, put};
use crate::base::ImageObserver;
use crate::error::Failure;
use crate::fleet::FleetName;
use crate::io::human_bytes;
use crate::project::Place;
use crate::sink::{Build, Written};
use crate::ui::Table;
use crate::workflow::{Medium, bill_name};

#[derive(Debug, Args)]
#[command(
    long_about = "Make images of nodes that are in a registry, the same that pibake build makes of the description.\n\nNo \
                  description is needed, but this machine's key must be among those that the cluster was pushed for (pibake \
                  key), and the key that signed it must be trusted. What was fetched is kept, so that --offline does later.",
    after_help = "Examples:\n  \
                  pibake pull oci://registry.example/home                       all nodes, into images/\n  \
                  pibake pull oci://registry.example/home --node 2 --format zst -o out"
)]
pub(super) struct Arguments {
    /// Where it is: oci://REGISTRY/NAME[:TAG][#NODE]
    #[arg(value_name = "FLEET")]
    fleet: FleetName,
    /// Make this node's image alone, by number or name; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<String>,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    network: NetworkFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let (to, control) = (&arguments.to, &session.control);
    let station = Station::this(&arguments.trust)?;
    let fetcher = station.fetcher(arguments.network.patience(), session);
    let fleet = station.open(&arguments.fleet, &fetcher)?;
    let nodes = nodes(&fleet, &arguments.node)?;
    let mut ready = fleet.prepare(&nodes, &station.key()?)?;
    let mut bills: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for node in &nodes {
        bills.insert(&node.name, fleet.bill(node)?);
    }
    let usual =
        || session.config.as_deref().map_or_else(Place::search, Place::named).map(|place| place.images);
    let output = to.output.clone().map_or_else(usual, Ok)?;
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let bill = |node: &str| bill_name(node, Medium::Image);
    let files: Vec<_> = names.iter().flat_map(|node| [to.format.file_name(node), bill(node)]).collect();
    let listing = fleet.listing();
    let own = Entry { cluster: listing.cluster.clone(), ca: listing.fleet.clone() };
    let images = Images::check(&output, to.output.is_none(), &files, Some(&own), control)?;
    let is_new_folder = !output.exists();
    let mut build = Build::prepare(&output, to.format, names, to.jobs, control.cancel())?;
    let observer = build.observer(station.cache().dir()).map(|o| o as &mut dyn ImageObserver);
    let base = fleet.base(observer)?;
    ready.fetch(&base)?;
    images.prepare(is_new_folder, control)?;
    let patch = |node: &str| Ok(ready.patch(node, &base)?);
    let kept = |node: &str| match bills.get(node) {
        Some(text) => put(&output, &bill(node), text).map(drop),
        None => Ok(()),
    };
    let written = build.finish_with(base.path(), &patch, &kept, session.progress())?;
    base.unchanged()?;
    images.record(&files, &own, control)?;
    let image = |written: &Written| {
        let node = nodes.iter().find(|node| node.name == written.node);
        Image::of(written, node.map(|node| node.role.clone()).unwrap_or_default(), None)
    };
    let document = json::Pulled {
        fleet: arguments.fleet.to_string(),
        serial: listing.serial,
        images: written.iter().map(image).collect(),
    };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "IMAGE", "SIZE"]);
        for Image { node, role, path, bytes, .. } in &document.images {
            table.row([node.clone(), role.clone(), path.clone(), human_bytes(*bytes)]);
        }
        format!(
            "{table}number {} of {}, signed by {}\n",
            document.serial,
            document.fleet,
            fleet.signed_by().id()
        )
    })
}

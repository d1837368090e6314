//! `pibake plan [--node N] [PATH]`, `pibake plan --diff IMAGE|DEVICE`, `pibake plan FLEET#NODE`, `pibake plan --svg`

mod changes;
mod diff;
mod drawing;
mod preloaded;

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::description::{CardFlags, versions};
use super::fleets::{self, FleetFlags};
use super::json::{self, Base, Internet, Login, Member, Plan, PlannedImage, Versions};
use super::next;
use super::session::Session;
use crate::cluster::{
    self, Cluster, ImageSize, LanAddressing, Link, Mode, Opening, Protocol, UplinkAddressing,
};
use crate::error::{Doing, Failure};
use crate::fleet::FleetName;
use crate::io::human_bytes;
use crate::ui::{self, Table, page_lines, visible_line};
use crate::workflow::verify::read_bill;
use crate::workflow::{Described, Medium, NodeSelector, Preload, Preview, bill_name};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake plan                            the cluster on one page\n  pibake plan --node 1                   what changes on the card of node-1\n  pibake plan --node 1 /etc/hosts        one file as the node sees it\n  pibake plan --diff images/node-1.img   what a new bake would change on that card\n  pibake plan oci://registry.example/home#2   what changes on the card of a node in a registry\n  pibake plan --svg > cluster.svg        a picture of the cluster"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: CardFlags,
    /// Show what changes on this node's card, by number or name
    #[arg(long, value_name = "N")]
    node: Option<NodeSelector>,
    /// Show the text of this file, as the node sees it; or what changes on the card of oci://REGISTRY/NAME[:TAG]#NODE
    #[arg(value_name = "PATH|FLEET")]
    path: Option<String>,
    /// Show what a new bake would change on this card, image or oci://…#NODE; of secrets, only that they differ
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::FilePath, conflicts_with = "node")]
    diff: Option<PathBuf>,
    /// Print a picture of the cluster, as SVG
    #[arg(long, conflicts_with_all = ["node", "diff"])]
    svg: bool,
    #[command(flatten)]
    fleet: FleetFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    if let Some(path) = &arguments.path {
        if FleetName::is_one(path) {
            return pushed(&path.parse()?, arguments, session);
        }
        if arguments.node.is_none() {
            return Err(Failure::usage(format!("{path} of which node? Name it with --node")));
        }
    }
    let described = arguments.flags.open(session)?;
    if arguments.svg {
        if session.is_json() {
            return Err(Failure::usage(
                "--svg prints a picture and --json a document: leave one of them out",
            ));
        }
        let cluster = &described.project.cluster;
        return ui::print(&drawing::svg(cluster, &internet(cluster)));
    }
    if let Some(card) = &arguments.diff {
        return diff::show(&described, card, &arguments.fleet, session);
    }
    let preload = described.preload()?;
    let Some(selector) = &arguments.node else {
        return page(&described, preload.as_ref(), session);
    };
    let node = selector.find(&described.project.cluster)?;
    let Preview { before, recipe } = described.preview(node)?;
    let preloaded = preload.as_ref().and_then(|preload| preload.payload.part(node.role));
    let preloaded = preloaded.map_or(&[][..], |part| part.files.as_slice());
    match &arguments.path {
        None => changes::list(&recipe, &before, preloaded, session),
        Some(path) => changes::file(&recipe, preloaded, path, session),
    }
}

/// What changes on the card of a node that is in a registry: its bill says so, without a description or a key.
fn pushed(name: &FleetName, arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    if arguments.node.is_some() || arguments.diff.is_some() || arguments.svg {
        return Err(Failure::usage(format!(
            "{name}: a node in a registry is named behind #, and nothing else is"
        )));
    }
    let bill =
        fleets::with(name, &arguments.fleet, session, |_, fleet| Ok(fleet.bill(fleets::node(fleet)?)?))?;
    let bill = read_bill(&bill).doing(|| format!("reading the bill in {name}"))?;
    changes::of_bill(&bill, session)
}

fn page(described: &Described, preload: Option<&Preload>, session: &Session) -> Result<(), Failure> {
    let project = &described.project;
    let cluster = &project.cluster;
    let software = described.software()?;
    let software = software.as_ref();
    let room = match preload {
        Some(preload) => Some(preload.room),
        None => described.room()?,
    };
    let base = Base {
        name: cluster.base.image.to_string(),
        sha256: cluster.base.sha256.map(|digest| digest.to_string()),
    };
    let nodes = cluster.nodes.iter().map(Member::from).collect();
    let image = PlannedImage {
        bytes: room.map(|room| room.image).or(cluster.image.size.map(ImageSize::bytes)),
        free_bytes: room.map(|room| room.free),
    };
    let preload = cluster.image.preload.then(|| preloaded::document(&cluster.nodes, preload));
    let (made_key, made_key_base64) = next::made_key(project).map(json::text).unzip();
    let access = &cluster.access;
    let login = Login {
        user: access.user.clone(),
        ssh_keys: access.ssh_keys.len() as u64,
        made_key,
        made_key_base64: made_key_base64.flatten(),
        password: access.password.is_some(),
        ssh_password: access.ssh_password,
    };
    let document = Plan {
        base,
        image,
        software: software.map(Versions::from),
        nodes,
        preload,
        internet: internet(cluster),
        login,
    };
    session.result(&document, || {
        let base = &document.base.name;
        let versions = software.map(|software| versions(base, software));
        let unknown = || format!("base image {base}: what runs on it is known once it is fetched\n");
        let mut text = members(&document.nodes) + &versions.unwrap_or_else(unknown);
        let mut row =
            |name: &str, value: &str| text += &page_lines(&format!("{name:<9}"), &visible_line(value));
        if let Some(images) = images(&document.image) {
            row("images", &images);
        }
        let bill = bill_name("NODE", Medium::Image);
        row("bill", &format!("beside each image, {bill} lists what is on it (SPDX 2.3)"));
        if let Some(preload) = &document.preload {
            row("preload", &preloaded::summary(preload));
        }
        row("network", &network(cluster));
        row("internet", &way_out(cluster, &document.internet));
        row("open", &open(cluster, &document.internet));
        row("login", &people(&document.login));
        let warnings = session.control.warnings().len();
        if warnings > 0 {
            row("warnings", &format!("{warnings}, above"));
        }
        text + &document.preload.as_ref().map_or_else(String::new, preloaded::table)
    })
}

/// Who is who; with their IPv6 addresses where they have some, and with their boards and what they start from where that
/// is named of one.
fn members(nodes: &[Member]) -> String {
    let any = |has: fn(&Member) -> bool| nodes.iter().any(has);
    let columns = [
        ("NODE", true),
        ("ROLE", true),
        ("ADDRESS", true),
        ("IPV6", any(|member| member.ipv6.is_some())),
        ("BOARD", any(|member| member.board.is_some())),
        ("STARTS FROM", any(|member| member.boot_from.is_some())),
    ];
    let mut table = Table::new(columns.iter().filter(|(_, shown)| *shown).map(|(name, _)| *name));
    for Member { node, role, address, ipv6, board, boot_from } in nodes.iter().cloned() {
        let (board, from) =
            (board.unwrap_or_else(|| "any".to_owned()), boot_from.unwrap_or_else(|| "sd".to_owned()));
        let cells = [node, role, address, ipv6.unwrap_or_default(), board, from];
        table.row(cells.into_iter().zip(columns).filter(|(_, (_, shown))| *shown).map(|(cell, _)| cell));
    }
    table.to_string()
}

/// How large the images become; nothing where that is not known.
fn images(image: &PlannedImage) -> Option<String> {
    let bytes = human_bytes(image.bytes?);
    Some(match image.free_bytes.map(human_bytes) {
        Some(free) => format!("{bytes} each, of which {free} of the root file system are free"),
        None => format!("{bytes} each"),
    })
}

fn internet(cluster: &Cluster) -> Internet {
    let mut names = cluster.network.radio().into_iter().flat_map(|radio| &radio.networks);
    let ssid = names.next().map(|wifi| wifi.ssid.clone());
    let more_ssids = names.map(|wifi| wifi.ssid.clone()).collect();
    match &cluster.network.mode {
        Mode::Lan(lan) => Internet {
            by: lan.router.to_string(),
            interface: cluster.network.link.interface().into_owned(),
            ssid,
            more_ssids,
            address: None,
            open: vec!["all".to_owned()],
        },
        Mode::Gateway(gateway) => {
            let uplink = &gateway.uplink;
            let open = uplink.allow.iter().map(|opening| match opening {
                Opening::Api => "api".to_owned(),
                Opening::NodePorts => "node-ports".to_owned(),
                Opening::Port(port, Protocol::Tcp) => format!("{port}/tcp"),
                Opening::Port(port, Protocol::Udp) => format!("{port}/udp"),
                Opening::All => "all".to_owned(),
            });
            Internet {
                by: cluster.control_plane().map_or_else(String::new, |node| node.name.to_string()),
                interface: uplink.link.interface().into_owned(),
                ssid,
                more_ssids,
                address: match uplink.addressing {
                    UplinkAddressing::Dhcp => None,
                    UplinkAddressing::Static { address, .. } => Some(address.to_string()),
                },
                open: std::iter::once("ssh".to_owned()).chain(open).collect(),
            }
        }
    }
}

fn network(cluster: &Cluster) -> String {
    let network = &cluster.network;
    let (subnet, link) = (network.subnet, by(&network.link));
    let subnet = match &network.ipv6 {
        Some(ipv6) => format!("{subnet} and {}", ipv6.subnet),
        None => subnet.to_string(),
    };
    match &network.mode {
        Mode::Gateway(_) => {
            let by = cluster.control_plane().map_or("the control plane", |node| node.name.as_str());
            format!("{subnet} on {link}, of the nodes alone: {by} is their DHCP server")
        }
        Mode::Lan(lan) => {
            let from = match lan.addressing {
                LanAddressing::Static => "each card has its node's address",
                LanAddressing::Dhcp => "the router gives each node its address",
            };
            format!("{subnet} on {link}, your router's: {from}")
        }
    }
}

/// What carries a network, and the names of radio networks.
fn by(link: &Link) -> String {
    let Some(radio) = link.radio() else { return link.title() };
    let names: Vec<_> = radio.networks.iter().map(|wifi| format!("{:?}", wifi.ssid)).collect();
    format!("WiFi {}, in the network {}", radio.interface, names.join(" or "))
}

fn way_out(cluster: &Cluster, internet: &Internet) -> String {
    let Internet { by: leader, address, .. } = internet;
    let ipv6 = cluster.network.ipv6.as_ref();
    let Some(gateway) = cluster.network.gateway() else {
        let over_ipv6 = match ipv6.map(|ipv6| ipv6.router) {
            Some(Some(router)) => format!(" and {router}"),
            Some(None) => "; over IPv6 not at all (network.ipv6.router)".to_owned(),
            None => String::new(),
        };
        return format!("through your router, {leader}{over_ipv6}");
    };
    let link = &gateway.uplink.link;
    let port = match (&link.medium, link.vlan) {
        (cluster::Medium::Ethernet(_), None) => format!("its second Ethernet adapter {}", by(link)),
        _ => format!("its {}", by(link)),
    };
    let address = address.as_ref().map_or_else(|| "by DHCP".to_owned(), Clone::clone);
    let over_ipv6 = if ipv6.is_some() { ", over IPv6 as the router announces" } else { "" };
    format!("through {leader}, by {port}; its address there: {address}{over_ipv6}")
}

fn open(cluster: &Cluster, internet: &Internet) -> String {
    match (&cluster.network.mode, internet.open.as_slice()) {
        (Mode::Lan(_), _) => "everything on the nodes, to machines of the same network".to_owned(),
        (Mode::Gateway(_), [_]) => format!("from the internet's side: SSH on {}, nothing else", internet.by),
        (Mode::Gateway(_), [_, more @ ..]) => {
            format!("from the internet's side: SSH on {}, and {}", internet.by, more.join(", "))
        }
        (Mode::Gateway(_), []) => String::new(),
    }
}

fn people(login: &Login) -> String {
    let Login { user, ssh_keys, made_key, password, ssh_password, .. } = login;
    let keys = match (made_key, ssh_keys) {
        (Some(key), _) => format!("with the key that pibake makes, {key}"),
        (None, 1) => "with your SSH key".to_owned(),
        (None, n) => format!("with {n} SSH keys of yours"),
    };
    let password = match (password, ssh_password) {
        (false, _) => "no password; sudo asks for none",
        (true, false) => "a password for the console and sudo",
        (true, true) => "a password for the console, sudo and SSH",
    };
    format!("{user}, {keys}; {password}")
}

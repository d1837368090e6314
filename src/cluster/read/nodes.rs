//! `nodes`: how many, or each of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::network::Addresses;
use super::overrides::Overrides;
use crate::boards::{Board, BootFrom};
use crate::cluster::toml::{Document, Table, Value};
use crate::cluster::{MAX_NODES, MacAddress, Node, NodeName, Role, board, check, defaults, labels, plan};

/// What the description says of one node.
#[derive(Default)]
struct Entry {
    name: Option<NodeName>,
    role: Option<Role>,
    board: Option<Board>,
    boot_from: Option<BootFrom>,
    address: Option<Ipv4Addr>,
    mac: Option<MacAddress>,
    labels: BTreeMap<String, String>,
}

/// What a node has that does not say it itself.
#[derive(Clone, Copy)]
pub(super) struct Hardware {
    board: Option<Board>,
    boot_from: Option<BootFrom>,
}

impl Hardware {
    /// Of the table at the top, or of a node.
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        let froms = BootFrom::ALL.map(|from| (from.as_str(), from));
        Self { board: table.read("board", board::board), boot_from: table.choose("boot-from", &froms) }
    }
}

/// `hardware` is what a node has that does not say it itself.
pub(super) fn nodes(
    root: &mut Table<'_, '_>,
    document: &Document<'_>,
    overrides: &Overrides,
    addresses: &Addresses<'_, '_>,
    hardware: Hardware,
) -> Vec<Node> {
    let mut count = None;
    let mut entries = Vec::new();
    match root.take("nodes") {
        None => {}
        Some(value) if value.is_number() => count = value.whole_number().map(|f| f.value),
        Some(value) => entries = list(value),
    }
    if count.is_none() && !entries.is_empty() {
        count = u32::try_from(entries.len()).ok();
    }
    if let Some(nodes) = overrides.nodes {
        document.flag("nodes", "--nodes");
        count = Some(nodes);
    }
    let count = count.unwrap_or(u32::from(defaults::NODES));
    let Some(count) = checked(count, document, addresses) else { return Vec::new() };
    entries.resize_with(usize::from(count), Entry::default);
    if !entries.iter().any(|e| e.role == Some(Role::ControlPlane))
        && let Some(first) = entries.iter_mut().find(|e| e.role.is_none())
    {
        first.role = Some(Role::ControlPlane);
    }
    let node = |(number, entry): (u16, Entry)| {
        let address = entry.address.or_else(|| address(addresses, number));
        if address.is_none() && addresses.first.is_none() && !document.is_set("network.first-address") {
            return None;
        }
        // One past the network's end is told by the check that each lies within it.
        let address = address.unwrap_or(Ipv4Addr::BROADCAST);
        Some(Node {
            number,
            name: entry.name.unwrap_or_else(|| NodeName::numbered(number)),
            role: entry.role.unwrap_or(Role::Worker),
            board: entry.board.or(hardware.board),
            boot_from: entry.boot_from.or(hardware.boot_from),
            address,
            ipv6: addresses.ipv6.as_ref().map(|ipv6| ipv6.address_beside(address, addresses.subnet)),
            mac: entry.mac,
            labels: entry.labels,
        })
    };
    let nodes: Option<Vec<Node>> = (1..=count).zip(entries).map(node).collect();
    nodes.unwrap_or_else(|| {
        let message = "must be given in lan mode (or an address for each node): node-1 gets it, the others \
                       those that follow; they must lie outside of what the router hands out";
        document.report("network.first-address", message);
        Vec::new()
    })
}

fn address(addresses: &Addresses<'_, '_>, number: u16) -> Option<Ipv4Addr> {
    let first = addresses.first?;
    first.to_bits().checked_add(u32::from(number) - 1).map(Ipv4Addr::from_bits)
}

fn checked(count: u32, document: &Document<'_>, addresses: &Addresses<'_, '_>) -> Option<u16> {
    let capacity = plan::capacity(addresses.subnet);
    let refused = match u16::try_from(count) {
        Ok(0) => "must be at least 1".to_owned(),
        _ if count > capacity => format!(
            "{count} nodes do not fit in network.subnet {}, which has {capacity} addresses",
            addresses.subnet
        ),
        Ok(count @ ..=MAX_NODES) => return Some(count),
        _ => format!("must be at most {MAX_NODES}"),
    };
    document.report("nodes", refused);
    None
}

fn list(value: Value<'_, '_>) -> Vec<Entry> {
    let tables = value.list_or("a number or a list of tables").unwrap_or_default();
    tables.into_iter().map(|value| value.table().map(entry).unwrap_or_default()).collect()
}

fn entry(mut table: Table<'_, '_>) -> Entry {
    let Hardware { board, boot_from } = Hardware::read(&mut table);
    let entry = Entry {
        name: table.read("name", str::parse),
        role: table.choose("role", &[Role::ControlPlane, Role::Worker].map(|role| (role.as_str(), role))),
        board,
        boot_from,
        address: table.read("address", check::address),
        mac: table.read("mac", str::parse),
        labels: labels_of(table.table("labels")),
    };
    table.finish();
    entry
}

fn labels_of(mut table: Table<'_, '_>) -> BTreeMap<String, String> {
    let label = |(key, value): (String, Value<'_, '_>)| {
        let value = value.text()?.check(|text| labels::key(&key).and_then(|()| labels::value(text)))?;
        Some((key, value))
    };
    table.rest().into_iter().filter_map(label).collect()
}

//! What machines on the uplink's side may reach.

use crate::cluster::{Opening, Protocol, Uplink};

/// What services of type NodePort get, unless the API server is told otherwise
/// (`--service-node-port-range`).
const NODE_PORTS: &str = "30000-32767";

/// The ports that are open besides SSH, in the words of /usr/lib/pibake/nat.
pub(super) fn open(uplink: &Uplink, api_port: u16) -> Vec<String> {
    let ports = uplink.allow.iter().flat_map(|opening| match opening {
        Opening::Api => vec![format!("{api_port}/tcp")],
        Opening::NodePorts => vec![format!("{NODE_PORTS}/tcp"), format!("{NODE_PORTS}/udp")],
        Opening::Port(port, Protocol::Tcp) => vec![format!("{port}/tcp")],
        Opening::Port(port, Protocol::Udp) => vec![format!("{port}/udp")],
        Opening::All => vec!["all".to_owned()],
    });
    ports.collect()
}

//! Another DHCP server on the cluster's switch is found before node-1's own is started.

use std::path::Path;
use std::process::Output;
use std::time::Instant;

use libtest_mimic::Trial;
use pibake::recipe::Volume;

use super::{Machine, fixture, serve_dhcp, trial};
use support::tool_path;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("netns::another_dhcp_server_is_named_before_ours_starts", another_is_named_before_ours_starts),
        trial("netns::alone_on_its_segment_node_1_may_serve", alone_on_its_segment_node_1_may_serve),
    ]
}

/// What isc-dhcp-server.service runs before dhcpd, on a node as it is baked.
fn look(node: &Machine, root: &Path) -> Output {
    let recipe = fixture::of(&fixture::book(), 1);
    fixture::lay_out(&recipe, Volume::Root, root);
    let unit = fixture::root_file(&recipe, "/etc/systemd/system/isc-dhcp-server.service.d/pibake.conf");
    let line =
        unit.lines().find_map(|line| line.strip_prefix("ExecStartPre=/usr/lib/pibake/stage ")).unwrap();
    let (stage, function) = line.split_once(' ').unwrap();
    let mut command = node.command(&tool_path("sh", "dash"));
    command.arg(root.join("usr/lib/pibake/stage")).arg(root.join(&stage[1..])).arg(function);
    command.env("PIBAKE_ROOT", root).output().unwrap()
}

fn another_is_named_before_ours_starts() {
    let (node, router) = (Machine::new("node"), Machine::new("router"));
    node.join("eth0", &router, "eth0");
    router.ip("link set eth0 address 66:66:66:66:66:66");
    router.ip("addr add 192.168.1.1/24 dev eth0");
    node.ip("addr add 10.0.0.1/24 dev eth0");
    let (dir, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = "subnet 192.168.1.0 netmask 255.255.255.0 { range 192.168.1.100 192.168.1.150; }\n";
    let _router = serve_dhcp(&router, dir.path(), config);
    let out = look(&node, root.path());
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(!out.status.success(), "{said}");
    assert!(
        said.starts_with(
            "another DHCP server answers on eth0: 192.168.1.1 (66:66:66:66:66:66), which offers 192.168.1.1"
        ),
        "{said}"
    );
    let leases = std::fs::read_to_string(dir.path().join("dhcpd.leases")).unwrap();
    assert!(!leases.contains("binding state active"), "a lease was taken: {leases}");
}

fn alone_on_its_segment_node_1_may_serve() {
    let (node, worker) = (Machine::new("node"), Machine::new("worker"));
    node.join("eth0", &worker, "eth0");
    node.ip("addr add 10.0.0.1/24 dev eth0");
    let (begun, root) = (Instant::now(), tempfile::tempdir().unwrap());
    let out = look(&node, root.path());
    assert!(out.status.success() && out.stdout.is_empty(), "{out:?}");
    // dnsmasq, which most routers run, pings an address for three seconds before it offers it.
    assert!(begun.elapsed().as_secs() >= 7, "answers were not waited for");
    node.ip("link set eth0 down");
    let root = tempfile::tempdir().unwrap();
    let out = look(&node, root.path());
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(!out.status.success() && said.contains("cannot look for other DHCP servers on eth0"), "{said}");
}

//! What systemd-networkd makes of the network that is baked.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use pibake::cluster::Cluster;
use pibake::recipe::Volume;

use super::{Daemon, Machine, fixture, ip, serve_dhcp, trial};
use support::{run, tool, tool_path};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("netns::a_worker_keeps_its_address_without_its_server", a_worker_keeps_its_address),
        trial("netns::the_way_to_the_services_wins_over_none", the_way_to_the_services_wins_over_none),
    ]
}

/// systemd-networkd in `machine`, with what netplan makes of the network of node `number`.
pub(super) fn networkd(machine: &Machine, cluster: &Cluster, number: u16, dir: &Path) -> Daemon {
    let recipe = fixture::of(cluster, number);
    fixture::lay_out(&recipe, Volume::Root, dir);
    run(tool("netplan", "netplan.io").args(["generate", "--root-dir"]).arg(dir));
    // A /run of its own, and the host name that it sends. Where /sys is read-only, networkd does
    // not wait for udev, which knows nothing of these interfaces.
    let script = "hostname \"$1\"; mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/network \
                  /run/systemd/netif/links /run/systemd/netif/leases; \
                  cp \"$2\"/run/systemd/network/*.network /run/systemd/network/; \
                  mount -o remount,ro /sys; chown -R systemd-network /run/systemd/netif; \
                  exec /lib/systemd/systemd-networkd";
    let mut command: Command = machine.command(&tool_path("unshare", "util-linux"));
    command.args(["-m", "-u", "sh", "-c", script, "sh", &format!("node-{number}")]).arg(dir);
    Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

pub(super) fn shown(machine: &Machine, what: &str) -> String {
    run(ip().args(["-n", &machine.name]).args(what.split(' ')))
}

pub(super) fn until(what: &str, patience: u64, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(patience), "not within {patience} s: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// node-1 is off for longer than a lease lasts.
fn a_worker_keeps_its_address() {
    let (server, worker) = (Machine::new("server"), Machine::new("worker"));
    server.join("eth0", &worker, "eth0");
    server.ip("addr add 10.0.0.1/24 dev eth0");
    let (dir, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Shorter, so that the test is; the rest is what is baked.
    let config = fixture::root_file(&fixture::of(&fixture::book(), 1), "/etc/dhcp/dhcpd.conf");
    let config = config.replace("default-lease-time 600", "default-lease-time 12");
    let config = config.replace("max-lease-time 7200", "max-lease-time 12");
    let dhcpd = serve_dhcp(&server, dir.path(), &config);
    let _networkd = networkd(&worker, &fixture::book(), 2, root.path());
    let has_address = || shown(&worker, "-4 -o addr show dev eth0").contains("inet 10.0.0.2/24");
    until("a lease", 60, has_address);
    drop(dhcpd);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        assert!(has_address(), "lost after {} s", begun.elapsed().as_secs());
        assert!(shown(&worker, "-4 route show default").contains("via 10.0.0.1"), "the way out is lost");
        std::thread::sleep(Duration::from_millis(500));
    }
    let _dhcpd = serve_dhcp(&server, dir.path(), &config);
    std::thread::sleep(Duration::from_secs(5));
    assert!(has_address(), "lost when the server came back");
}

/// Without an uplink node-1 has a way to the services; with one that is never in the way, also
/// where the network outside is wide, or uses addresses of the services' own.
fn the_way_to_the_services_wins_over_none() {
    let (node, switch, wifi) = (Machine::new("node"), Machine::new("switch"), Machine::new("wifi"));
    node.join("eth0", &switch, "eth0");
    let root = tempfile::tempdir().unwrap();
    let _networkd = networkd(&node, &fixture::book(), 1, root.path());
    let way = |to: &str| {
        let out = ip().args(["-n", &node.name, "route", "get", to]).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    until("the way to the services", 60, || way("10.96.0.1").contains("dev eth0 "));
    assert!(way("10.96.0.1").contains("src 10.0.0.1"), "{}", way("10.96.0.1"));
    assert_eq!(way("8.8.8.8"), "");
    wifi.join("radio", &node, "up0");
    node.ip("addr add 192.168.1.77/24 dev up0");
    node.ip("route add default via 192.168.1.1 dev up0 metric 20000");
    for to in ["8.8.8.8", "10.96.0.1", "10.100.1.1"] {
        assert!(way(to).contains("via 192.168.1.1 dev up0"), "{}", way(to));
    }
    node.ip("route add 10.64.0.0/10 via 192.168.1.9 dev up0 metric 20000");
    assert!(way("10.100.1.1").contains("via 192.168.1.9"), "{}", way("10.100.1.1"));
    node.ip("link delete up0");
    until("the way without an uplink", 10, || way("10.96.0.1").contains("dev eth0 "));
}

//! IPv6 through node-1, from the files that are baked: the networks by the real systemd-networkd, the announcements of
//! the router outside by radvd, the way out and what is shut by the real ip6tables.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use pibake::cluster::Cluster;
use pibake::recipe::Volume;

use super::lease::{networkd, shown, until};
use super::{Daemon, Machine, fixture, nat_of, rules, trial};
use support::{run, tool_path};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("netns::ipv6_leaves_through_node_1_and_nothing_comes_in", leaves_and_nothing_comes_in),
        trial("netns::announcements_count_at_the_uplink_alone", announcements_count_at_the_uplink_alone),
        trial("netns::an_ipv6_network_that_is_outside_too_is_told", a_network_that_is_outside_too_is_told),
        trial("netns::an_ipv6_address_that_another_machine_has_is_told", an_address_of_another_is_told),
    ]
}

const POD: &str = "fd12:3456:789a:100::5";
const SERVICE: &str = "fd12:3456:789a:fffe::a";

fn dual(more: &str) -> Cluster {
    fixture::read(&format!("nodes = 2\n{more}[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\n"))
}

/// Sets what the card's files in sysctl.d set of IPv6.
fn forwards(machine: &Machine, cluster: &Cluster, number: u16) {
    let recipe = fixture::on(cluster, "24.04", number);
    let text = fixture::root_file(&recipe, "/etc/sysctl.d/91-pibake-ipv6.conf");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ipv6.conf"), text).unwrap();
    run(machine.command(&tool_path("sysctl", "procps")).arg("-p").arg(dir.path().join("ipv6.conf")));
}

fn listen(machine: &Machine, port: u16) -> TcpListener {
    machine.enter(|| TcpListener::bind((IpAddr::from([0_u16; 8]), port)).unwrap())
}

/// Who `from` is to the machine that accepts, if it gets that far.
fn seen_as(from: &Machine, to: &str, listener: &TcpListener, patience: Duration) -> Option<Ipv6Addr> {
    let to: SocketAddr = to.parse().unwrap();
    let mut stream = from.enter(move || TcpStream::connect_timeout(&to, patience)).ok()?;
    stream.write_all(b"hello").unwrap();
    drop(stream);
    let (mut accepted, peer) = listener.accept().unwrap();
    let mut got = String::new();
    accepted.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello");
    match peer.ip() {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(address) => panic!("{address}"),
    }
}

/// Whether a connection is made.
fn connects(from: &Machine, to: &str) -> bool {
    let to: SocketAddr = to.parse().unwrap();
    from.enter(move || TcpStream::connect_timeout(&to, Duration::from_millis(900))).is_ok()
}

fn pings(from: &Machine, to: &str) -> bool {
    let mut ping = from.command(&tool_path("ping", "iputils-ping"));
    ping.args(["-6", "-c", "1", "-W", "2", to]).output().unwrap().status.success()
}

/// Until the kernels have asked whether other machines have the addresses: before, nothing is sent from them.
fn settle(machines: &[&Machine]) {
    until("addresses of their own", 30, || {
        machines.iter().all(|machine| !shown(machine, "-6 -o addr show").contains("tentative"))
    });
}

/// A machine in the home's network, node-1 and node-2, which has a pod.
struct Home {
    phone: Machine,
    gateway: Machine,
    worker: Machine,
    _served: Vec<TcpListener>,
}

impl Home {
    fn new(cluster: &Cluster) -> Self {
        let (phone, gateway, worker) = (Machine::new("phone"), Machine::new("gw"), Machine::new("node2"));
        phone.join("wl", &gateway, "eth1");
        worker.join("eth0", &gateway, "eth0");
        phone.ip("-6 addr add 2001:db8::66/64 dev wl nodad");
        gateway.ip("-6 addr add 2001:db8::77/64 dev eth1 nodad");
        for (machine, node) in [(&gateway, &cluster.nodes[0]), (&worker, &cluster.nodes[1])] {
            machine.ip(&format!("-6 addr add {}/64 dev eth0 nodad", node.ipv6.unwrap()));
        }
        let first = cluster.nodes[0].ipv6.unwrap();
        worker.ip(&format!("-6 route add default via {first}"));
        worker.ip(&format!("-6 addr add {POD}/128 dev lo"));
        let second = cluster.nodes[1].ipv6.unwrap();
        gateway.ip(&format!("-6 route add fd12:3456:789a:100::/64 via {second}"));
        // Whoever means it adds the routes.
        phone.ip("-6 route add fd12:3456:789a::/48 via 2001:db8::77");
        forwards(&gateway, cluster, 1);
        // As kube-proxy does, and with its ACCEPT before all else in FORWARD.
        let to_pod = format!("-p tcp --dport 5432 -j DNAT --to-destination [{POD}]:5432");
        ip6tables(&gateway, &format!("-t nat -A PREROUTING -d {SERVICE}/128 {to_pod}"));
        ip6tables(&gateway, "-A FORWARD -j ACCEPT");
        settle(&[&phone, &gateway, &worker]);
        let mut served: Vec<_> = [22, 6443, 10250].map(|port| listen(&gateway, port)).into();
        served.extend([22, 5432, 10250].map(|port| listen(&worker, port)));
        Self { phone, gateway, worker, _served: served }
    }

    /// What the phone reaches.
    fn reached(&self) -> Vec<&'static str> {
        let asked = [
            "[2001:db8::77]:22",
            "[2001:db8::77]:6443",
            "[2001:db8::77]:10250",
            "[fd12:3456:789a::1]:6443",
            "[fd12:3456:789a::2]:22",
            "[fd12:3456:789a::2]:10250",
            "[fd12:3456:789a:100::5]:5432",
            "[fd12:3456:789a:fffe::a]:5432",
        ];
        asked.into_iter().filter(|to| connects(&self.phone, to)).collect()
    }
}

fn ip6tables(machine: &Machine, arguments: &str) -> String {
    run(machine.command(&tool_path("ip6tables", "iptables")).args(arguments.split(' ')))
}

fn rules_6(machine: &Machine) -> String {
    rules(machine) + &["-S", "-t nat -S"].map(|what| ip6tables(machine, what)).concat()
}

fn leaves_and_nothing_comes_in() {
    let cluster = dual("");
    let home = Home::new(&cluster);
    let before = rules_6(&home.gateway);
    let open = home.reached();
    assert_eq!(open.len(), 8, "without the rules everything is open, or this test shows nothing: {open:?}");
    for to in ["2001:db8::77", "fd12:3456:789a::2", POD] {
        assert!(pings(&home.phone, to), "{to}");
    }
    let outside = listen(&home.phone, 7777);
    let (to, patience) = ("[2001:db8::66]:7777", Duration::from_secs(20));
    let own: Ipv6Addr = "2001:db8::77".parse().unwrap();
    assert_ne!(
        seen_as(&home.worker, to, &outside, patience),
        Some(own),
        "before, it is known by its own address"
    );

    nat_of(&cluster, &home.gateway, "ExecStart");
    assert_eq!(home.reached(), ["[2001:db8::77]:22"]);
    for (to, answers) in [("2001:db8::77", true), ("fd12:3456:789a::2", false), (POD, false)] {
        assert_eq!(pings(&home.phone, to), answers, "{to}");
    }
    // The phone forgets the way back: what is answered bears node-1's address.
    home.phone.ip("-6 route del fd12:3456:789a::/48 via 2001:db8::77");
    assert_eq!(seen_as(&home.worker, to, &outside, patience), Some(own));
    assert!(pings(&home.worker, "2001:db8::66"), "and so are its pings");
    // Neighbours are still found, from both sides, when they have been forgotten.
    for (machine, port) in [(&home.phone, "wl"), (&home.gateway, "eth1")] {
        machine.ip(&format!("-6 neigh flush dev {port}"));
    }
    assert!(connects(&home.phone, "[2001:db8::77]:22"));
    home.gateway.ip("-6 neigh flush dev eth1");
    assert_eq!(seen_as(&home.worker, to, &outside, patience), Some(own));
    // The nodes among themselves are as they were.
    assert!(connects(&home.worker, "[fd12:3456:789a::1]:6443"));
    assert!(connects(&home.gateway, "[fd12:3456:789a::2]:10250"));

    let started = rules_6(&home.gateway);
    nat_of(&cluster, &home.gateway, "ExecReload");
    assert_eq!(rules_6(&home.gateway), started, "started twice");
    home.phone.ip("-6 route add fd12:3456:789a::/48 via 2001:db8::77");
    nat_of(&dual("[network.uplink]\nallow = [\"api\"]\n"), &home.gateway, "ExecStart");
    let api = ["[2001:db8::77]:22", "[2001:db8::77]:6443", "[fd12:3456:789a::1]:6443"];
    assert_eq!(home.reached(), api);
    nat_of(&dual("[network.uplink]\nallow = [\"all\"]\n"), &home.gateway, "ExecStart");
    assert_eq!(home.reached().len(), 8);
    nat_of(&cluster, &home.gateway, "ExecStop");
    assert_eq!(rules_6(&home.gateway), before);
}

/// A router that announces `prefix` at the port of `machine`.
fn radvd(machine: &Machine, port: &str, prefix: &str, dir: &Path) -> Daemon {
    let configuration = dir.join(format!("radvd-{port}.conf"));
    let text = format!(
        "interface {port} {{\n AdvSendAdvert on;\n MinRtrAdvInterval 3;\n MaxRtrAdvInterval 4;\n \
         prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; }};\n}};\n"
    );
    std::fs::write(&configuration, text).unwrap();
    machine.enter(|| std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap());
    let mut command = machine.command(&tool_path("radvd", "radvd"));
    command.args(["-n", "-m", "stderr", "-C"]).arg(configuration);
    command.arg("-p").arg(dir.join(format!("radvd-{port}.pid")));
    Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// What a machine knows, for whoever reads why a test failed.
fn ways(machine: &Machine) -> String {
    let forwarding =
        machine.enter(|| std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/forwarding").unwrap());
    format!("forwarding {forwarding}{}{}", shown(machine, "-6 addr"), shown(machine, "-6 route"))
        + &rules_6(machine)
}

/// node-1 forwards, and still has its address and its way out from the router outside; its own network and the workers'
/// ports listen to nobody, whatever another machine there announces.
fn announcements_count_at_the_uplink_alone() {
    let cluster = dual("");
    let (router, gateway, worker) = (Machine::new("router"), Machine::new("gw"), Machine::new("node2"));
    router.join("home", &gateway, "eth1");
    worker.join("eth0", &gateway, "eth0");
    let dir = tempfile::tempdir().unwrap();
    router.ip("-6 addr add 2001:db8:5::1/64 dev home nodad");
    for (machine, number) in [(&gateway, 1), (&worker, 2)] {
        forwards(machine, &cluster, number);
        // The kernel's own hearing is what a port that networkd has nothing to say about would have.
        machine.enter(|| std::fs::write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "2").unwrap());
    }
    let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let _first = networkd(&gateway, &cluster, 1, roots[0].path());
    let _second = networkd(&worker, &cluster, 2, roots[1].path());
    let _router = radvd(&router, "home", "2001:db8:5::/64", dir.path());
    let addresses =
        |machine: &Machine, port: &str| shown(machine, &format!("-6 -o addr show dev {port} scope global"));
    until("addresses from the cards", 60, || {
        addresses(&gateway, "eth0").contains("fd12:3456:789a::1/64")
            && addresses(&worker, "eth0").contains("fd12:3456:789a::2/64")
    });
    until("an address from the router", 60, || addresses(&gateway, "eth1").contains("2001:db8:5:"));
    until("a way out", 60, || shown(&gateway, "-6 route show default").contains("dev eth1"));
    until("the worker's way out", 60, || {
        shown(&worker, "-6 route show default").contains("via fd12:3456:789a::1 dev eth0")
    });
    assert_eq!(
        shown(&gateway, "-6 route get fd12:3456:789a:fffe::1")
            .split(" dev ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next(),
        Some("eth0")
    );

    nat_of(&cluster, &gateway, "ExecStart");
    settle(&[&router, &gateway, &worker]);
    let outside = listen(&router, 7777);
    let seen = seen_as(&worker, "[2001:db8:5::1]:7777", &outside, Duration::from_secs(20));
    let seen = seen.unwrap_or_else(|| panic!("no way out\n{}\n{}", ways(&worker), ways(&gateway)));
    assert!(addresses(&gateway, "eth1").contains(&format!("{seen}/64")), "{seen} is not node-1");

    // Another node, and a machine on its segment that announces a network.
    let (stranger, other) = (Machine::new("stranger"), Machine::new("node3"));
    stranger.join("eth0", &other, "eth0");
    forwards(&other, &cluster, 2);
    let root = tempfile::tempdir().unwrap();
    let _third = networkd(&other, &cluster, 2, root.path());
    let _stranger = radvd(&stranger, "eth0", "2001:db8:bad::/64", dir.path());
    until("its own address", 60, || addresses(&other, "eth0").contains("fd12:3456:789a::2/64"));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(12) {
        let all = addresses(&other, "eth0");
        assert!(!all.contains("2001:db8:bad"), "{all}");
        let ways = shown(&other, "-6 route show default");
        assert!(!ways.contains("fe80"), "{ways}");
        std::thread::sleep(Duration::from_millis(500));
    }
    // And the way out that node-1 has by announcements has not ended meanwhile.
    assert!(shown(&gateway, "-6 route show default").contains("dev eth1"));
}

/// What a function of the stage `network` says on a node that is laid out below `root`.
fn stage(node: &Machine, root: &Path, function: &str) -> (bool, String) {
    let mut command = node.command(&tool_path("sh", "dash"));
    command
        .arg(root.join("usr/lib/pibake/stage"))
        .arg(root.join("usr/lib/pibake/stages/15-network"))
        .arg(function);
    let out = command.env("PIBAKE_ROOT", root).output().unwrap();
    (out.status.success(), String::from_utf8(out.stdout).unwrap())
}

fn a_network_that_is_outside_too_is_told() {
    let cluster = dual("");
    let (node, router) = (Machine::new("node"), Machine::new("router"));
    node.join("eth1", &router, "home");
    let root = tempfile::tempdir().unwrap();
    fixture::lay_out(&fixture::on(&cluster, "24.04", 1), Volume::Root, root.path());
    let said = || stage(&node, root.path(), "clash").1;
    node.ip("-6 addr add 2001:db8:5::7/64 dev eth1 nodad");
    node.ip("-6 route add default via fe80::1 dev eth1");
    node.ip("-6 route add fd00::/8 via fe80::1 dev eth1");
    assert_eq!(said(), "", "neither a way out nor a wider way over a router is in the way");
    for (route, key) in [
        ("fd12:3456:789a::/64 dev eth1", "network.ipv6.subnet"),
        ("fd12:3456:789a::/48 dev eth1", "network.ipv6.subnet"),
        ("fd12:3456:789a:142::/64 via fe80::1 dev eth1", "network.ipv6.pods"),
        ("fd12:3456:789a:fffe::5 dev eth1", "network.ipv6.services"),
    ] {
        node.ip(&format!("-6 route add {route}"));
        let told = said();
        assert!(told.contains(&format!("set {key} in pibake.toml")), "{route}: {told}");
        node.ip(&format!("-6 route del {route}"));
    }
    assert_eq!(said(), "");
}

fn an_address_of_another_is_told() {
    let cluster = dual("");
    let (node, other) = (Machine::new("node"), Machine::new("other"));
    node.join("eth0", &other, "eth0");
    let root = tempfile::tempdir().unwrap();
    fixture::lay_out(&fixture::on(&cluster, "24.04", 1), Volume::Root, root.path());
    std::fs::create_dir_all(root.path().join("run/pibake")).unwrap();
    assert!(!stage(&node, root.path(), "has_address6").0);
    assert!(stage(&node, root.path(), "explain_address6").1.contains("does not have the address"));
    other.ip("-6 addr add fd12:3456:789a::1/64 dev eth0 nodad");
    node.ip("-6 addr add fd12:3456:789a::1/64 dev eth0");
    until("the kernel's asking", 30, || shown(&node, "-6 -o addr show dev eth0").contains("dadfailed"));
    assert!(!stage(&node, root.path(), "has_address6").0);
    assert!(stage(&node, root.path(), "explain_address6").1.contains("another machine at eth0 has"));
    other.ip("-6 addr del fd12:3456:789a::1/64 dev eth0");
    node.ip("-6 addr del fd12:3456:789a::1/64 dev eth0");
    node.ip("-6 addr add fd12:3456:789a::1/64 dev eth0");
    until("an address", 30, || stage(&node, root.path(), "has_address6").0);
}

//! The cluster's own network on machines that are not there: network namespaces joined by veth
//! pairs, in which the real DHCP server and the real iptables run what is baked.

mod dual;
mod firewall;
mod lease;
mod others;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pibake::cluster::Cluster;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::fixture;
use support::{run, tool, tool_path, unconfined};

pub fn trials() -> Vec<Trial> {
    let own = vec![
        trial("netns::a_node_gets_its_own_address_by_its_name", a_node_gets_its_own_address_by_its_name),
        trial("netns::another_client_sends_its_name", another_client_sends_its_name),
        trial("netns::what_is_no_node_gets_an_address_of_the_range", what_is_no_node_gets_one_of_the_range),
        trial(
            "netns::a_board_that_is_named_alone_has_its_address",
            a_board_that_is_named_alone_has_its_address,
        ),
        trial("netns::a_card_written_anew_keeps_its_address", a_card_written_anew_keeps_its_address),
        trial("netns::many_nodes_in_another_subnet_are_served", many_nodes_in_another_subnet_are_served),
        trial("netns::nat_lets_the_nodes_out_and_is_taken_back", nat_lets_the_nodes_out_and_is_taken_back),
    ];
    [own, dual::trials(), firewall::trials(), lease::trials(), others::trials()]
        .into_iter()
        .flatten()
        .collect()
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        test();
        Ok(())
    })
}

/// A network namespace that is gone with its interfaces when the test is over.
struct Machine {
    name: String,
}

impl Machine {
    fn new(role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pibake-{}-{count}-{role}", std::process::id());
        run(ip().args(["netns", "add", &name]));
        let machine = Self { name };
        machine.ip("link set lo up");
        machine
    }

    /// `program` in this machine.
    fn command(&self, program: &Path) -> Command {
        let mut command = ip();
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    fn ip(&self, arguments: &str) {
        run(ip().args(["-n", &self.name]).args(arguments.split(' ')));
    }

    /// Joins the `port` of this machine and the `other_port` of the other by a cable.
    fn join(&self, port: &str, other: &Self, other_port: &str) {
        self.ip(&format!("link add {port} type veth peer name {other_port} netns {}", other.name));
        self.ip(&format!("link set {port} up"));
        other.ip(&format!("link set {other_port} up"));
    }

    /// Runs `work` on a thread that is in this machine; sockets made there stay there.
    fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        _ = ip().args(["netns", "delete", &self.name]).status();
    }
}

fn ip() -> Command {
    tool("ip", "iproute2")
}

/// A program that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// The control plane's DHCP server, and a machine on the same segment.
struct Segment {
    client: Machine,
    dir: tempfile::TempDir,
    // Before the machine that it runs in.
    _server: Daemon,
    _control_plane: Machine,
}

impl Segment {
    /// The book's.
    fn new() -> Self {
        Self::of(&fixture::book())
    }

    fn of(cluster: &Cluster) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (control_plane, client) = (Machine::new("server"), Machine::new("client"));
        control_plane.join("eth0", &client, "eth0");
        let address = cluster.control_plane().unwrap().address;
        let prefix = cluster.network.subnet.prefix_len();
        control_plane.ip(&format!("addr add {address}/{prefix} dev eth0"));
        let recipe = fixture::of(cluster, 1);
        let wait = dir.path().join("await-address");
        std::fs::write(&wait, fixture::root_file(&recipe, "/usr/lib/pibake/await-address")).unwrap();
        // The unit does not start the server before this has ended well.
        let sh = tool_path("sh", "dash");
        run(control_plane.command(&sh).arg(&wait).args(["eth0", &address.to_string()]));
        let config = fixture::root_file(&recipe, "/etc/dhcp/dhcpd.conf");
        let server = serve_dhcp(&control_plane, dir.path(), &config);
        Self { client, dir, _server: server, _control_plane: control_plane }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A script that writes all that a DHCP client tells it to a file, which is returned, too.
    fn reporter(&self) -> (PathBuf, PathBuf) {
        use std::os::unix::fs::PermissionsExt;
        let told = self.dir.path().join("told");
        let script = self.file("reporter", &format!("#!/bin/sh\nenv >>{}\n", told.display()));
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        (script, told)
    }
}

fn serve_dhcp(machine: &Machine, dir: &Path, config: &str) -> Daemon {
    let (conf, leases) = (dir.join("dhcpd.conf"), dir.join("dhcpd.leases"));
    std::fs::write(&conf, config).unwrap();
    std::fs::write(&leases, "").unwrap();
    let dhcpd = unconfined("dhcpd", "isc-dhcp-server", dir);
    run(Command::new(&dhcpd).args(["-t", "-4", "-cf"]).arg(&conf));
    let mut command = machine.command(&dhcpd);
    command.args(["-4", "-d", "-f", "-cf"]).arg(&conf).arg("-lf").arg(&leases);
    command.arg("-pf").arg(dir.join("dhcpd.pid")).arg("eth0");
    let mut server = Daemon(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let mut said = String::new();
    loop {
        let Some(Ok(line)) = lines.next() else { panic!("dhcpd ended:\n{said}") };
        said.push_str(&line);
        said.push('\n');
        if line.contains("Server starting service") {
            break;
        }
    }
    // It goes on talking, and must never find the pipe full.
    std::thread::spawn(move || lines.for_each(drop));
    server
}

/// The value that a client was told, of the last time it was.
fn told(file: &Path, key: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key} in what the client was told:\n{text}")).to_owned()
}

/// ISC's client, which Ubuntu and Debian have used.
fn a_node_gets_its_own_address_by_its_name() {
    let segment = Segment::new();
    let (script, file) = segment.reporter();
    let conf = segment.file(
        "dhclient.conf",
        "send host-name \"node-3\";\ninitial-interval 1;\ntimeout 60;\n\
         request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers;\n",
    );
    let dhclient = unconfined("dhclient", "isc-dhcp-client", segment.dir.path());
    let mut client = segment.client.command(&dhclient);
    client.args(["-4", "-1", "-d", "-cf"]).arg(conf).arg("-sf").arg(script);
    client.arg("-lf").arg(segment.dir.path().join("client.leases"));
    client.arg("-pf").arg(segment.dir.path().join("client.pid")).arg("eth0");
    let mut client = Daemon(client.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut said = String::new();
    let bound = BufReader::new(client.0.stderr.take().unwrap()).lines().map_while(Result::ok).any(|line| {
        said += &format!("{line}\n");
        line.contains("bound to ")
    });
    assert!(bound, "{said}");
    let value = |key| told(&file, key);
    assert_eq!(value("new_ip_address"), "10.0.0.3");
    assert_eq!(value("new_subnet_mask"), "255.255.255.0");
    assert_eq!(value("new_broadcast_address"), "10.0.0.255");
    assert_eq!(value("new_routers"), "10.0.0.1");
    assert_eq!(value("new_domain_name"), "cluster.home");
}

/// Busybox's client; returns the address that it got.
fn udhcpc(segment: &Segment, arguments: &[&str]) -> Ipv4Addr {
    let (script, file) = segment.reporter();
    let busybox = tool_path("busybox", "busybox");
    let mut client = segment.client.command(&busybox);
    client.args(["udhcpc", "-f", "-q", "-n", "-t", "20", "-T", "1", "-i", "eth0", "-s"]).arg(script);
    run(client.args(arguments));
    told(&file, "ip").parse().unwrap()
}

fn another_client_sends_its_name() {
    let segment = Segment::new();
    assert_eq!(udhcpc(&segment, &["-x", "hostname:node-3"]), Ipv4Addr::new(10, 0, 0, 3));
    // The card is moved to another board: another name is asked for from the same hardware.
    assert_eq!(udhcpc(&segment, &["-x", "hostname:node-4"]), Ipv4Addr::new(10, 0, 0, 4));
}

fn what_is_no_node_gets_one_of_the_range() {
    for arguments in [&["-x", "hostname:printer"][..], &[]] {
        let segment = Segment::new();
        let address = udhcpc(&segment, arguments);
        let [10, 0, 0, last] = address.octets() else { panic!("{address}") };
        assert!((5..=254).contains(&last), "{address}");
    }
}

/// Where pibake.toml gives a node's hardware address, nothing else gets that node's address, and
/// the board gets no other, whatever either says.
fn a_board_that_is_named_alone_has_its_address() {
    let mut cluster = fixture::book();
    cluster.nodes[1].mac = Some("dc:a6:32:01:02:02".parse().unwrap());
    cluster.nodes[2].mac = Some("dc:a6:32:01:02:03".parse().unwrap());
    let segment = Segment::of(&cluster);
    let ask = |mac: &str, arguments: &[&str]| {
        segment.client.ip(&format!("link set eth0 address {mac}"));
        udhcpc(&segment, arguments)
    };
    // The strangers come first, and one asks for the address by itself.
    for name in ["hostname:node-2", "hostname:node-3"] {
        let address = ask("66:66:66:66:66:66", &["-x", name, "-r", "10.0.0.3"]);
        assert!(address.octets()[3] >= 5, "{name}: {address}");
    }
    let (two, three) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
    assert_eq!(ask("dc:a6:32:01:02:02", &["-x", "hostname:node-2"]), two);
    let board = "dc:a6:32:01:02:03";
    assert_eq!(ask(board, &["-x", "hostname:raspberrypi"]), three);
    assert_eq!(ask(board, &[]), three);
    assert_eq!(ask(board, &["-x", "hostname:node-2"]), three, "the card of another node");
    assert_eq!(ask(board, &["-x", "hostname:node-4", "-C", "-x", "0x3d:ff0000000102"]), three);
    // A node without one is still known by its name.
    assert_eq!(ask("66:66:66:66:66:67", &["-x", "hostname:node-4"]), Ipv4Addr::new(10, 0, 0, 4));
}

/// The system on it has another machine id, and so its client another identifier (RFC 4361).
fn a_card_written_anew_keeps_its_address() {
    let segment = Segment::new();
    for id in ["0x3d:ff0000000102", "0x3d:ff0000000304", "0x3d:ff0000000506"] {
        let address = udhcpc(&segment, &["-C", "-x", id, "-x", "hostname:node-3"]);
        assert_eq!(address, Ipv4Addr::new(10, 0, 0, 3), "with the identifier {id}");
    }
}

fn many_nodes_in_another_subnet_are_served() {
    let cluster =
        fixture::read("nodes = 250\n[network]\nsubnet = \"172.20.8.0/22\"\nfirst-address = \"172.20.8.9\"\n");
    let segment = Segment::of(&cluster);
    assert_eq!(udhcpc(&segment, &["-x", "hostname:node-250"]), Ipv4Addr::new(172, 20, 9, 2));
    assert_eq!(udhcpc(&segment, &["-x", "hostname:node-2"]), Ipv4Addr::new(172, 20, 8, 10));
}

fn nat_lets_the_nodes_out_and_is_taken_back() {
    let (inside, gateway, outside) = (Machine::new("in"), Machine::new("gw"), Machine::new("out"));
    inside.join("eth0", &gateway, "eth0");
    gateway.join("wlan0", &outside, "eth0");
    gateway.ip("addr add 10.0.0.1/24 dev eth0");
    gateway.ip("addr add 203.0.113.1/24 dev wlan0");
    inside.ip("addr add 10.0.0.2/24 dev eth0");
    inside.ip("route add default via 10.0.0.1");
    // It knows nothing of the way to 10.0.0.0/24: only what bears the gateway's address is answered.
    outside.ip("addr add 203.0.113.2/24 dev eth0");
    gateway.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    // As Docker does, and with a rule of somebody else's in each table.
    iptables(&gateway, "-P FORWARD DROP");
    iptables(&gateway, "-A FORWARD -s 192.0.2.1 -j ACCEPT");
    iptables(&gateway, "-t nat -A POSTROUTING -s 192.0.2.1 -j MASQUERADE");
    let before = rules(&gateway);

    let listener = outside.enter(|| TcpListener::bind("203.0.113.2:7777").unwrap());
    assert!(!reaches(&inside), "without the rules nothing passes");
    nat(&gateway, "ExecStart");
    assert_eq!(seen_as(&inside, &listener), Ipv4Addr::new(203, 0, 113, 1));
    let started = rules(&gateway);
    assert_ne!(started, before);
    nat(&gateway, "ExecStart");
    assert_eq!(rules(&gateway), started, "starting twice is starting once");
    assert_eq!(seen_as(&inside, &listener), Ipv4Addr::new(203, 0, 113, 1));

    nat(&gateway, "ExecStop");
    assert_eq!(rules(&gateway), before);
    assert!(!reaches(&inside), "what was let out is shut again");
    nat(&gateway, "ExecStop");
    assert_eq!(rules(&gateway), before, "stopping twice is stopping once");
}

fn iptables(machine: &Machine, arguments: &str) -> String {
    let iptables = tool_path("iptables", "iptables");
    run(machine.command(&iptables).args(arguments.split(' ')))
}

/// All rules, without counters.
fn rules(machine: &Machine) -> String {
    let all = ["", "-t nat ", "-t mangle "].map(|table| iptables(machine, &format!("{table}-S")));
    let six = run(machine.command(&tool_path("ip6tables", "iptables")).args(["-t", "mangle", "-S"]));
    all.concat() + &six
}

/// What the line `key` of pibake-nat.service runs, with the arguments that it gives.
fn nat(machine: &Machine, key: &str) {
    nat_of(&fixture::book(), machine, key);
}

/// The same of another cluster than the book's.
fn nat_of(cluster: &Cluster, machine: &Machine, key: &str) {
    let baked = |path: &str| fixture::root_file(&fixture::of(cluster, 1), path);
    let unit = baked("/etc/systemd/system/pibake-nat.service");
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap();
    // The recipe quotes values; none of these holds anything that needs it.
    let line = line.replace('"', "");
    let (program, arguments) = line.split_once(' ').unwrap();
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("nat");
    std::fs::write(&script, baked(program)).unwrap();
    let sh = tool_path("sh", "dash");
    run(machine.command(&sh).arg(script).args(arguments.split(' ')));
}

/// Long enough for a busy machine where an answer comes; where none does, it is waited out.
fn connect(from: &Machine, patience: Duration) -> std::io::Result<TcpStream> {
    let to = SocketAddr::from(([203, 0, 113, 2], 7777));
    from.enter(move || TcpStream::connect_timeout(&to, patience))
}

fn reaches(from: &Machine) -> bool {
    connect(from, Duration::from_millis(700)).is_ok()
}

/// The address that a connection from `from` bears when it is accepted; what is sent arrives.
fn seen_as(from: &Machine, listener: &TcpListener) -> Ipv4Addr {
    let mut stream = connect(from, Duration::from_secs(20)).unwrap();
    stream.write_all(b"hello").unwrap();
    drop(stream);
    let (mut accepted, peer) = listener.accept().unwrap();
    let mut got = Vec::new();
    accepted.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"hello");
    match peer {
        SocketAddr::V4(peer) => *peer.ip(),
        SocketAddr::V6(peer) => panic!("{peer}"),
    }
}

//! The gateway's part in network namespaces: the real DHCP server and client, and NAT by the
//! kernel, with the files that are baked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use pibake::cluster::Cluster;
use pibake::recipe::Volume;

use crate::fixture;
use crate::support::{run, tool, unconfined};

/// All tests of this file.
pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(format!("network::{name}"), move || {
            test();
            Ok(())
        })
    };
    vec![
        trial("each_node_gets_its_own_address_by_its_name", each_node_gets_its_own_address_by_its_name),
        trial("a_node_is_known_by_its_board_too", a_node_is_known_by_its_board_too),
        trial("a_card_written_anew_keeps_its_address", a_card_written_anew_keeps_its_address),
        trial("what_is_no_node_gets_what_is_left", what_is_no_node_gets_what_is_left),
        trial("two_hundred_and_fifty_nodes_are_served", two_hundred_and_fifty_nodes_are_served),
        trial("nat_lets_nodes_out_and_is_taken_back", nat_lets_nodes_out_and_is_taken_back),
    ]
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace, removed with all that is in it.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let name = format!("pibake-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(tool("ip", "iproute2").args(["netns", "add", &name]));
        let namespace = Self(name);
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        namespace
    }

    fn command(&self, program: &str) -> Command {
        let mut command = tool("ip", "iproute2");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    fn run(&self, words: &[&str]) -> String {
        run(self.command(words[0]).args(&words[1..]))
    }

    fn succeeds(&self, words: &[&str]) -> bool {
        self.command(words[0]).args(&words[1..]).output().unwrap().status.success()
    }

    /// Joins `port` of this namespace to `other_port` of the other by a cable, both up.
    fn plug(&self, port: &str, other: &Self, other_port: &str) {
        let (here, there) = (self.0.as_str(), other.0.as_str());
        run(tool("ip", "iproute2")
            .args(["link", "add", port, "netns", here, "type", "veth", "peer"])
            .args(["name", other_port, "netns", there]));
        self.run(&["ip", "link", "set", port, "up"]);
        other.run(&["ip", "link", "set", other_port, "up"]);
    }

    /// Ends the programs in it, of which some have gone into the background.
    fn clear(&self) {
        let pids = tool("ip", "iproute2").args(["netns", "pids", &self.0]).output();
        for pid in String::from_utf8_lossy(&pids.map(|out| out.stdout).unwrap_or_default()).lines() {
            let _ = Command::new("kill").args(["-9", pid]).output();
        }
    }

    fn address(&self, port: &str, address: &str) {
        self.run(&["ip", "address", "add", address, "dev", port]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.clear();
        let _ = tool("ip", "iproute2").args(["netns", "delete", &self.0]).output();
    }
}

/// Node-1's DHCP server with a client at the other end of the cable.
struct Dhcp {
    client: Namespace,
    // In the order in which they go: the server before its namespace.
    server: Child,
    _gateway: Namespace,
    dir: tempfile::TempDir,
    dhclient: PathBuf,
}

impl Dhcp {
    fn new(cluster: &Cluster) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let recipe = fixture::of(cluster, 1);
        fixture::lay_out(&recipe, Volume::Root, dir.path());
        let (gateway, client) = (Namespace::new(), Namespace::new());
        gateway.plug("eth0", &client, "eth0");
        let address = cluster.control_plane().unwrap().address;
        gateway.address("eth0", &format!("{address}/{}", cluster.network.subnet.prefix_len()));
        // What the unit waits for before it starts the server.
        let wait = dir.path().join("usr/lib/pibake/await-address");
        gateway.run(&[wait.to_str().unwrap(), "eth0", &address.to_string()]);

        let leases = dir.path().join("leases");
        fs::write(&leases, "").unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let dhcpd = unconfined("dhcpd", "isc-dhcp-server", dir.path());
        let server = gateway
            .command(dhcpd.to_str().unwrap())
            .args(["-f", "-d", "-4", "--no-pid", "-user", "root", "-group", "root", "-cf"])
            .arg(dir.path().join("etc/dhcp/dhcpd.conf"))
            .arg("-lf")
            .arg(&leases)
            // As the unit does, with the variable of the baked file.
            .arg(interfaces(dir.path()))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let dhclient = unconfined("dhclient", "isc-dhcp-client", dir.path());
        let server = Self { client, server, _gateway: gateway, dir, dhclient };
        server.await_log("Server starting service");
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn await_log(&self, words: &str) {
        let begin = Instant::now();
        while !self.log().contains(words) {
            assert!(begin.elapsed() < Duration::from_secs(60), "no {words:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the server gives a client with this hardware address that says these things of
    /// itself; one line for each option.
    fn lease(&self, mac: &str, says: &str) -> Option<String> {
        let client = &self.client;
        client.run(&["ip", "link", "set", "eth0", "address", mac]);
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        fs::write(path("dhclient.conf"), format!("timeout 20;\nretry 1;\n{says}\n")).unwrap();
        let _ = fs::remove_file(path("client-leases"));
        let out = client
            .command(self.dhclient.to_str().unwrap())
            // -sf: nothing is done with what is got. -1: one try.
            .args(["-4", "-1", "-v", "-sf", "/bin/true", "-cf", &path("dhclient.conf")])
            .args(["-lf", &path("client-leases"), "-pf", &path("dhclient.pid"), "eth0"])
            .output()
            .unwrap();
        client.clear();
        out.status.success().then(|| fs::read_to_string(path("client-leases")).unwrap())
    }

    fn address(&self, mac: &str, says: &str) -> String {
        let lease = self.lease(mac, says).unwrap_or_else(|| panic!("no lease:\n{}", self.log()));
        let (_, rest) = lease.rsplit_once("fixed-address ").unwrap();
        rest.split(';').next().unwrap().to_owned()
    }
}

impl Drop for Dhcp {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// `INTERFACESv4` of the baked file, as a shell or systemd reads it.
fn interfaces(root: &Path) -> String {
    let file = root.join("etc/default/isc-dhcp-server");
    run(Command::new("sh").args(["-c", r#". "$1"; printf %s "$INTERFACESv4""#, "sh"]).arg(file))
}

fn named(name: &str) -> String {
    format!("send host-name \"{name}\";")
}

fn each_node_gets_its_own_address_by_its_name() {
    let server = Dhcp::new(&fixture::book());
    for (number, mac) in [(3, "02:00:00:00:00:03"), (2, "02:00:00:00:00:02"), (4, "02:00:00:00:00:04")] {
        let lease = server.lease(mac, &named(&format!("node-{number}"))).unwrap();
        for option in [
            format!("fixed-address 10.0.0.{number};"),
            "option subnet-mask 255.255.255.0;".to_owned(),
            "option routers 10.0.0.1;".to_owned(),
            "option broadcast-address 10.0.0.255;".to_owned(),
            "option domain-name-servers 8.8.8.8,8.8.4.4;".to_owned(),
            "option domain-name \"cluster.home\";".to_owned(),
            "option dhcp-lease-time 600;".to_owned(),
        ] {
            assert!(lease.contains(&option), "{option} is not in\n{lease}");
        }
    }
}

fn a_node_is_known_by_its_board_too() {
    let mut cluster = fixture::book();
    cluster.nodes[2].mac = Some("dc:a6:32:01:02:03".parse().unwrap());
    let server = Dhcp::new(&cluster);
    assert_eq!(server.address("dc:a6:32:01:02:03", &named("raspberrypi")), "10.0.0.3");
    assert_eq!(server.address("dc:a6:32:01:02:03", ""), "10.0.0.3");
}

fn a_card_written_anew_keeps_its_address() {
    let server = Dhcp::new(&fixture::book());
    let mac = "02:00:00:00:00:03";
    for id in ["ff:00:00:00:01:02", "ff:00:00:00:03:04", "ff:00:00:00:05:06"] {
        let says = format!("{}\nsend dhcp-client-identifier {id};", named("node-3"));
        assert_eq!(server.address(mac, &says), "10.0.0.3", "with the identifier {id}");
    }
}

fn what_is_no_node_gets_what_is_left() {
    let cluster = fixture::book();
    let server = Dhcp::new(&cluster);
    let pool = &cluster.network.gateway().unwrap().dhcp.pool;
    for (mac, says) in [("02:00:00:00:01:01", named("laptop")), ("02:00:00:00:01:02", String::new())] {
        let address: std::net::Ipv4Addr = server.address(mac, &says).parse().unwrap();
        assert!(pool.iter().any(|(first, last)| (*first..=*last).contains(&address)), "{address}");
    }
}

fn two_hundred_and_fifty_nodes_are_served() {
    let cluster =
        fixture::read("nodes = 250\n[network]\nsubnet = \"172.20.8.0/22\"\nfirst-address = \"172.20.8.9\"\n");
    let last = cluster.nodes[249].address.to_string();
    assert_eq!(last, "172.20.9.2");
    let server = Dhcp::new(&cluster);
    assert_eq!(server.address("02:00:00:00:00:fa", &named("node-250")), last);
    assert_eq!(server.address("02:00:00:00:00:02", &named("node-2")), "172.20.8.10");
}

fn nat_lets_nodes_out_and_is_taken_back() {
    let (node, gateway, world) = (Namespace::new(), Namespace::new(), Namespace::new());
    gateway.plug("eth0", &node, "eth0");
    gateway.plug("wlan0", &world, "eth0");
    gateway.address("eth0", "10.0.0.1/24");
    gateway.address("wlan0", "192.0.2.1/24");
    node.address("eth0", "10.0.0.3/24");
    node.run(&["ip", "route", "add", "default", "via", "10.0.0.1"]);
    // The world knows no way back to the nodes' network.
    world.address("eth0", "192.0.2.2/24");
    gateway.run(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    // Docker's and ufw's way: nothing is forwarded that no rule allows.
    gateway.run(&["iptables", "-P", "FORWARD", "DROP"]);

    let dir = tempfile::tempdir().unwrap();
    fixture::lay_out(&fixture::of(&fixture::book(), 1), Volume::Root, dir.path());
    let unit = fs::read_to_string(dir.path().join("etc/systemd/system/pibake-nat.service")).unwrap();
    let do_as_unit = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        let line = line.replacen("/usr/lib/", &format!("{}/usr/lib/", dir.path().display()), 1);
        gateway.run(&["sh", "-c", &line]);
    };
    let rules = || -> String {
        let save = |table: &str| gateway.run(&["iptables-save", "-t", table]);
        let all = save("nat") + &save("filter");
        // Without the time, the counters, and what iptables makes when it first looks.
        let kept = |line: &&str| line.starts_with("-A") || line.contains("PIBAKE");
        all.lines().filter(kept).map(|line| line.split(" [").next().unwrap().to_owned() + "\n").collect()
    };
    let reaches = |from: &Namespace, address: &str| from.succeeds(&["ping", "-c1", "-W2", address]);

    gateway.run(&["iptables", "-A", "FORWARD", "-s", "203.0.113.7", "-j", "DROP"]);
    let before = rules();
    assert!(!reaches(&node, "192.0.2.2"));
    do_as_unit("ExecStart=");
    let once = rules();
    assert!(reaches(&node, "192.0.2.2"), "{once}");
    assert!(!reaches(&world, "10.0.0.3"));
    do_as_unit("ExecStart=");
    assert_eq!(rules(), once);
    assert!(reaches(&node, "192.0.2.2"));
    do_as_unit("ExecStop=");
    assert_eq!(rules(), before);
    assert!(!reaches(&node, "192.0.2.2"));
    do_as_unit("ExecStop=");
    assert_eq!(rules(), before);
}

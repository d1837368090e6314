//! What machines on the uplink's side reach, through the rules that are baked and those that
//! kube-proxy writes beside them.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use libtest_mimic::Trial;

use super::{Machine, fixture, iptables, nat_of, rules, trial};
use support::{run, tool_path};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("netns::the_uplinks_side_reaches_nothing_but_ssh", the_uplinks_side_reaches_nothing_but_ssh),
        trial("netns::what_is_allowed_is_reached_and_no_more", what_is_allowed_is_reached_and_no_more),
        trial("netns::all_opens_all_and_can_be_shut_again", all_opens_all_and_can_be_shut_again),
    ]
}

/// The port that kube-proxy turns into the pod's.
const NODE_PORT: u16 = 30080;
const POD: &str = "10.244.1.5";

/// A machine in the WiFi, node-1, and node-2 with a pod; every port that is asked for is served.
struct Home {
    phone: Machine,
    gateway: Machine,
    worker: Machine,
    _served: Vec<TcpListener>,
}

impl Home {
    fn new() -> Self {
        let (phone, gateway, worker) = (Machine::new("phone"), Machine::new("gw"), Machine::new("node2"));
        phone.join("wl", &gateway, "wlan0");
        worker.join("eth0", &gateway, "eth0");
        phone.ip("addr add 192.168.1.66/24 dev wl");
        gateway.ip("addr add 192.168.1.77/24 dev wlan0");
        gateway.ip("addr add 10.0.0.1/24 dev eth0");
        worker.ip("addr add 10.0.0.2/24 dev eth0");
        worker.ip("route add default via 10.0.0.1");
        // A pod of node-2's, and flannel's route to it.
        worker.ip(&format!("addr add {POD}/32 dev lo"));
        gateway.ip("route add 10.244.1.0/24 via 10.0.0.2");
        // Whoever means it adds the routes; the addresses of services, too.
        for net in ["10.0.0.0/24", "10.244.0.0/16", "10.96.0.0/12"] {
            phone.ip(&format!("route add {net} via 192.168.1.77"));
        }
        // The router's announcements give node-1 a global address.
        phone.ip("-6 addr add 2001:db8::66/64 dev wl nodad");
        gateway.ip("-6 addr add 2001:db8::77/64 dev wlan0 nodad");
        gateway.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        // As kube-proxy does, and with its ACCEPT before all else in FORWARD.
        iptables(&gateway, "-t nat -N KUBE-SERVICES");
        iptables(&gateway, "-t nat -A PREROUTING -j KUBE-SERVICES");
        let to_pod = format!("-j DNAT --to-destination {POD}:5432");
        let node_port = format!("-p tcp --dport {NODE_PORT} -m addrtype --dst-type LOCAL {to_pod}");
        iptables(&gateway, &format!("-t nat -A KUBE-SERVICES {node_port}"));
        iptables(&gateway, &format!("-t nat -A KUBE-SERVICES -d 10.96.0.10/32 -p tcp --dport 5432 {to_pod}"));
        iptables(&gateway, "-N KUBE-FORWARD");
        iptables(&gateway, "-A KUBE-FORWARD -j ACCEPT");
        iptables(&gateway, "-I FORWARD 1 -j KUBE-FORWARD");
        let mut served = Vec::new();
        for port in [22, 443, 2379, 6443, 8472, 10250] {
            served.push(gateway.enter(|| listen(port)));
        }
        for port in [22, 5432, 10250] {
            served.push(worker.enter(|| listen(port)));
        }
        Self { phone, gateway, worker, _served: served }
    }

    /// What the phone reaches.
    fn reached(&self) -> Vec<&'static str> {
        let asked = [
            "192.168.1.77:22",
            "[2001:db8::77]:22",
            "192.168.1.77:443",
            "192.168.1.77:6443",
            "[2001:db8::77]:6443",
            "192.168.1.77:10250",
            "[2001:db8::77]:10250",
            "192.168.1.77:2379",
            "192.168.1.77:8472",
            "192.168.1.77:30080",
            "10.0.0.1:6443",
            "10.0.0.1:10250",
            "10.0.0.2:22",
            "10.0.0.2:10250",
            "10.244.1.5:5432",
            "10.96.0.10:5432",
        ];
        let reaches = |to: &&&str| {
            let to: SocketAddr = to.parse().unwrap();
            connects(&self.phone, to)
        };
        asked.iter().filter(reaches).copied().collect()
    }
}

fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind((IpAddr::from([0_u16; 8]), port)).unwrap();
    let accepting = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for mut stream in accepting.incoming().map_while(Result::ok) {
            _ = std::io::Write::write_all(&mut stream, b"hello");
        }
    });
    listener
}

/// Whether a connection is made and something comes over it.
fn connects(from: &Machine, to: SocketAddr) -> bool {
    from.enter(move || {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_millis(900)) else {
            return false;
        };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut got = String::new();
        _ = stream.read_to_string(&mut got);
        got == "hello"
    })
}

fn allowing(allow: &str) -> pibake::cluster::Cluster {
    fixture::read(&format!(
        "[network.wifi]\nssid = \"home\"\nopen = true\n[network.uplink]\nallow = {allow}\n"
    ))
}

const SSH: [&str; 2] = ["192.168.1.77:22", "[2001:db8::77]:22"];

fn the_uplinks_side_reaches_nothing_but_ssh() {
    let home = Home::new();
    let all = home.reached();
    assert_eq!(all.len(), 16, "without the rules everything is open, or this test shows nothing: {all:?}");
    nat_of(&fixture::book(), &home.gateway, "ExecStart");
    assert_eq!(home.reached(), SSH);
    let ping = tool_path("ping", "iputils-ping");
    for (to, answers) in [("192.168.1.77", true), ("2001:db8::77", true), ("10.0.0.2", false), (POD, false)] {
        let mut command = home.phone.command(&ping);
        let status = command.args(["-c", "1", "-W", "2", to]).output().unwrap().status;
        assert_eq!(status.success(), answers, "{to}");
    }
    // A service whose rules come after, before all others, changes nothing: they are in other tables.
    iptables(&home.gateway, "-I FORWARD 1 -j ACCEPT");
    iptables(&home.gateway, "-I INPUT 1 -j ACCEPT");
    let other = "-t nat -I PREROUTING 1 -i wlan0 -p tcp --dport 443 -j DNAT --to-destination 10.0.0.2:5432";
    iptables(&home.gateway, other);
    assert_eq!(home.reached(), SSH);
    // The nodes' own ways out and in between are as they were.
    let listener = home.phone.enter(|| listen(7777));
    assert!(connects(&home.worker, "192.168.1.66:7777".parse().unwrap()));
    assert!(connects(&home.gateway, "192.168.1.66:7777".parse().unwrap()));
    assert!(connects(&home.worker, "10.0.0.1:6443".parse().unwrap()));
    assert!(connects(&home.gateway, "10.0.0.2:10250".parse().unwrap()));
    drop(listener);
    let started = rules(&home.gateway);
    nat_of(&fixture::book(), &home.gateway, "ExecReload");
    assert_eq!(rules(&home.gateway), started, "started twice");
}

fn what_is_allowed_is_reached_and_no_more() {
    let home = Home::new();
    let before = rules(&home.gateway);
    let api = ["192.168.1.77:6443", "[2001:db8::77]:6443", "10.0.0.1:6443"];
    for (allow, more) in [
        ("[\"api\"]", &api[..]),
        ("[\"node-ports\"]", &["192.168.1.77:30080"]),
        ("[\"443/tcp\", \"8472/udp\"]", &["192.168.1.77:443"]),
        ("[]", &[]),
    ] {
        nat_of(&allowing(allow), &home.gateway, "ExecStart");
        let mut reached = home.reached();
        reached.sort_unstable();
        let mut expected: Vec<_> = SSH.iter().chain(more).copied().collect();
        expected.sort_unstable();
        assert_eq!(reached, expected, "{allow}");
    }
    nat_of(&fixture::book(), &home.gateway, "ExecStop");
    assert_eq!(rules(&home.gateway), before);
}

fn all_opens_all_and_can_be_shut_again() {
    let home = Home::new();
    nat_of(&fixture::book(), &home.gateway, "ExecStart");
    let all = allowing("[\"all\"]");
    nat_of(&all, &home.gateway, "ExecStart");
    assert_eq!(home.reached().len(), 16);
    nat_of(&fixture::book(), &home.gateway, "ExecStart");
    assert_eq!(home.reached(), SSH);
    let said = run(home.gateway.command(&tool_path("ip6tables", "iptables")).args(["-t", "mangle", "-S"]));
    assert!(said.contains("-A PIBAKE-UPLINK -j DROP"), "{said}");
}

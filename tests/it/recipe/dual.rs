//! Nodes of clusters with IPv6 beside IPv4, as netplan, kubeadm and flannel are told.

use pibake::cluster::Cluster;
use pibake::recipe::{Recipe, Volume};
use serde_json::{Value, json};

use super::links::makes;
use crate::fixture::{bytes, on, read, root_file};

/// Each platform that has a netplan.
const PLATFORMS: [&str; 5] = ["20.04", "22.04", "24.04", "26.04", "debian-12"];

const DUAL: &str = "[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\n";
const LAN: &str =
    "nodes = 2\n[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.21\"\n";

fn gateway() -> Cluster {
    read(&format!("nodes = 3\n{DUAL}"))
}

fn baked(recipe: &Recipe) -> String {
    root_file(recipe, "/etc/netplan/50-cloud-init.yaml")
}

/// The same of every node of every platform, by the real netplan.
#[test]
fn behind_a_gateway() {
    for platform in PLATFORMS {
        let own = [
            "Address=10.0.0.1/24",
            "Address=fd12:3456:789a::1/64",
            "IPv6AcceptRA=no",
            "ConfigureWithoutCarrier=yes",
        ];
        let services = ["Destination=fd12:3456:789a:fffe::/108", "Scope=link", "Destination=10.96.0.0/12"];
        makes(
            &on(&gateway(), platform, 1),
            &[
                ("-eth0.network", &[&own[..], &services[..]].concat()),
                ("-eth1.network", &["DHCP=ipv4", "IPv6AcceptRA=yes"]),
            ],
        );
        let worker = [
            "DHCP=ipv4",
            "Address=fd12:3456:789a::3/64",
            "IPv6AcceptRA=no",
            "Destination=::/0",
            "Gateway=fd12:3456:789a::1",
        ];
        makes(&on(&gateway(), platform, 3), &[("-eth0.network", &worker)]);
    }
    insta::assert_snapshot!("dual_gateway", baked(&on(&gateway(), "22.04", 1)));
    insta::assert_snapshot!("dual_worker", baked(&on(&gateway(), "22.04", 3)));
}

#[test]
fn behind_a_router() {
    let with_router = format!("{LAN}{DUAL}router = \"fe80::1\"\n");
    let leased = with_router.replace("mode =", "addressing = \"dhcp\"\nmode =");
    for platform in PLATFORMS {
        let own = ["Address=192.168.1.22/24", "Address=fd12:3456:789a::22/64", "IPv6AcceptRA=no"];
        let routes = ["Gateway=192.168.1.1", "Destination=::/0", "Gateway=fe80::1"];
        makes(&on(&read(&with_router), platform, 2), &[("-eth0.network", &[&own[..], &routes[..]].concat())]);
        makes(
            &on(&read(&leased), platform, 2),
            &[("-eth0.network", &["DHCP=ipv4", "Address=fd12:3456:789a::22/64", "Gateway=fe80::1"])],
        );
        let services = ["Destination=fd12:3456:789a:fffe::/108", "Scope=link"];
        makes(&on(&read(&format!("{LAN}{DUAL}")), platform, 2), &[("-eth0.network", &services)]);
    }
}

/// What has the addresses is the VLAN, or the bond, and only that.
#[test]
fn on_other_links() {
    let vlans =
        format!("nodes = 2\n[network]\nvlan = 10\n[network.uplink]\ninterface = \"eth0\"\nvlan = 20\n{DUAL}");
    makes(
        &on(&read(&vlans), "24.04", 1),
        &[
            ("-eth0.network", &["VLAN=vlan10", "VLAN=vlan20", "LinkLocalAddressing=no", "IPv6AcceptRA=no"]),
            ("-vlan10.network", &["Address=fd12:3456:789a::1/64", "IPv6AcceptRA=no"]),
            ("-vlan20.network", &["DHCP=ipv4", "IPv6AcceptRA=yes"]),
        ],
    );
    let bond = format!(
        "nodes = 2\n[network]\nbond = [\"eth0\", \"eth1\"]\n[network.uplink]\ninterface = \"eth2\"\n{DUAL}"
    );
    makes(
        &on(&read(&bond), "24.04", 2),
        &[("-bond0.network", &["Address=fd12:3456:789a::2/64", "DHCP=ipv4"])],
    );
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap()
}

#[test]
fn kubeadm_is_told_both_kinds() {
    for (platform, version) in [("20.04", "1.30"), ("24.04", "1.36")] {
        let cluster = read(&format!(
            "nodes = [{{}}, {{ labels = {{ disk = \"ssd\" }} }}]\n{DUAL}[kubernetes]\nversion = \"{version}\"\n"
        ));
        let first = documents(&root_file(&on(&cluster, platform, 1), "/etc/pibake/kubeadm.yaml"));
        let init = of_kind(&first, "InitConfiguration");
        let networking = &of_kind(&first, "ClusterConfiguration")["networking"];
        assert_eq!(networking["podSubnet"], "10.244.0.0/16,fd12:3456:789a:100::/56");
        assert_eq!(networking["serviceSubnet"], "10.96.0.0/12,fd12:3456:789a:fffe::/108");
        assert_eq!(init["localAPIEndpoint"]["advertiseAddress"], "10.0.0.1");
        let second = documents(&root_file(&on(&cluster, platform, 2), "/etc/pibake/kubeadm.yaml"));
        let node_ip = |document: &Value| match &document["nodeRegistration"]["kubeletExtraArgs"] {
            Value::Array(list) => list.iter().find(|one| one["name"] == "node-ip").unwrap()["value"].clone(),
            map => map["node-ip"].clone(),
        };
        assert_eq!(node_ip(init), "10.0.0.1,fd12:3456:789a::1");
        assert_eq!(node_ip(of_kind(&second, "JoinConfiguration")), "10.0.0.2,fd12:3456:789a::2");
    }
}

#[test]
fn flannel_is_told_both_kinds() {
    let configuration = |cluster: &Cluster| {
        let documents = documents(&root_file(&on(cluster, "24.04", 1), "/etc/pibake/flannel.yaml"));
        let text = of_kind(&documents, "ConfigMap")["data"]["net-conf.json"].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let mut expected = json!({
        "Network": "10.244.0.0/16",
        "EnableNFTables": false,
        "Backend": { "Type": "host-gw" },
    });
    assert_eq!(configuration(&read("nodes = 3\n")), expected);
    expected["EnableIPv6"] = true.into();
    expected["IPv6Network"] = "fd12:3456:789a:100::/56".into();
    assert_eq!(configuration(&gateway()), expected);
}

/// What only one kind of cluster has is on its cards and not on the other's.
#[test]
fn the_rest_of_the_node_knows_it() {
    let with = |text: &str| {
        let proxy = "[sources.proxy]\nhttp = \"http://proxy.example:3128\"\n";
        on(&read(&format!("{text}{proxy}")), "24.04", 1)
    };
    let (dual, single) = (with(&format!("nodes = 3\n{DUAL}")), with("nodes = 3\n"));
    let sysctl = "/etc/sysctl.d/91-pibake-ipv6.conf";
    assert!(root_file(&dual, sysctl).contains("\nnet.ipv6.conf.all.forwarding = 1\n"));
    assert!(bytes(&single, Volume::Root, sysctl).is_none());
    let lines = |recipe: &Recipe, path: &str| root_file(recipe, path).replace(['\'', '"'], "");
    for (path, told) in [
        ("/etc/pibake/node.env", "IPV6_ADDRESS=fd12:3456:789a::1\n"),
        ("/etc/pibake/node.env", "IPV6_NETWORK=fd12:3456:789a::/64\n"),
        ("/etc/pibake/node.env", "IPV6_PODS=fd12:3456:789a:100::/56\n"),
        ("/etc/pibake/node.env", "IPV6_SERVICES=fd12:3456:789a:fffe::/108\n"),
        ("/etc/systemd/system/pibake-nat.service", "nat start 10.0.0.0/24,fd12:3456:789a::/64 eth0 eth1\n"),
        ("/etc/systemd/system/pibake-nat.service", "nat stop 10.0.0.0/24,fd12:3456:789a::/64 eth0 eth1\n"),
        (
            "/etc/pibake/containerd.env",
            ",fd12:3456:789a::/64,fd12:3456:789a:100::/56,fd12:3456:789a:fffe::/108",
        ),
    ] {
        assert!(lines(&dual, path).contains(told), "{told} is not in {path}:\n{}", lines(&dual, path));
        assert!(!lines(&single, path).contains("fd12"), "{path}");
    }
    assert!(
        lines(&single, "/etc/systemd/system/pibake-nat.service")
            .contains("nat start 10.0.0.0/24 eth0 eth1\n")
    );
    // The names of nodes stay names of IPv4 addresses: that is the kind that the API server is reached by.
    assert!(!root_file(&dual, "/etc/hosts").contains("fd12"));
    assert!(root_file(&dual, "/etc/pibake/node.env").contains("NODE_ADDRESS='10.0.0.1'"));
}

/// Another program makes the pod network; nodes, kubeadm and the way out are the same.
#[test]
fn without_flannel_the_nodes_are_the_same() {
    let cluster = read(&format!("nodes = 2\n{DUAL}[kubernetes.network]\nplugin = \"none\"\n"));
    let text = root_file(&on(&cluster, "24.04", 1), "/etc/pibake/kubeadm.yaml");
    assert!(text.contains("10.244.0.0/16,fd12:3456:789a:100::/56"), "{text}");
}

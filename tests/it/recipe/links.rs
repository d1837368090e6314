//! What nodes are on their networks by, as netplan reads it.

use std::fs;
use std::path::Path;

use pibake::cluster::{Cluster, Overrides};
use pibake::recipe::{Extras, Recipe};

use super::programs::netplan;
use crate::fixture::{PSK, on, root_file, with};

const LAN: &str =
    "nodes = 2\n[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.21\"\n";

fn parse(text: &str, dir: &Path) -> Cluster {
    Cluster::parse("pibake.toml", text, dir, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn home() -> String {
    format!("[network.wifi]\nssid = \"home\"\npsk = \"{PSK}\"\ncountry = \"DE\"\n")
}

fn baked(recipe: &Recipe) -> String {
    root_file(recipe, "/etc/netplan/50-cloud-init.yaml")
}

/// That the real netplan makes files of it with these lines, each below the name of its file.
pub(super) fn makes(recipe: &Recipe, expected: &[(&str, &[&str])]) {
    let made = netplan(recipe);
    for (file, lines) in expected {
        let text =
            made.split("### ").find(|text| text.lines().next().is_some_and(|name| name.ends_with(file)));
        let text = text.unwrap_or_else(|| panic!("{file} is not in\n{made}"));
        for line in *lines {
            assert!(text.lines().any(|other| other.trim() == *line), "{line} is not in\n{text}");
        }
    }
}

#[test]
fn all_nodes_by_wifi() {
    let cluster = parse(&format!("{LAN}{}", home()), Path::new(""));
    for number in [1, 2] {
        let recipe = on(&cluster, "24.04", number);
        assert_eq!(cluster.network.link.interface(), "wlan0");
        let address = format!("Address=192.168.1.{}/24", 20 + number);
        makes(&recipe, &[("-wlan0.network", &[&address, "Gateway=192.168.1.1"]), ("wpa-wlan0.conf", &[])]);
        assert!(!netplan(&recipe).contains("eth0"));
    }
    insta::assert_snapshot!("all_by_wifi", baked(&on(&cluster, "24.04", 2)));
    // and where netplan does not set the country, the kernel does, on each of them
    let lines = |number| format!("{:?}", on(&cluster, "20.04", number).changes);
    assert!(lines(1).contains("ieee80211_regdom=DE") && lines(2).contains("ieee80211_regdom=DE"));
}

#[test]
fn a_leased_address_by_wifi() {
    let text = LAN.replace("mode =", "addressing = \"dhcp\"\nmode =") + &home();
    let recipe = on(&parse(&text, Path::new("")), "22.04", 2);
    makes(&recipe, &[("-wlan0.network", &["DHCP=ipv4"]), ("wpa-wlan0.conf", &["ssid=\"home\""])]);
}

#[test]
fn several_networks() {
    let text = format!(
        "{}\n[[network.wifi.also]]\nssid = \"my phone\"\npassword = \"correct horse\"\nhidden = true\n\
         [[network.wifi.also]]\nssid = \"café\"\nopen = true\n",
        home()
    );
    let cluster = parse(&text, Path::new(""));
    insta::assert_snapshot!("several_networks", baked(&on(&cluster, "22.04", 1)));
    let names = ["ssid=\"home\"", "ssid=\"my phone\"", "ssid=\"café\"", "scan_ssid=1", "key_mgmt=NONE"];
    makes(&on(&cluster, "22.04", 1), &[("wpa-wlan0.conf", &names)]);
    let none = baked(&on(&cluster, "22.04", 2));
    assert!(!none.contains("wifis"), "{none}");
}

#[test]
fn vlans() {
    let lan = parse(&format!("{LAN}vlan = 30\n"), Path::new(""));
    insta::assert_snapshot!("all_in_a_vlan", baked(&on(&lan, "22.04", 2)));
    makes(
        &on(&lan, "22.04", 2),
        &[
            (
                "-eth0.network",
                &["VLAN=vlan30", "LinkLocalAddressing=no", "IPv6AcceptRA=no", "RequiredForOnline=no"],
            ),
            ("-vlan30.netdev", &["Kind=vlan", "Id=30"]),
            ("-vlan30.network", &["Address=192.168.1.22/24", "Gateway=192.168.1.1"]),
        ],
    );
    // a switch that knows VLANs, and one port for both networks
    let one_port = "nodes = 2\n[network.uplink]\ninterface = \"eth0\"\nvlan = 20\n";
    let recipe = on(&parse(one_port, Path::new("")), "22.04", 1);
    insta::assert_snapshot!("an_uplink_in_a_vlan", baked(&recipe));
    makes(
        &recipe,
        &[("-eth0.network", &["Address=10.0.0.1/24", "VLAN=vlan20"]), ("-vlan20.network", &["DHCP=ipv4"])],
    );
    let both = "nodes = 2\n[network]\nvlan = 10\n[network.uplink]\ninterface = \"eth0\"\nvlan = 20\n";
    let recipe = on(&parse(both, Path::new("")), "22.04", 1);
    insta::assert_snapshot!("both_in_vlans", baked(&recipe));
    makes(&recipe, &[("-eth0.network", &["VLAN=vlan10", "VLAN=vlan20"])]);
    let worker = netplan(&on(&parse(both, Path::new("")), "22.04", 2));
    assert!(worker.contains("Id=10") && !worker.contains("Id=20"), "{worker}");
}

#[test]
fn bonds() {
    let text = "nodes = [{}, { mac = \"dc:a6:32:01:02:03\" }]\n[network]\nbond = [\"eth0\", \"eth1\"]\nvlan = 10\n\
                [network.uplink]\ninterface = \"eth2\"\n";
    let cluster = parse(text, Path::new(""));
    let recipe = on(&cluster, "22.04", 2);
    insta::assert_snapshot!("a_bond", baked(&recipe));
    makes(
        &recipe,
        &[
            ("-eth0.network", &["Bond=bond0"]),
            ("-eth1.network", &["Bond=bond0"]),
            ("-bond0.netdev", &["Kind=bond", "Mode=active-backup", "MACAddress=dc:a6:32:01:02:03"]),
            ("-bond0.network", &["VLAN=vlan10", "LinkLocalAddressing=no"]),
            ("-vlan10.network", &["DHCP=ipv4"]),
        ],
    );
    for mode in ["802.3ad", "balance-xor", "balance-alb"] {
        let text = text.replace("vlan = 10", &format!("bond-mode = \"{mode}\""));
        let recipe = on(&parse(&text, Path::new("")), "22.04", 1);
        makes(
            &recipe,
            &[("-bond0.netdev", &[&format!("Mode={mode}")]), ("-bond0.network", &["Address=10.0.0.1/24"])],
        );
    }
}

/// Everything that names the network goes by the interface that has the addresses.
#[test]
fn what_is_on_a_network_is_told_its_interface() {
    let text = "nodes = 2\n[network]\nvlan = 10\n[network.uplink]\ninterface = \"eth0\"\nvlan = 20\n";
    let recipe = on(&parse(text, Path::new("")), "22.04", 1);
    for (path, told) in [
        ("/etc/default/isc-dhcp-server", "vlan10"),
        ("/etc/pibake/flannel.yaml", "--iface=vlan10"),
        ("/etc/systemd/system/pibake-nat.service", "start 10.0.0.0/24 vlan10 vlan20"),
        ("/etc/pibake/node.env", "CLUSTER_INTERFACE=vlan10"),
        ("/etc/pibake/node.env", "UPLINK_INTERFACE=vlan20"),
    ] {
        let file = root_file(&recipe, path);
        assert!(file.replace(['\'', '"'], "").contains(told), "{told} is not in {path}:\n{file}");
    }
}

fn certificates(dir: &Path) {
    for (name, kind) in
        [("ca.pem", "CERTIFICATE"), ("pi.pem", "CERTIFICATE"), ("pi.key", "ENCRYPTED PRIVATE KEY")]
    {
        fs::write(dir.join(name), format!("-----BEGIN {kind}-----\n{name}\n-----END {kind}-----\n")).unwrap();
    }
}

const TLS: &str = "[network.wifi]\nssid = \"campus\"\n[network.wifi.eap]\nmethod = \"tls\"\nidentity = \"pi\"\n\
                   ca-certificate = \"ca.pem\"\ncertificate = \"pi.pem\"\nprivate-key = \"pi.key\"\nprivate-key-password = \"s3cret words\"\n";

#[test]
fn files_that_join_a_network_are_on_the_cards_that_join_it() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let of = |text: &str, number| {
        let cluster = parse(text, dir.path());
        with(&cluster, number, &Extras::load(&cluster).unwrap()).unwrap()
    };
    let modes = |recipe: &Recipe| {
        let files =
            recipe.changes.iter().filter(|change| change.path.as_str().starts_with("/etc/pibake/wifi/"));
        files.map(|change| format!("{} {}", change.path.as_str(), action(change))).collect::<Vec<_>>()
    };
    let all = [
        "/etc/pibake/wifi/1-ca.pem 644 false",
        "/etc/pibake/wifi/1-certificate.pem 644 false",
        "/etc/pibake/wifi/1-key.pem 600 true",
    ];
    assert_eq!(modes(&of(TLS, 1)), all);
    assert!(modes(&of(TLS, 2)).is_empty(), "a worker behind the gateway has no WiFi");
    assert_eq!(modes(&of(&format!("{LAN}{TLS}"), 2)), all);
    insta::assert_snapshot!("a_certificate", root_file(&of(TLS, 1), "/etc/netplan/50-cloud-init.yaml"));
}

fn action(change: &pibake::recipe::Change) -> String {
    match &change.action {
        pibake::recipe::Action::Write { access, secrecy, .. } => {
            format!("{:o} {}", access.mode, secrecy.is_secret())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn files_in_another_form_are_refused_before_anything_is_baked() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let refused = |name: &str, content: &[u8]| {
        certificates(dir.path());
        fs::write(dir.path().join(name), content).unwrap();
        let error = Extras::load(&parse(TLS, dir.path())).unwrap_err();
        error.to_string().replace(dir.path().to_str().unwrap(), "")
    };
    let der = b"\x30\x82\x01\x0a\x02\xff\xfe";
    let key = b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n";
    insta::assert_snapshot!(
        [refused("ca.pem", der), refused("ca.pem", key), refused("pi.key", der), refused("pi.pem", b"")].join("\n"),
        @r"
    /ca.pem, which eap.ca-certificate in [network.wifi] names, must be a certificate in PEM, and is not; perhaps this makes one: openssl x509 -inform DER -in /ca.pem
    /ca.pem, which eap.ca-certificate in [network.wifi] names, must be a certificate in PEM, and is not; perhaps this makes one: openssl x509 -inform DER -in /ca.pem
    /pi.key, which eap.private-key in [network.wifi] names, must be a private key in PEM, and is not; perhaps this makes one: openssl pkcs12 -nocerts -in /pi.key
    /pi.pem, which eap.certificate in [network.wifi] names, must be a certificate in PEM, and is not; perhaps this makes one: openssl x509 -inform DER -in /pi.pem
    "
    );
}

//! Nodes' networks, read by the netplan of a newer system than the tests run on: Debian 13's, which is 1.1, as Ubuntu
//! 24.04's is from its updates.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

use crate::fixture::{PSK, book, lan, lay_out, odd, on, read, wired_uplink};
use pibake::cluster::{Cluster, LanAddressing};
use pibake::recipe::Volume;
use support::debian::mirror;
use support::{run, tool};

const SUITE: &str = "trixie";

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("netplan::a_newer_one_takes_every_nodes_network", || -> Result<(), Failed> {
        a_newer_one_takes_every_nodes_network();
        Ok(())
    })]
}

/// Clusters by names, each with the lines that its first node's files must have.
fn clusters() -> Vec<(&'static str, Cluster, &'static [&'static str])> {
    let wifi = format!("[network.wifi]\nssid = \"home\"\npsk = \"{PSK}\"\ncountry = \"DE\"\n");
    let by_wifi =
        "[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.21\"\n";
    let others = "[[network.wifi.also]]\nssid = \"a\\\"b \\\\c\"\npassword = \"correct horse\"\nsecurity = \"wpa2-wpa3\"\n\
                  [[network.wifi.also]]\nssid = \"campus\"\npassword = \"p'a#ss \\\\w ü\"\n[network.wifi.also.eap]\n\
                  method = \"ttls\"\ninner = \"pap\"\nidentity = \"HOME\\\\pi\"\nca-certificate = \"/etc/hostname\"\n\
                  [[network.wifi.also]]\nssid = \"hashed\"\npassword = \"clientPass\"\n[network.wifi.also.eap]\n\
                  method = \"peap\"\nidentity = \"pi\"\nca-certificate = \"/etc/hostname\"\n";
    let vlans = "[network]\nvlan = 10\n[network.uplink]\ninterface = \"eth0\"\nvlan = 20\n";
    let bond = "[network]\nbond = [\"eth0\", \"eth1\"]\nbond-mode = \"802.3ad\"\n[network.uplink]\ninterface = \"eth2\"\n";
    vec![
        ("book", book(), &["Address=10.0.0.1/24", "ssid=P\"home\"", "DHCP=ipv4"]),
        ("lan, static", lan(LanAddressing::Static), &["Address=10.0.0.1/24"]),
        ("lan, dhcp", lan(LanAddressing::Dhcp), &["KeepConfiguration=true"]),
        ("wired uplink", wired_uplink(), &["Address=192.168.1.5/24"]),
        ("odd", odd(), &["scan_ssid=1"]),
        (
            "by wifi",
            read(&format!("{by_wifi}{wifi}{others}")),
            &[
                "Address=192.168.1.21/24",
                "ssid=P\"home\"",
                "ssid=P\"a\\\"b \\\\c\"",
                "key_mgmt=WPA-EAP",
                "phase2=\"auth=PAP\"",
                "identity=\"HOME\\pi\"",
                "password=\"p'a#ss \\w ü\"",
                "password=hash:44ebba8d5312b8d611474411f56989ae",
            ],
        ),
        ("vlans", read(vlans), &["VLAN=vlan10", "VLAN=vlan20", "Id=10", "Id=20", "Address=10.0.0.1/24"]),
        (
            "dual-stack",
            read("nodes = 2\n[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\n"),
            &[
                "Address=10.0.0.1/24",
                "Address=fd12:3456:789a::1/64",
                "Destination=fd12:3456:789a:fffe::/108",
                "IPv6AcceptRA=no",
                "IPv6AcceptRA=yes",
            ],
        ),
        (
            "dual-stack, lan",
            read(&format!(
                "{by_wifi}{wifi}[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\nrouter = \"fe80::1\"\n"
            )),
            &["Address=fd12:3456:789a::21/64", "Destination=::/0", "Gateway=fe80::1", "IPv6AcceptRA=no"],
        ),
        ("bond", read(bond), &["Bond=bond0", "Mode=802.3ad", "Address=10.0.0.1/24"]),
    ]
}

fn a_newer_one_takes_every_nodes_network() {
    let dir = tempfile::tempdir().unwrap();
    let system = dir.path().join("system");
    let mut mmdebstrap = tool("mmdebstrap", "mmdebstrap");
    // unpacked, and nothing of it is run but the one program; base-files has the links from /lib to /usr/lib
    mmdebstrap.args([
        "--mode=root",
        "--variant=extract",
        "--include=netplan.io,base-files",
        "--components=main",
    ]);
    mmdebstrap.args(["--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\""]);
    mmdebstrap.args(["--aptopt=Acquire::Retries \"5\"", SUITE]).arg(&system);
    if let Some(mirror) = mirror(&["Origin: Debian", "Label: Debian"]) {
        mmdebstrap.arg(format!("deb {mirror} {SUITE} main"));
    }
    run(&mut mmdebstrap);
    for (name, cluster, lines) in clusters() {
        let card = system.join("card");
        lay_out(&on(&cluster, "24.04", 1), Volume::Root, &card);
        run(tool("chroot", "coreutils").arg(&system).args([
            "/usr/libexec/netplan/generate",
            "--root-dir",
            "/card",
        ]));
        let made = texts(&card.join("run"));
        for line in lines {
            assert!(made.lines().any(|other| other.trim() == *line), "{name}: {line} is not in\n{made}");
        }
        std::fs::remove_dir_all(card).unwrap();
    }
}

fn texts(folder: &Path) -> String {
    let mut files: Vec<PathBuf> = Vec::new();
    support::walk(folder, &mut |path| files.push(path.to_owned()));
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect::<Vec<_>>().join("\n")
}

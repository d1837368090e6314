//! What a user reads when a description cannot be built. The messages are the program's face, so
//! each is kept in a golden file.

use std::fmt::Write as _;
use std::path::Path;

use pibake::cluster::{Cluster, Overrides, Platform};

fn complaints(text: &str, overrides: &Overrides) -> String {
    match Cluster::parse("pibake.toml", text, Path::new("tests/no-such-directory"), overrides) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

/// Each description between empty lines, with what is said of it.
fn told(descriptions: &str) -> String {
    descriptions.split("\n\n").map(|text| text.trim_matches('\n')).fold(String::new(), |mut all, text| {
        let complaints = complaints(text, &Overrides::default());
        let quoted: String = text.lines().map(|line| format!("    {line}\n")).collect();
        let _ = writeln!(all, "{quoted}{complaints}\n");
        all
    })
}

#[test]
fn what_is_no_description() {
    insta::assert_snapshot!(told(
        r#"
nodes = 

[network
mode = "lan"

name = "a"
name = "b"

[network.wifi]
password = "never shown

nodes = "four"

nodes = 4.5

nodes = -1

nodes = 99999999999

nodes = [3]

network = "10.0.0.0/24"

[network.wifi]
hidden = "yes"

[access]
ssh-keys = "ssh-ed25519 AAAA"

[access]
password = 12345678

[access]
password = ["never shown"]
"#
    ));
}

#[test]
fn keys_that_are_unknown() {
    insta::assert_snapshot!(told(
        r#"
nmae = "x"

[network.wifi]
ssid = "home"
  pasword = "never shown"
country = "DE"

ssid = "home"

[network]
first_address = "10.0.0.7"

[kubernetes]
Version = "1.34"

[kubernets]
version = "1.34"

nodes = [{ name = "a", adress = "10.0.0.1" }]

[overlays]
zzz = 1

[network]
zzz = 1
"#
    ));
}

#[test]
fn nodes_that_cannot_be() {
    insta::assert_snapshot!(told(
        r#"
nodes = 0

nodes = 300

nodes = 300
[network]
subnet = "10.0.0.0/16"

nodes = 3
[network]
subnet = "10.0.0.0/30"

nodes = 2
[network]
subnet = "10.0.0.0/31"

nodes = [{ name = "a" }, { name = "a" }]

nodes = [{ address = "10.0.0.9" }, { address = "10.0.0.9" }]

nodes = [{ address = "10.0.0.2" }, {}]

nodes = [{ address = "10.0.1.1" }]

nodes = [{ address = "10.0.0.0" }, { address = "10.0.0.255" }]

nodes = [{ address = "10.0.0" }]

nodes = 20
[network]
first-address = "10.0.0.240"

[network]
first-address = "10.0.1.1"

nodes = [
  { mac = "dc:a6:32:01:02:03" },
  { mac = "DC-A6-32-01-02-03" },
]

nodes = [{ mac = "dc:a6:32:01:02" }, { mac = "01:00:5e:00:00:01" }]

nodes = [{ name = "Node-1" }, { name = "-a" }, { name = "a.b" }, { name = "" }, { name = "7" }, { name = "kubernetes" }]

nodes = [{ name = "a234567890123456789012345678901234567890123456789012345678901234" }]

nodes = [
  { role = "control-plane" },
  { role = "worker" },
  { role = "control-plane" },
]

nodes = [{ role = "worker" }, { role = "worker" }]

nodes = [{ role = "master" }]

nodes = [{ labels = { "kubernetes.io/x" = "a", "-" = "b", disk = "a b", n = 1 } }]
"#
    ));
}

#[test]
fn networks_that_cannot_be() {
    insta::assert_snapshot!(told(
        r#"
[network]
subnet = "10.0.0.1/24"

[network]
subnet = "10.0.0.0"

[network]
subnet = "10.244.3.0/24"

[kubernetes]
pods = "10.0.0.0/8"

[kubernetes]
pods = "10.96.0.0/16"

[kubernetes]
services = "10.96.0.0/30"

[kubernetes]
pods = "192.168.0.0/23"

[kubernetes]
pods = "192.168.0.0/25"

[network]
subnet = "224.0.0.0/24"

[network]
subnet = "127.0.0.0/24"

[network]
mode = "flat"

[network]
interface = "a name that is long"

[network]
dns = []

[network]
dns = ["8.8.8.8", "dns.google"]

[network]
router = "10.0.0.1"

[network]
mode = "lan"

[network]
mode = "lan"
subnet = "192.168.1.0/24"
first-address = "192.168.1.1"

[network]
mode = "lan"
subnet = "192.168.1.0/24"
first-address = "192.168.1.201"
router = "192.168.2.1"
[network.wifi]
ssid = "home"
password = "never shown"
[network.dhcp]
max-lease-time = 60

[network]
addressing = "magic"

[network.dhcp]
range = "10.0.0.5-10.0.1.5"

[network.dhcp]
range = "10.0.0.50-10.0.0.5"

[network.dhcp]
range = "many"

[network.dhcp]
default-lease-time = 5

[network.dhcp]
default-lease-time = 10000

[network.uplink]
interface = "eth0"

[network.uplink]
address = "192.168.1.5/24"

[network.uplink]
router = "192.168.1.1"

[network.uplink]
address = "10.0.0.77/24"
router = "10.0.0.99"

[network.uplink]
address = "192.168.1.5/24"
router = "192.168.2.1"

[network.uplink]
address = "192.168.1.0/24"
router = "192.168.1.1"
"#
    ));
}

#[test]
fn radio_networks_that_cannot_be() {
    insta::assert_snapshot!(told(
        r#"
[network.wifi]
ssid = "home"
password = "seven77"

[network.wifi]
ssid = "home"
password = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"

[network.wifi]
ssid = "home"
password = "ääääääääääääääääääääääääääääääääää"

[network.wifi]
ssid = "home"
password = "line\nbreak"

[network.wifi]
ssid = ""
password = "long enough"

[network.wifi]
ssid = "thirty-three bytes are one too ma"
password = "long enough"

[network.wifi]
ssid = "ünf Umlaute äöüß ÄÖÜ"
password = "short"

[network.wifi]
password = "long enough"

[network.wifi]
ssid = "home"

[network.wifi]
ssid = "home"
password = "long enough"
psk = "0000000000000000000000000000000000000000000000000000000000000000"

[network.wifi]
ssid = "home"
psk = "a passphrase"

[network.wifi]
ssid = "home"
password = "long enough"
open = true

[network.wifi]
ssid = "home"
open = true
country = "UK"

[network.wifi]
ssid = "home"
open = true
country = "XX"
"#
    ));
}

#[test]
fn people_that_cannot_log_in() {
    insta::assert_snapshot!(told(
        r#"
[access]
user = "root"

[access]
user = "Jane Doe"

[access]
ssh-keys = ["ssh-ed25519 not-a-key me"]

[access]
ssh-keys = [
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEllzXTs1NIiqSoXZtvzVbb0SM/JOrg9D8lr3uVQdmcp me",
  "",
  "-----BEGIN OPENSSH PRIVATE KEY-----",
]

[access]
ssh-key-files = ["missing.pub"]

[access]
password = "ubuntu"

[access]
password = ""

[access]
password = "a\u0000b"

[access]
password = "one"
password-hash = "$6$abcdefgh$never.shown"

[access]
password-hash = "not a hash, never shown"

[access]
password-hash = "$1$md5$never.shown"

[access]
ssh-password = true
"#
    ));
}

#[test]
fn software_that_cannot_be() {
    insta::assert_snapshot!(told(
        r#"
[kubernetes]
version = "1.99"

[kubernetes]
version = "1.19"

[kubernetes]
version = "latest"

[kubernetes]
version = 1.34

[kubernetes]
containerd = "3.0"

[kubernetes]
containerd = "new"

[kubernetes]
cgroup = "v3"

[kubernetes]
pause-image = "pause"

[kubernetes.flannel]
image = "http://ghcr.io/flannel:v1"

[sources]
ubuntu = "ftp://ports.ubuntu.com"

[sources]
ubuntu = "http://user:never-shown@ports.ubuntu.com"

[sources]
ubuntu = "http://ports.ubuntu.com/a b"

[sources]
ubuntu = "http:///ubuntu"

[sources]
image-registry = "https://registry.k8s.io"

[sources]
ntp = ["time one"]

[sources.docker]
fingerprint = "9DC8"
key-file = "missing.gpg"

[sources.registry-mirrors]
"docker.io" = ["10.0.0.9:5000"]
"docker.io/library" = ["http://10.0.0.9:5000"]

[sources.proxy]
http = "proxy:3128"
bypass = ["a b"]

[base]
image = " "

[base]
platform = "18.04"

[base]
sha256 = "abc"
keyring = "missing.gpg"
mirror = "mirror"
kernel-arguments = ["a b"]

[overlays]
dir = "missing"

[cloud-init]
extra = "missing.yaml"

name = "My Cluster"
domain = "cluster..home"

domain = "10.0"
"#
    ));
}

#[test]
fn the_command_line_is_named_where_it_is_at_fault() {
    let nodes = |nodes| Overrides { nodes: Some(nodes), ..Overrides::default() };
    let told = [
        complaints("nodes = 4", &nodes(0)),
        complaints("", &nodes(300)),
        complaints("nodes = [{ role = \"worker\" }, { role = \"control-plane\" }]", &nodes(1)),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn software_that_does_not_go_with_the_image() {
    let said = |text: &str, platform: &str| {
        let cluster = Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default())
            .unwrap_or_else(|e| panic!("{e}"));
        match cluster.software(&Platform::named(platform).unwrap()) {
            Ok(software) => panic!("accepted {text}: {software:?}"),
            Err(error) => format!("{platform}: {error}"),
        }
    };
    let kubernetes = |keys: &str| format!("[kubernetes]\n{keys}");
    let told = [
        said(&kubernetes("version = \"1.35\""), "20.04"),
        said(&kubernetes("version = \"1.36\""), "20.04"),
        said(&kubernetes("version = \"1.36\"\ncgroup = \"v2\""), "20.04"),
        said(&kubernetes("version = \"1.35\"\ncgroup = \"v1\""), "22.04"),
        said(&kubernetes("version = \"1.36\"\ncontainerd = \"1.7\""), "24.04"),
        said(&kubernetes("version = \"1.30\"\ncontainerd = \"1.5\""), "20.04"),
        said(&kubernetes("version = \"1.34\"\ncontainerd = \"2.1\""), "20.04"),
        said(&kubernetes("version = \"1.23\""), "20.04"),
        said(
            "[kubernetes]\nversion = \"1.22\"\ncontainerd = \"2.1\"\n[sources.kubernetes]\nurl = \"http://mirror.example/k8s\"",
            "22.04",
        ),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let error = Cluster::read(Some(Path::new("tests/no-such.toml")), &Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), "reading tests/no-such.toml");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("No such file or directory (os error 2)"));
}

#[test]
fn keys_in_files_are_told_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).unwrap();
    write("bad.pub", b"# mine\nssh-ed25519 AAAA me\n");
    write("none.pub", b"# nothing\n\n");
    write("private", b"-----BEGIN OPENSSH PRIVATE KEY-----\nnever shown\n");
    write("binary.pub", b"\xff\xfe");
    let text =
        "[access]\nssh-key-files = [\n\"bad.pub\",\n\"none.pub\",\n\"private\",\n\"binary.pub\",\n\".\"]\n";
    let error = Cluster::parse("pibake.toml", text, dir.path(), &Overrides::default()).unwrap_err();
    let told = error.to_string().replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(told);
}

#[test]
fn no_complaint_ever_shows_a_secret() {
    let secrets = ["Tr0ub4dor", "correct horse battery staple", "$1$salt$hash", "zz\u{7}zzzzzz"];
    for secret in secrets {
        for key in ["network.wifi.password", "network.wifi.psk", "access.password-hash"] {
            for wrong in [String::new(), "\u{7}".repeat(8), "x".repeat(600)] {
                let (table, name) = key.rsplit_once('.').unwrap();
                let value = format!("{secret}{wrong}");
                let text = format!("[{table}]\n{name} = {}\n", toml::Value::String(value));
                if let Err(error) = Cluster::parse("pibake.toml", &text, Path::new(""), &Overrides::default())
                {
                    let told = format!("{error} {error:?}");
                    assert!(!told.contains(secret), "{told}");
                }
            }
        }
    }
}

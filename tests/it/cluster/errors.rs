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
fn a_text_that_is_not_utf8_is_told_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pibake.toml");
    std::fs::write(&file, b"[network.wifi]\nssid = \"caf\xe9\"\n").unwrap();
    let said = Cluster::read(Some(&file), &Overrides::default()).unwrap_err().to_string();
    assert!(said.contains("pibake.toml:2:12: is not UTF-8"), "{said}");
}

#[test]
fn nodes_that_cannot_be() {
    insta::assert_snapshot!(told(include_str!("descriptions/nodes.txt")));
}

#[test]
fn networks_that_cannot_be() {
    insta::assert_snapshot!(told(include_str!("descriptions/networks.txt")));
}

#[test]
fn ipv6_networks_that_cannot_be() {
    insta::assert_snapshot!(told(include_str!("descriptions/ipv6.txt")));
}

#[test]
fn kubernetes_of_before_dual_stack_is_refused() {
    let text = |version: &str| {
        format!(
            "[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\n[kubernetes]\nversion = \"{version}\"\n\
             [sources.kubernetes]\nurl = \"http://mirror.example/v{{minor}}\"\n"
        )
    };
    let decided = |version: &str| {
        let cluster =
            Cluster::parse("pibake.toml", &text(version), Path::new(""), &Overrides::default()).unwrap();
        let software = cluster.software(&Platform::named("debian-12").unwrap());
        software.map(|software| software.kubernetes.to_string()).map_err(|problem| problem.to_string())
    };
    insta::assert_snapshot!(decided("1.22").unwrap_err(), @"pibake.toml:4:11: kubernetes.version: Kubernetes 1.22 does not run clusters of IPv4 and IPv6 without switching on what was not finished then: take 1.23 or newer, or leave [network.ipv6] out");
    assert_eq!(decided("1.23"), Ok("1.23".to_owned()));
}

#[test]
fn radio_networks_that_cannot_be() {
    insta::assert_snapshot!(told(include_str!("descriptions/radio.txt")));
}

#[test]
fn people_that_cannot_log_in() {
    insta::assert_snapshot!(told(include_str!("descriptions/access.txt")));
}

#[test]
fn software_that_cannot_be() {
    insta::assert_snapshot!(told(include_str!("descriptions/software.txt")));
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
        said(&kubernetes("version = \"1.35\"\ncgroup = \"v1\""), "22.04"),
        said(&kubernetes("version = \"1.30\"\ncontainerd = \"1.5\""), "20.04"),
        said(&kubernetes("version = \"1.34\"\ncontainerd = \"2.1\""), "20.04"),
        said(&kubernetes("version = \"1.23\""), "20.04"),
        said(
            "[kubernetes]\nversion = \"1.22\"\ncontainerd = \"2.1\"\n[sources.kubernetes]\nurl = \"http://mirror.example/k8s\"",
            "22.04",
        ),
        said("[sources]\nimage-layout = \"flat\"", "24.04"),
        said(
            "[kubernetes]\nversion = \"1.21.1\"\n[sources]\nimage-registry = \"registry.lan/k8s\"\nimage-layout = \"flat\"\n[sources.kubernetes]\nurl = \"http://mirror.example/k8s\"",
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

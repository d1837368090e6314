//! Networks with a RADIUS server: hostapd's own, which the real wpa_supplicant's code is let in by, by the files that
//! netplan makes of what is baked. All of it without a radio, on loopback.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pibake::cluster::{Cluster, Overrides};
use pibake::recipe::{Extras, Volume};

use super::programs::netplan;
use crate::fixture::{lay_out, with};
use support::{run, tool, tool_path};

const PASSWORD: &str = r#"p"a#ss \w ü"#;
/// Where it is told as it is, a password cannot have every character.
const PLAIN: &str = r"p'a#ss \w ü";
const IDENTITY: &str = r"HOME\pi#1 ü";

/// Stopped when it goes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(dir: &Path, arguments: &[&str]) {
    run(tool("openssl", "openssl").current_dir(dir).args(arguments));
}

/// An authority `NAME.pem` and what it signs.
fn authority(dir: &Path, name: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    openssl(
        dir,
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", &subject, "-keyout",
            &key, "-out", &pem,
        ],
    );
}

fn signed(dir: &Path, name: &str, by: &str) {
    let files = ["key", "csr", "pem"].map(|kind| format!("{name}.{kind}"));
    let subject = format!("/CN={name}");
    openssl(
        dir,
        &["req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &files[0], "-out", &files[1]],
    );
    let by = ["pem", "key"].map(|kind| format!("{by}.{kind}"));
    openssl(
        dir,
        &[
            "x509",
            "-req",
            "-in",
            &files[1],
            "-CA",
            &by[0],
            "-CAkey",
            &by[1],
            "-CAcreateserial",
            "-days",
            "30",
            "-out",
            &files[2],
        ],
    );
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A RADIUS server in `dir`, and its port.
fn server(dir: &Path) -> (Server, u16) {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let put = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    let password = hex(PASSWORD);
    put(
        "users",
        &format!(
            "\"certified\" TLS\n\"anonymous\" PEAP,TTLS\n\"{IDENTITY}\" PEAP,TTLS\n\"plain\" PEAP,TTLS\n\
             \"{IDENTITY}\" MSCHAPV2,TTLS-MSCHAPV2 {password} [2]\n\"plain\" TTLS-PAP,GTC {} [2]\n",
            hex(PLAIN)
        ),
    );
    put("clients", "127.0.0.1/32 shared\n");
    let at = |name: &str| dir.join(name).display().to_string();
    put(
        "hostapd.conf",
        &format!(
            "driver=none\ninterface=none\nradius_server_clients={}\nradius_server_auth_port={port}\neap_server=1\n\
             eap_user_file={}\nca_cert={}\nserver_cert={}\nprivate_key={}\n",
            at("clients"),
            at("users"),
            at("ca.pem"),
            at("server.pem"),
            at("server.key")
        ),
    );
    let log = fs::File::create(dir.join("hostapd.log")).unwrap();
    let mut hostapd = Command::new(tool_path("hostapd", "hostapd"));
    let hostapd =
        hostapd.arg(dir.join("hostapd.conf")).stdout(log.try_clone().unwrap()).stderr(Stdio::from(log));
    let server = Server(hostapd.spawn().unwrap());
    support::fetching::until("hostapd serves", || {
        fs::read_to_string(dir.join("hostapd.log")).unwrap().contains("AP-ENABLED")
    });
    (server, port)
}

/// Whether a node with these settings is let in.
fn is_let_in(dir: &Path, port: u16, settings: &str) -> Result<(), String> {
    let text = format!("[network.wifi]\nssid = \"campus\"\n{settings}");
    let cluster =
        Cluster::parse("pibake.toml", &text, dir, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
    let recipe = with(&cluster, 1, &Extras::load(&cluster).unwrap()).unwrap();
    let card = tempfile::tempdir().unwrap();
    lay_out(&recipe, Volume::Root, card.path());
    let made = netplan(&recipe);
    let conf = made.split("### ").find(|file| file.starts_with("run/netplan/wpa-wlan0.conf")).unwrap();
    // the card's own files, and no socket on this machine
    let files = card.path().join("etc/pibake/wifi").display().to_string();
    let conf: String = conf
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with("ctrl_interface"))
        .map(|line| line.replace("/etc/pibake/wifi", &files) + "\n")
        .collect();
    let file = card.path().join("wpa.conf");
    fs::write(&file, &conf).unwrap();
    let mut eapol = tool("eapol_test", "eapoltest");
    let eapol = eapol.arg("-c").arg(&file).args([
        "-a",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-s",
        "shared",
        "-t",
        "20",
    ]);
    let output = eapol.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().last() {
        Some("SUCCESS") => Ok(()),
        _ => Err(format!("{conf}\n{said}")),
    }
}

#[test]
fn a_radius_server_lets_nodes_in() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    authority(at, "ca");
    authority(at, "other");
    signed(at, "server", "ca");
    signed(at, "certified", "ca");
    signed(at, "stranger", "other");
    openssl(
        at,
        &["pkcs8", "-topk8", "-in", "certified.key", "-out", "locked.key", "-passout", "pass:open sesame"],
    );
    let (_server, port) = server(at);
    let toml = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let user = |identity: &str, password: &str, method: &str, more: &str| {
        format!(
            "password = {}\n[network.wifi.eap]\nmethod = \"{method}\"\nidentity = {}\nca-certificate = \"ca.pem\"\n{more}",
            toml(password),
            toml(identity)
        )
    };
    let by_password = |method: &str, more: &str| user(IDENTITY, PASSWORD, method, more);
    let plainly = |method: &str, more: &str| user("plain", PLAIN, method, more);
    let by_certificate = |certificate: &str, key: &str, more: &str| {
        format!(
            "[network.wifi.eap]\nmethod = \"tls\"\nidentity = \"certified\"\nca-certificate = \"ca.pem\"\n\
             certificate = \"{certificate}\"\nprivate-key = \"{key}\"\n{more}"
        )
    };
    for settings in [
        by_password("peap", ""),
        by_password("peap", "anonymous-identity = \"anonymous\"\n"),
        plainly("peap", "inner = \"gtc\"\n"),
        by_password("ttls", ""),
        plainly("ttls", "inner = \"pap\"\nanonymous-identity = \"anonymous\"\n"),
        by_certificate("certified.pem", "certified.key", ""),
        by_certificate("certified.pem", "locked.key", "private-key-password = \"open sesame\"\n"),
    ] {
        is_let_in(at, port, &settings).unwrap_or_else(|said| panic!("{settings}\n{said}"));
    }
    for (why, settings) in [
        ("the password", by_password("peap", "").replace("ss ", "sS ")),
        ("the server's authority", by_password("peap", "").replace("\"ca.pem\"", "\"other.pem\"")),
        (
            "the server's authority",
            plainly("ttls", "inner = \"pap\"\n").replace("\"ca.pem\"", "\"other.pem\""),
        ),
        ("the certificate's authority", by_certificate("stranger.pem", "stranger.key", "")),
        (
            "the key's password",
            by_certificate("certified.pem", "locked.key", "private-key-password = \"open up\"\n"),
        ),
    ] {
        assert!(is_let_in(at, port, &settings).is_err(), "{why} is wrong: {settings}");
    }
}

//! What openssl says of the certificates.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::configuration::documents;
use crate::descriptions::Description;
use crate::machine::{Machine, Project};
use support::{run, tool};

const PKI: &str = "/etc/kubernetes/pki";

/// What a JoinConfiguration pins, by the recipe in kubeadm's documentation.
pub fn pin(ca: &Path) -> String {
    let script = r#"openssl x509 -pubkey -noout -in "$1" | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"#;
    tool("openssl", "openssl");
    let said = run(tool("bash", "bash").args(["-o", "pipefail", "-c", script, "bash"]).arg(ca));
    format!("sha256:{}", said.trim_end().rsplit(' ').next().unwrap())
}

/// After `kubeadm init`: the authority is the one that was baked, and kubeadm's certificates are
/// its, for the names and addresses that the API server is reached by.
pub fn assert_of_the_baked_authority(description: &Description, project: &Project, machine: &Machine) {
    let (name, address) = description.control_plane;
    for file in ["ca.crt", "ca.key"] {
        let path = format!("{PKI}/{file}");
        assert_eq!(machine.read(&path), project.baked(name, &path), "{path}");
    }
    let ca = machine.path(&format!("{PKI}/ca.crt"));
    let server = machine.path(&format!("{PKI}/apiserver.crt"));
    let mut names = BTreeSet::from(
        ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"].map(str::to_owned),
    );
    names.insert("kubernetes.default.svc.cluster.local".to_owned());
    names.insert(description.api_name.to_owned());
    names.insert(name.to_owned());
    names.insert(format!("{name}.{}", description.domain));
    let addresses = [description.service_addresses.0, address, "127.0.0.1"];
    let expected: BTreeSet<String> = names
        .iter()
        .map(|name| format!("DNS:{name}"))
        .chain(addresses.iter().map(|address| format!("IP Address:{address}")))
        .collect();
    assert_eq!(subject_names(&server), expected);
    for name in &names {
        verify(&ca, &server, &["-purpose", "sslserver", "-verify_hostname", name]);
    }
    for address in addresses {
        verify(&ca, &server, &["-purpose", "sslserver", "-verify_ip", address]);
    }
    verify(&ca, &machine.path(&format!("{PKI}/apiserver-kubelet-client.crt")), &["-purpose", "sslclient"]);
}

/// kubeadm's admin.conf and the one that pibake keeps beside the description, which is of the same
/// authority and for the same user.
pub fn assert_admins(description: &Description, project: &Project, machine: &Machine) {
    let own = std::fs::read_to_string(project.dir.path().join(".pibake/admin.conf")).unwrap();
    let ca = machine.path(&format!("{PKI}/ca.crt"));
    let baked = machine.read(&format!("{PKI}/ca.crt"));
    let servers = [description.api_name, description.control_plane.1];
    for (text, server) in [machine.read("/etc/kubernetes/admin.conf"), own].iter().zip(servers) {
        let config = &documents(text)[0];
        let cluster = &config["clusters"][0]["cluster"];
        assert_eq!(cluster["server"], format!("https://{server}:6443"));
        assert_eq!(decoded(&cluster["certificate-authority-data"]), baked);
        assert_eq!(config["clusters"][0]["name"], description.cluster);
        let user = &config["users"][0]["user"];
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("crt"), dir.path().join("key"));
        std::fs::write(&certificate, decoded(&user["client-certificate-data"])).unwrap();
        std::fs::write(&key, decoded(&user["client-key-data"])).unwrap();
        verify(&ca, &certificate, &["-purpose", "sslclient"]);
        let of_certificate = run(openssl(&["x509", "-noout", "-pubkey", "-in"]).arg(&certificate));
        let of_key = run(openssl(&["pkey", "-pubout", "-in"]).arg(&key));
        assert_eq!(of_certificate, of_key);
        let subject = openssl(&["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"])
            .arg(&certificate)
            .output()
            .unwrap();
        let subject = String::from_utf8(subject.stdout).unwrap();
        // In any order: kubeadm begins with the group.
        let subject: BTreeSet<&str> = subject.trim_end().trim_start_matches("subject=").split(',').collect();
        assert_eq!(subject, BTreeSet::from(["CN=kubernetes-admin", "O=system:masters"]));
    }
}

fn decoded(value: &Value) -> String {
    String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

fn openssl(arguments: &[&str]) -> std::process::Command {
    let mut command = tool("openssl", "openssl");
    command.args(arguments);
    command
}

fn verify(ca: &Path, certificate: &Path, arguments: &[&str]) {
    run(openssl(&["verify", "-x509_strict", "-CAfile"]).arg(ca).args(arguments).arg(certificate));
}

fn subject_names(certificate: &Path) -> BTreeSet<String> {
    let text = run(openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in"]).arg(certificate));
    let line = text.lines().nth(1).unwrap_or_else(|| panic!("{text}"));
    line.trim().split(", ").map(str::to_owned).collect()
}

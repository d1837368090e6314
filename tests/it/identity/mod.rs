//! Certificates, keys, hashes and the administrator's kubeconfig, judged by the programs that
//! will read them.

mod store;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use pibake::cluster::{Cluster, Overrides, Secret, Security, Ttl, Wifi, WifiKey};
use pibake::identity::{Identity, Store, wifi_psk};
use proptest::prelude::*;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

fn cluster(text: &str) -> Cluster {
    Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

struct Kept {
    _dir: tempfile::TempDir,
    store: Store,
    identity: Identity,
}

fn kept(text: &str) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join(".pibake"));
    let identity = store.open(&cluster(text), now()).unwrap();
    Kept { _dir: dir, store, identity }
}

impl Kept {
    fn file(&self, name: &str) -> PathBuf {
        self.store.dir().join(name)
    }
}

fn openssl(args: &[&str], files: &[&Path]) -> String {
    let mut command = support::tool("openssl", "openssl");
    // "@" stands for the next file.
    let mut files = files.iter();
    for arg in args {
        match *arg {
            "@" => command.arg(files.next().unwrap()),
            arg => command.arg(arg),
        };
    }
    support::run(&mut command)
}

/// What `program` prints when `input` comes from its stdin.
fn fed(program: &mut std::process::Command, input: &str) -> String {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{program:?}: {}", out.status);
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn openssl_takes_the_administrator_for_one_whom_the_ca_signed() {
    let kept = kept("");
    let verify = |purpose: &str| {
        let files = [kept.file("ca.crt"), kept.file("admin.crt")];
        let args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "@", "@"];
        openssl(&args, &[&files[0], &files[1]])
    };
    assert!(verify("sslclient").ends_with("admin.crt: OK\n"));
    let subject = openssl(
        &["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", "@"],
        &[&kept.file("admin.crt")],
    );
    assert_eq!(subject.trim(), "subject=O=system:masters,CN=kubernetes-admin");
}

#[test]
fn the_ca_is_one_as_kubeadm_makes_them() {
    let kept = kept("");
    let extensions = "basicConstraints,keyUsage,subjectAltName";
    let text =
        openssl(&["x509", "-noout", "-subject", "-ext", extensions, "-in", "@"], &[&kept.file("ca.crt")]);
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    CA:TRUE
    DNS:kubernetes
    Digital Signature, Key Encipherment, Certificate Sign
    X509v3 Basic Constraints: critical
    X509v3 Key Usage: critical
    X509v3 Subject Alternative Name:
    subject=CN = kubernetes
    ");
    let key = openssl(&["pkey", "-noout", "-text", "-in", "@"], &[&kept.file("ca.key")]);
    assert!(key.contains("NIST CURVE: P-256"), "{key}");
    let valid_for = |seconds: i64| {
        let mut check = support::tool("openssl", "openssl");
        check.args(["x509", "-noout", "-checkend", &seconds.to_string(), "-in"]).arg(kept.file("ca.crt"));
        check.output().unwrap().status.success()
    };
    let year = 365 * 24 * 60 * 60;
    assert!(valid_for(10 * year - 600) && !valid_for(10 * year + 600));
    let identity = &kept.identity;
    assert!((now() - identity.not_before - 24 * 60 * 60).abs() < 600, "backdated by a day");
    let start = openssl(&["x509", "-noout", "-startdate", "-in", "@"], &[&kept.file("ca.crt")]);
    let said = support::run(
        support::tool("date", "coreutils")
            .args(["-u", "+%s", "-d"])
            .arg(start.trim().trim_start_matches("notBefore=")),
    );
    assert_eq!(said.trim(), identity.not_before.to_string());
}

#[test]
fn the_hash_of_the_ca_is_openssls() {
    let kept = kept("");
    let public = openssl(&["x509", "-pubkey", "-noout", "-in", "@"], &[&kept.file("ca.crt")]);
    let der = kept.file("ca.pub.der");
    fed(
        support::tool("openssl", "openssl").args(["pkey", "-pubin", "-outform", "der", "-out"]).arg(&der),
        &public,
    );
    let digest = openssl(&["dgst", "-sha256", "-r", "@"], &[&der]);
    assert_eq!(kept.identity.ca_hash, format!("sha256:{}", digest.split(' ').next().unwrap()));
    // The key is the certificate's own.
    assert_eq!(openssl(&["pkey", "-pubout", "-in", "@"], &[&kept.file("ca.key")]), public);
}

#[test]
fn kubectl_reads_the_kubeconfig_and_openssl_what_is_in_it() {
    let text = "name = \"attic\"\n[network]\nsubnet = \"10.7.0.0/24\"\n";
    let kept = kept(text);
    let conf = kept.store.admin_conf();
    let view = |path: &str| {
        let mut kubectl = support::tool("kubectl", "kubernetes-client");
        kubectl
            .env("HOME", kept.store.dir())
            .arg("--kubeconfig")
            .arg(&conf)
            .args(["config", "view", "--raw", "-o"]);
        support::run(kubectl.arg(format!("jsonpath={{{path}}}")))
    };
    assert_eq!(view(".current-context"), "kubernetes-admin@attic");
    assert_eq!(view(".contexts[0].context.cluster"), "attic");
    assert_eq!(view(".contexts[0].context.user"), view(".users[0].name"));
    assert_eq!(view(".clusters[0].name"), "attic");
    assert_eq!(view(".clusters[0].cluster.server"), "https://10.7.0.1:6443");
    let decoded = |path: &str| fed(support::tool("base64", "coreutils").arg("-d"), &view(path));
    assert_eq!(decoded(".clusters[0].cluster.certificate-authority-data"), kept.identity.ca_certificate);
    assert_eq!(decoded(".users[0].user.client-certificate-data"), kept.identity.admin_certificate);
    let key = decoded(".users[0].user.client-key-data");
    let public = fed(support::tool("openssl", "openssl").args(["pkey", "-pubout"]), &key);
    assert_eq!(public, openssl(&["x509", "-pubkey", "-noout", "-in", "@"], &[&kept.file("admin.crt")]));
}

#[test]
fn the_kubeconfig_follows_the_description() {
    let kept = kept("");
    let server = || {
        let text = std::fs::read_to_string(kept.store.admin_conf()).unwrap();
        text.lines().find_map(|l| l.trim().strip_prefix("server: ")).unwrap().to_owned()
    };
    assert_eq!(server(), "\"https://10.0.0.1:6443\"");
    kept.store.open(&cluster("[network]\nfirst-address = \"10.0.0.8\"\n"), now()).unwrap();
    assert_eq!(server(), "\"https://10.0.0.8:6443\"");
}

#[test]
fn ssh_keygen_reads_the_pair() {
    let kept = kept("");
    let keygen = || support::tool("ssh-keygen", "openssh-client");
    let listed = support::run(keygen().arg("-lf").arg(kept.store.dir().join("ssh_key")));
    assert!(
        listed.starts_with("256 SHA256:") && listed.trim_end().ends_with("pibake@kubernetes (ED25519)"),
        "{listed}"
    );
    assert_eq!(support::run(keygen().arg("-lf").arg(kept.file("ssh_key.pub"))), listed);
    let derived = support::run(keygen().arg("-yf").arg(kept.store.dir().join("ssh_key")));
    let pair = kept.identity.ssh_key.as_ref().unwrap();
    assert_eq!(derived.trim_end(), pair.public);
    assert_eq!(kept.identity.authorized_keys(&cluster("").access), std::slice::from_ref(&pair.public));
}

#[test]
fn a_user_with_keys_gets_no_pair() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEllzXTs1NIiqSoXZtvzVbb0SM/JOrg9D8lr3uVQdmcp me";
    let text = format!("[access]\nssh-keys = [\"{key}\"]\n");
    let kept = kept(&text);
    assert_eq!(kept.identity.ssh_key, None);
    assert!(!kept.store.dir().join("ssh_key").exists());
    assert_eq!(kept.identity.authorized_keys(&cluster(&text).access), [key]);
    // A pair that was made earlier is of no use once there are keys.
    let later = kept.store.open(&cluster(""), now()).unwrap();
    assert!(later.ssh_key.is_some());
    assert_eq!(later.authorized_keys(&cluster(&text).access), [key]);
}

#[test]
fn wpa_passphrase_makes_the_same_key() {
    let cases = [
        ("home", "long enough"),
        ("Café \"π\" $HOME #1", "p'\"`$(x)#\\ ü"),
        ("🍓🍓🍓🍓", "emoji 🔑 in it"),
        ("x", "12345678"),
        ("thirty-two bytes are just enough", &"z".repeat(63)),
        (" leading and trailing ", "  blanks  "),
    ];
    for (ssid, passphrase) in cases {
        let said =
            fed(support::tool("wpa_passphrase", "wpasupplicant").arg(ssid), &format!("{passphrase}\n"));
        let psk =
            said.lines().find_map(|l| l.trim().strip_prefix("psk=")).unwrap_or_else(|| panic!("{said}"));
        let text =
            format!("[network.wifi]\nssid = {}\npassword = {}\n", toml_text(ssid), toml_text(passphrase));
        let ours = wifi_psk(&cluster(&text).network.radio().unwrap().networks[0]).unwrap();
        assert_eq!(ours.reveal(), psk, "{ssid}");
    }
}

#[test]
fn keys_given_as_keys_stay_and_open_networks_have_none() {
    let hex = "00112233445566778899AABBCCDDEEFF".repeat(2);
    for key in ["password", "psk"] {
        let wifi = cluster(&format!("[network.wifi]\nssid = \"a\"\n{key} = \"{hex}\"\n"));
        assert_eq!(
            wifi_psk(&wifi.network.radio().unwrap().networks[0]),
            Some(Secret::new(hex.to_lowercase()))
        );
    }
    let open = Wifi { ssid: "a".into(), key: WifiKey::Open, security: Security::default(), hidden: false };
    assert_eq!(wifi_psk(&open), None);
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[test]
fn mkpasswd_makes_the_same_hash() {
    let identity = kept("").identity;
    for password in ["secret enough", "p'\"`$(x)#\\ ü🔑", "x", &"long ".repeat(60)] {
        let text = format!("[access]\npassword = {}\n", toml_text(password));
        let access = cluster(&text).access;
        let hash = identity.password_hash(&access).unwrap();
        let parts: Vec<&str> = hash.reveal().split('$').collect();
        assert!(
            matches!(parts.as_slice(), ["", "6", "rounds=5000", salt, _] if salt.len() == 16),
            "{parts:?}"
        );
        let mut mkpasswd = support::tool("mkpasswd", "whois");
        mkpasswd.args(["-m", "sha-512", "-R", "5000", "-S", parts[3], "-s"]);
        assert_eq!(fed(&mut mkpasswd, &format!("{password}\n")).trim_end(), hash.reveal());
        assert_eq!(identity.password_hash(&access), Some(hash), "the same each time");
    }
}

#[test]
fn hashes_differ_between_clusters_and_users_and_given_ones_stay() {
    let (one, other) = (kept("").identity, kept("").identity);
    let access = |keys: &str| cluster(&format!("[access]\n{keys}\n")).access;
    let plain = access("password = \"secret enough\"");
    assert_ne!(one.password_hash(&plain), other.password_hash(&plain));
    assert_ne!(
        one.password_hash(&plain),
        one.password_hash(&access("user = \"pi\"\npassword = \"secret enough\""))
    );
    assert_eq!(one.password_hash(&access("")), None);
    let hash = "$6$saltsalt$hash";
    let given = one.password_hash(&access(&format!("password-hash = \"{hash}\"")));
    assert_eq!(given, Some(Secret::new(hash)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn tokens_have_the_form_that_kubeadm_takes(_ in 0..32) {
        let identity = Identity::make("x", now(), Ttl::NEVER).unwrap();
        let token = identity.tokens.of(250).unwrap().reveal();
        let (id, secret) = token.split_once('.').unwrap();
        let good = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        prop_assert!(id.len() == 6 && secret.len() == 16 && good(id) && good(secret), "{}", token);
    }
}

#[test]
fn each_node_has_a_host_key_that_stays() {
    let kept = kept("nodes = 3");
    let keys = kept.identity.host_keys.as_ref().unwrap();
    let pairs: Vec<_> = (1..=3).map(|number| keys.of(number, "node").unwrap()).collect();
    assert!(pairs[0] != pairs[1] && pairs[1] != pairs[2]);
    let again = kept.store.open(&cluster("nodes = 3"), now()).unwrap();
    assert_eq!(
        again.host_keys.unwrap().of(2, "node").unwrap(),
        pairs[1],
        "byte by byte: images are reproducible"
    );
    let known = std::fs::read_to_string(kept.file("known_hosts")).unwrap();
    assert_eq!(known.lines().count(), 3);
    for name in ["node-2", "node-2.cluster.home", "10.0.0.2"] {
        let mut keygen = support::tool("ssh-keygen", "openssh-client");
        let found = support::run(keygen.args(["-F", name, "-f"]).arg(kept.file("known_hosts")));
        let key = pairs[1].public.split(' ').nth(1).unwrap();
        assert!(found.contains(key), "{name}: {found}");
    }
    // A cluster that an older pibake made gets them with its next build.
    std::fs::remove_file(kept.file("host_keys")).unwrap();
    assert_eq!(kept.store.peek(&cluster("nodes = 3"), now()).unwrap().unwrap().host_keys, None);
    let new = kept.store.open(&cluster("nodes = 3"), now()).unwrap();
    assert_ne!(new.host_keys.unwrap().of(2, "node").unwrap(), pairs[1]);
}

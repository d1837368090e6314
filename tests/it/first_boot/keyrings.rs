//! The keys of the package servers: real ones, made by gpg for the test.

use std::path::Path;

use super::node::{Node, Role};

/// A key pair's public half, armoured, and its fingerprint.
struct Key {
    armoured: String,
    fingerprint: String,
}

/// `expires` as gpg takes it: `never`, `1d`, seconds since 1970 for both being made and, with
/// `made`, the time it is made at.
fn key(name: &str, made: &str, expires: &str) -> Key {
    let home = tempfile::tempdir().unwrap();
    let gpg = || {
        let mut gpg = support::tool("gpg", "gnupg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--homedir"]);
        gpg.arg(home.path());
        gpg
    };
    support::run(gpg().args([
        "--faked-system-time",
        made,
        "--quick-gen-key",
        name,
        "ed25519",
        "sign",
        expires,
    ]));
    let armoured = support::run(gpg().args(["--armor", "--export"]));
    let listing = support::run(gpg().args(["--with-colons", "--list-keys"]));
    stop_agent(home.path());
    let fingerprint = listing.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
    Key { armoured, fingerprint: fingerprint.trim_end_matches(':').to_owned() }
}

/// One key as it was, expired, and as its owner prolonged it: the same fingerprint.
fn prolonged(name: &str) -> (Key, Key) {
    let home = tempfile::tempdir().unwrap();
    let gpg = |arguments: &[&str]| {
        let mut gpg = support::tool("gpg", "gnupg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--homedir"]);
        support::run(gpg.arg(home.path()).args(arguments))
    };
    let at = |time, rest: &[&str]| gpg(&[&["--faked-system-time", time], rest].concat());
    at("20200101T000000", &["--quick-gen-key", name, "ed25519", "sign", "1d"]);
    let listing = gpg(&["--with-colons", "--list-keys"]);
    let fingerprint = listing.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
    let fingerprint = fingerprint.trim_end_matches(':').to_owned();
    let exported = || Key { armoured: gpg(&["--armor", "--export"]), fingerprint: fingerprint.clone() };
    let old = exported();
    at("20200101T120000", &["--quick-set-expire", &fingerprint, "never"]);
    let new = exported();
    stop_agent(home.path());
    (old, new)
}

fn stop_agent(home: &Path) {
    support::run(support::tool("gpgconf", "gnupg").arg("--homedir").arg(home).args(["--kill", "all"]));
}

fn lasting(name: &str) -> Key {
    key(name, "20200101T000000", "never")
}

const KEYRING: &str = "etc/apt/keyrings/kubernetes.asc";

/// A worker whose node.env asks for the key `fingerprint`.
fn node(fingerprint: &str) -> Node {
    let node = Node::new(Role::Worker);
    let env = format!(
        "{}KUBERNETES_KEYRING='/{KEYRING}'\nKUBERNETES_KEY_URL='https://mirror.test/Release.key'\n\
         KUBERNETES_KEY_FINGERPRINT='{fingerprint}'\n",
        node.read("etc/pibake/node.env")
    );
    node.put("etc/pibake/node.env", &env);
    node
}

fn fetches(node: &Node) -> usize {
    node.calls().iter().filter(|call| call.starts_with("curl ") && call.ends_with("/Release.key")).count()
}

#[test]
fn a_baked_key_is_not_fetched() {
    let key = lasting("repository");
    let node = node(&key.fingerprint);
    node.put(KEYRING, &key.armoured);
    node.complete(&[]);
    assert_eq!(fetches(&node), 0);
    assert_eq!(node.read(KEYRING), key.armoured);
}

#[test]
fn a_missing_key_is_fetched_alone() {
    let (key, other) = (lasting("repository"), lasting("somebody else"));
    let node = node(&key.fingerprint);
    node.state("served/Release.key", &format!("{}\n{}", other.armoured, key.armoured));
    node.complete(&[]);
    assert_eq!(fetches(&node), 1);
    let listing = support::run(
        support::tool("gpg", "gnupg").args(["--with-colons", "--show-keys"]).arg(node.root().join(KEYRING)),
    );
    assert_eq!(listing.matches("pub:").count(), 1, "{listing}");
    assert!(listing.contains(&key.fingerprint), "{listing}");
}

#[test]
fn an_expired_key_is_fetched_again() {
    let (old, new) = prolonged("repository");
    let node = node(&new.fingerprint);
    node.put(KEYRING, &old.armoured);
    node.state("served/Release.key", &new.armoured);
    node.complete(&[]);
    assert_eq!(fetches(&node), 1);
}

#[test]
fn a_key_that_is_served_after_its_end_is_refused() {
    let old = key("repository", "20200101T000000", "1d");
    let node = node(&old.fingerprint);
    node.put(KEYRING, &old.armoured);
    node.state("served/Release.key", &old.armoured);
    assert_refused(&node, "has expired or was revoked");
}

/// The address of an old minor version may keep a key that has expired, or be gone.
fn node_of_old_minor(fingerprint: &str) -> Node {
    let node = node(fingerprint);
    let env = node.read("etc/pibake/node.env").replace(
        "https://mirror.test/Release.key",
        "https://mirror.test/v1.31/Release.key https://mirror.test/v1.37/Release.key",
    );
    node.put("etc/pibake/node.env", &env);
    node
}

#[test]
fn an_expired_key_is_fetched_where_the_newest_packages_are() {
    let (old, new) = prolonged("repository");
    assert_eq!(old.fingerprint, new.fingerprint);
    let node = node_of_old_minor(&new.fingerprint);
    node.put(KEYRING, &old.armoured);
    node.state("served/v1.31/Release.key", &old.armoured);
    node.state("served/v1.37/Release.key", &new.armoured);
    node.complete(&[]);
    assert_eq!(fetches(&node), 2);

    // Its own minor version's address is gone: all the same.
    let node = node_of_old_minor(&new.fingerprint);
    node.put(KEYRING, &old.armoured);
    node.state("served/v1.37/Release.key", &new.armoured);
    node.complete(&[]);

    // And it is enough where that has the prolonged one.
    let node = node_of_old_minor(&new.fingerprint);
    node.put(KEYRING, &old.armoured);
    node.state("served/v1.31/Release.key", &new.armoured);
    node.complete(&[]);
    assert_eq!(fetches(&node), 1);
}

#[test]
fn another_key_is_refused_wherever_it_lies() {
    let ((old, _), other) = (prolonged("repository"), lasting("somebody else"));
    let node = node_of_old_minor(&old.fingerprint);
    node.put(KEYRING, &old.armoured);
    node.state("served/v1.31/Release.key", &old.armoured);
    node.state("served/v1.37/Release.key", &other.armoured);
    assert_refused(&node, "https://mirror.test/v1.37/Release.key does not hold the key");
    assert_eq!(node.read(KEYRING), old.armoured);
}

#[test]
fn another_key_is_refused() {
    let (wanted, other) = (lasting("repository"), lasting("somebody else"));
    let node = node(&wanted.fingerprint);
    node.state("served/Release.key", &other.armoured);
    assert_refused(&node, "does not hold the key");
    assert!(!node.exists(KEYRING));
}

#[test]
fn a_page_instead_of_a_key_is_refused() {
    let node = node(&lasting("repository").fingerprint);
    node.state("served/Release.key", "<html>Sign in to the WiFi</html>");
    assert_refused(&node, "is no key");
}

fn assert_refused(node: &Node, why: &str) {
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=keyrings", "state=retrying"]);
    assert!(status.contains(why), "{status}");
    assert!(!node.calls().iter().any(|call| call.contains("install") && call.contains("containerd")));
}

//! Redirects, proxies and TLS.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::fetching::{Machine, image, sha256, sums, xz};
use crate::http::{Fault, File, Server};

const PATH: &str = "/some.img.xz";

fn redirect(to: &str) -> Fault {
    Fault::Status(302, vec![("Location", to.to_owned())])
}

#[test]
fn redirects_are_followed_also_when_taking_up() {
    let raw = image(60);
    let (packed, machine) = (xz(&raw), Machine::new());
    let (near, far) = (Server::start(), Server::start());
    let half = packed.len() as u64 / 2;
    near.fail(PATH, &[redirect(&far.url("/elsewhere")), redirect(&far.url("/elsewhere"))]);
    far.put("/elsewhere", File::new(&packed));
    far.fail("/elsewhere", &[Fault::Cut(half)]);
    machine.fetch(&[&near.url(PATH), "--sha256", &sha256(&packed)]).good();
    machine.assert_cached(&packed, &raw);
    assert_eq!(far.seen("/elsewhere")[1].range().0, Some(&*format!("bytes={half}-")));
}

#[test]
fn redirects_in_a_circle_end() {
    let (server, machine) = (Server::start(), Machine::new());
    server.fail(PATH, &vec![redirect(&server.url(PATH)); 50]);
    machine.fetch(&[&server.url(PATH), "--sha256", &sha256(b"x")]).bad(1, "too many redirects");
    assert!(server.seen(PATH).len() < 15, "{}", server.seen(PATH).len());
}

#[test]
fn a_proxy_is_used_but_for_what_no_proxy_names() {
    let raw = image(61);
    let packed = xz(&raw);
    let (proxy, direct) = (Server::start(), Server::start());
    // a name that only the proxy knows
    let url = "http://images.invalid/some.img.xz";
    proxy.put(url, File::new(&packed));
    direct.put(PATH, File::new(&packed));
    let digest = sha256(&packed);
    for variable in ["http_proxy", "all_proxy"] {
        let machine = Machine::new().env(variable, proxy.url("")).env("no_proxy", "127.0.0.1,localhost");
        machine.fetch(&[url, "--sha256", &digest]).good();
        machine.assert_cached(&packed, &raw);
        let before = proxy.all_seen().len();
        let machine = Machine::new().env(variable, proxy.url("")).env("no_proxy", "127.0.0.1,localhost");
        machine.fetch(&[&direct.url(PATH), "--sha256", &digest]).good();
        assert_eq!(proxy.all_seen().len(), before, "{variable}: no_proxy was not heeded");
    }
    assert_eq!(direct.seen(PATH).len(), 2);
    // taken up through it as well
    let half = packed.len() as u64 / 2;
    proxy.fail(url, &[Fault::Cut(half)]);
    let machine = Machine::new().env("http_proxy", proxy.url("").replace("http://", "http://me:word@"));
    machine.fetch(&[url, "--sha256", &digest]).good();
    let seen = proxy.seen(url);
    assert_eq!(seen.last().unwrap().range().0, Some(&*format!("bytes={half}-")));
    assert_eq!(seen.last().unwrap().header("proxy-authorization"), Some("Basic bWU6d29yZA=="));
    // one that wants a password
    proxy.fail(url, &[Fault::Status(407, vec![])]);
    let machine = Machine::new().env("http_proxy", proxy.url(""));
    machine.fetch(&[url, "--sha256", &digest]).bad(1, "the proxy wants a user name and password");
}

/// A server whose certificate is valid for these names, and that certificate for `SSL_CERT_FILE`.
fn tls(names: &[&str]) -> (Server, String) {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    (Server::with_tls(Arc::new(config)), own.cert.pem())
}

/// A machine that trusts this certificate and no other.
fn trusting(certificate: &str) -> Machine {
    let machine = Machine::new();
    let path = machine.put("authorities.pem", certificate.as_bytes());
    machine.env("SSL_CERT_FILE", path)
}

#[test]
fn over_https() {
    let raw = image(62);
    let packed = xz(&raw);
    let (server, certificate) = tls(&["127.0.0.1"]);
    server.put(PATH, File::new(&packed));
    let (url, digest) = (server.url(PATH), sha256(&packed));

    let machine = trusting(&certificate);
    server.fail(PATH, &[Fault::Cut(packed.len() as u64 / 2)]);
    assert_eq!(machine.fetch(&[&url, "--sha256", &digest]).good()["trust"], "given");
    machine.assert_cached(&packed, &raw);
    assert!(server.seen(PATH)[1].range().1.is_some(), "taken up");

    // a list that is not signed shows at least what the server's owner put there
    let machine = trusting(&certificate);
    machine.fetch(&[&url]).bad(3, "there is no SHA256SUMS beside it");
    server.put("/SHA256SUMS", File::new(&sums(&[("some.img.xz", &packed)])));
    assert_eq!(machine.fetch(&[&url]).good()["trust"], "listed");
    server.put("/SHA256SUMS", File::new(&sums(&[("other.img.xz", &packed)])));
    machine.fetch(&[&url]).bad(3, "does not list some.img.xz");
    // but where a signature was promised it has to be there
    server.put("/SHA256SUMS", File::new(&sums(&[("some.img.xz", &packed)])));
    let keys = format!("{}/src/base/keys/ubuntu-cd-image-2012.gpg", env!("CARGO_MANIFEST_DIR"));
    machine.put("pibake.toml", format!("[base]\nkeyring = {keys:?}\n").as_bytes());
    machine.fetch(&[&url]).bad(3, "is not signed");
}

#[test]
fn a_server_that_nobody_knows_is_refused_at_once() {
    let (server, certificate) = tls(&["127.0.0.1"]);
    let (_, another) = tls(&["127.0.0.1"]);
    let (_, elsewhere) = tls(&["images.invalid"]);
    server.put(PATH, File::new(b"x"));
    let url = server.url(PATH);
    for trusted in [&another, &elsewhere] {
        let outcome = trusting(trusted).fetch(&[&url, "--sha256", &sha256(b"x")]);
        outcome.bad(1, "certificate");
        assert!(!outcome.stderr.contains("trying again"), "{}", outcome.stderr);
    }
    // its certificate is for another name
    let outside = url.replace("127.0.0.1", "localhost");
    trusting(&certificate)
        .fetch(&[&outside, "--sha256", &sha256(b"x"), "--network-tries", "1"])
        .bad(1, "certificate");
    assert_eq!(server.all_seen().len(), 0);
}

#[test]
fn https_is_not_left_for_http() {
    let raw = image(63);
    let packed = xz(&raw);
    let (server, certificate) = tls(&["127.0.0.1"]);
    let plain = Server::start();
    plain.put(PATH, File::new(&packed));
    plain.put("/SHA256SUMS", File::new(&sums(&[("some.img.xz", &packed)])));
    server.fail(PATH, &[redirect(&plain.url(PATH))]);
    let machine = trusting(&certificate);
    let outcome = machine.fetch(&[&server.url(PATH), "--sha256", &sha256(&packed)]);
    outcome.bad(1, "which nothing protects");
    server.fail("/SHA256SUMS", &[redirect(&plain.url("/SHA256SUMS"))]);
    machine.fetch(&[&server.url(PATH)]).bad(1, "which nothing protects");
    assert_eq!(plain.all_seen().len(), 0);
}

#[test]
fn https_through_a_proxy() {
    let raw = image(64);
    let packed = xz(&raw);
    let (server, certificate) = tls(&["images.invalid"]);
    server.put(PATH, File::new(&packed));
    let proxy = Server::start();
    let machine = trusting(&certificate).env("https_proxy", proxy.url(""));
    let url = "https://images.invalid/some.img.xz";
    let digest = sha256(&packed);
    machine
        .fetch(&[url, "--sha256", &digest, "--network-tries", "1"])
        .bad(1, "fetching https://images.invalid/");
    proxy.tunnel_to(server.address);
    machine.fetch(&[url, "--sha256", &digest]).good();
    machine.assert_cached(&packed, &raw);
    let seen = proxy.seen("images.invalid:443");
    assert!(seen.iter().all(|s| s.method == "CONNECT") && seen.len() == 2, "{seen:?}");
}

//! Redirects, proxies and TLS.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use support::fetching::{Machine, image, sha256, sums, xz};
use support::http::{Fault, File, Server};

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
}

#[test]
fn a_proxy_that_wants_a_password_is_named_and_not_asked_again() {
    let challenge = || Fault::Status(407, vec![("Proxy-Authenticate", "Basic realm=\"desk\"".into())]);
    let digest = sha256(b"x");
    // over http the proxy's answer is that to the request; over https it refuses to open the tunnel
    for (scheme, asked) in [("http", "http://images.invalid/some.img.xz"), ("https", "images.invalid:443")] {
        let (proxy, another) = (Server::start(), Server::start());
        proxy.fail(asked, &vec![challenge(); 5]);
        let (own, other) =
            if scheme == "http" { ("http_proxy", "https_proxy") } else { ("https_proxy", "http_proxy") };
        let machine = Machine::new()
            .env(own, proxy.url("").replace("http://", "http://me:guessed@"))
            .env(other, another.url(""));
        let outcome =
            machine.fetch(&[&format!("{scheme}://images.invalid/some.img.xz"), "--sha256", &digest]);
        outcome.bad(1, &format!("the proxy {} wants a user name and password: set {own}=", proxy.address));
        assert!(
            outcome.stderr.contains(&format!("fetching {scheme}://images.invalid/")),
            "{}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("guessed"), "{}", outcome.stderr);
        assert_eq!(proxy.seen(asked).len(), 1, "asked again in vain");
        assert_eq!(another.all_seen().len(), 0);
    }
}

#[test]
fn a_server_that_hangs_up_is_told_with_what_to_do() {
    let (server, digest) = (Server::start(), sha256(b"x"));
    let fetch = |faults: &[Fault]| {
        server.fail(PATH, faults);
        Machine::new().fetch(&[&server.url(PATH), "--sha256", &digest, "--network-tries", "2"])
    };
    server.put(PATH, File::new(b"xxxxxxxx"));
    for fault in [Fault::Refuse, Fault::Cut(0)] {
        let outcome = fetch(&[fault.clone(), fault]);
        outcome.bad(1, "; check that 127.0.0.1 can be reached from here, set base.mirror or https_proxy");
    }
    let outcome = fetch(&vec![redirect(&server.url(PATH)); 50]);
    outcome.bad(1, "too many redirects; check the address or the release and whether something between here");
}

/// A server whose certificate is valid for these names, and that certificate for `SSL_CERT_FILE`.
fn tls(names: &[&str]) -> (Server, String) {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    (tls_with(own.cert.der().clone(), &own.signing_key), own.cert.pem())
}

fn tls_with(certificate: CertificateDer<'static>, key: &rcgen::KeyPair) -> Server {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Server::with_tls(Arc::new(config))
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
    let keys = format!("{}/src/base/verify/keys/ubuntu-cd-image-2012.gpg", env!("CARGO_MANIFEST_DIR"));
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
        for said in [&*format!("fetching {url}: "), "SSL_CERT_FILE", "clock"] {
            assert!(outcome.stderr.contains(said), "{said:?} is not in: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("trying again"), "{}", outcome.stderr);
    }
    // its certificate is for another name
    let outside = url.replace("127.0.0.1", "localhost");
    trusting(&certificate)
        .fetch(&[&outside, "--sha256", &sha256(b"x"), "--network-tries", "1"])
        .bad(1, "certificate");
    assert_eq!(server.all_seen().len(), 0);
}

/// Answers every connection with these bytes as soon as something comes; the port.
fn parrot(answer: &'static [u8]) -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 1024];
            let _ = stream.read(&mut hello).and_then(|_| stream.write_all(answer));
        }
    });
    port
}

#[test]
fn who_speaks_no_tls_is_told_from_a_bad_network() {
    for answer in [
        // nginx where it is asked for HTTP and is spoken to in TLS
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"[..],
        // what OpenSSL sends where it may speak TLS 1.1 at most: a fatal alert, protocol_version
        b"\x15\x03\x01\x00\x02\x02\x46",
        // and where no cipher is shared: handshake_failure
        b"\x15\x03\x03\x00\x02\x02\x28",
    ] {
        let url = format!("https://127.0.0.1:{}/some.img.xz", parrot(answer));
        let outcome = Machine::new().fetch(&[&url, "--sha256", &sha256(b"x")]);
        outcome.bad(1, "no TLS 1.2 or 1.3 is spoken at 127.0.0.1: check the address and its port");
        assert!(outcome.stderr.contains(&format!("fetching {url}: ")), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("trying again"), "{}", outcome.stderr);
    }
}

#[test]
fn a_certificate_that_has_expired_is_refused_with_the_clock_in_mind() {
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let server = tls_with(certificate.der().clone(), &key);
    let outcome = trusting(&certificate.pem()).fetch(&[&server.url(PATH), "--sha256", &sha256(b"x")]);
    outcome.bad(1, "check this machine's clock");
    assert!(!outcome.stderr.contains("trying again"), "{}", outcome.stderr);
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

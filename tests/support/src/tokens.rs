//! A server of tokens for a registry, as the Distribution project's token authentication has it: whoever knows the one
//! user's password gets a token that ends soon.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::registry::USER;
use crate::{run, tool};

/// So much later than it says a token ends for the registry (`Leeway` in its registry/auth/token/token.go).
const LEEWAY: u64 = 60;

/// What a server gives.
#[derive(Clone, Copy)]
pub struct Given {
    /// For how many seconds each token is good, the last number for all that follow; as they are counted, it may be one less.
    pub lives: &'static [u64],
    /// How many tokens there are; whoever asks for more is told that the password is wrong.
    pub most: usize,
    /// What a token is ever good for.
    pub actions: &'static [&'static str],
}

struct State {
    given: Given,
    dir: tempfile::TempDir,
    /// The certificate as it stands in a token.
    certificate: String,
    asked: Mutex<Vec<Vec<String>>>,
    count: AtomicUsize,
    stop: AtomicBool,
}

/// A server that ends when it is dropped.
pub struct Tokens {
    address: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

impl Tokens {
    pub fn start(given: Given) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut openssl = tool("openssl", "openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tests", "-days", "2"]);
        run(openssl
            .arg("-keyout")
            .arg(dir.path().join("key.pem"))
            .arg("-out")
            .arg(dir.path().join("cert.pem"))
            .stderr(Stdio::null()));
        let pem = std::fs::read_to_string(dir.path().join("cert.pem")).unwrap();
        let certificate = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let (asked, count, stop) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(false));
        let state = Arc::new(State { given, dir, certificate, asked, count, stop });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = std::thread::spawn({
            let state = Arc::clone(&state);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if state.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || drop(state.serve(stream)));
                }
            }
        });
        Self { address, state, accepting: Some(accepting) }
    }

    /// What the registry's configuration says of it.
    pub(crate) fn config(&self) -> String {
        let bundle: PathBuf = self.state.dir.path().join("cert.pem");
        format!(
            "auth: {{token: {{realm: \"http://{}/token\", service: tests, issuer: tests, rootcertbundle: {}}}}}\n",
            self.address,
            bundle.display()
        )
    }

    /// The scopes of each request so far.
    pub fn asked(&self) -> Vec<Vec<String>> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // wakes the thread that accepts
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let lines: Vec<String> = BufReader::new(stream.try_clone()?)
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let target = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let scopes: Vec<String> =
            query.split('&').filter_map(|pair| pair.strip_prefix("scope=")).map(plain).collect();
        self.asked.lock().unwrap().push(scopes.clone());
        let right = format!("authorization: basic {}", base64(format!("{}:{}", USER.0, USER.1).as_bytes()));
        let is_known = lines.iter().any(|line| line.eq_ignore_ascii_case(&right));
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let lives = self.given.lives;
        let life = lives[number.min(lives.len() - 1)];
        let (status, body) = match is_known && number < self.given.most {
            true => ("200 OK", json!({ "token": self.token(&scopes, life) }).to_string()),
            false => ("401 Unauthorized", "{}".to_owned()),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes())
    }

    fn token(&self, scopes: &[String], life: u64) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let access = scopes.iter().map(|scope| {
            let [kind, name, actions] = scope.splitn(3, ':').collect::<Vec<_>>()[..] else {
                panic!("{scope} is no scope");
            };
            let actions = actions.split(',').filter(|action| self.given.actions.contains(action));
            json!({ "type": kind, "name": name, "actions": actions.collect::<Vec<_>>() })
        });
        let head = json!({ "typ": "JWT", "alg": "RS256", "x5c": [self.certificate] });
        let claims = json!({
            "iss": "tests", "sub": USER.0, "aud": "tests", "jti": format!("{now}"),
            "iat": now, "nbf": now - LEEWAY, "exp": now - LEEWAY + life,
            "access": access.collect::<Vec<Value>>(),
        });
        let part = |value: &Value| url_safe(&base64(value.to_string().as_bytes()));
        let signed = format!("{}.{}", part(&head), part(&claims));
        let mut openssl = tool("openssl", "openssl");
        openssl.args(["dgst", "-sha256", "-sign"]).arg(self.dir.path().join("key.pem"));
        let mut openssl = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        openssl.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
        let signature = openssl.wait_with_output().unwrap();
        assert!(signature.status.success());
        format!("{signed}.{}", url_safe(&base64(&signature.stdout)))
    }
}

/// A value of a query without its escapes.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.extend(hex::decode(digits).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            text.push(match at <= group.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]),
                false => '=',
            });
        }
    }
    text
}

fn url_safe(text: &str) -> String {
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

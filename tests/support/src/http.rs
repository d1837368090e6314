//! A web server on loopback that fails on demand and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What lies at an address.
#[derive(Clone)]
pub struct File {
    pub bytes: Arc<Vec<u8>>,
    pub etag: Option<String>,
    pub modified: Option<String>,
    /// Whether parts are sent.
    pub ranges: bool,
    /// Whether a part is sent whatever `If-Range` says, as broken caches do.
    pub deaf: bool,
    /// Whether parts leave out the date, as RFC 9110 15.3.7 allows them to.
    pub terse: bool,
    /// Whether the length is told.
    pub length: bool,
}

impl File {
    /// A file as a good server sends it: with an entity tag, a date, a length, and in parts.
    pub fn new(bytes: &[u8]) -> Self {
        let tag = bytes.iter().fold(bytes.len() as u64, |h, b| h.wrapping_mul(31).wrapping_add((*b).into()));
        Self {
            bytes: Arc::new(bytes.to_vec()),
            etag: Some(format!("\"{tag:x}\"")),
            modified: Some("Wed, 31 Aug 2022 08:00:00 GMT".to_owned()),
            ranges: true,
            deaf: false,
            terse: false,
            length: true,
        }
    }
}

/// What goes wrong with one request.
#[derive(Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is closed after so many bytes of the body.
    Cut(u64),
    /// Nothing more comes after so many bytes of the body, and the connection stays open.
    Stall(u64),
    /// After so many bytes of the body the server waits until the test lets it go on.
    Hold(u64, Arc<Gate>),
    /// The body comes in pieces of this size with this pause between.
    Drip(usize, Duration),
    /// Another status, with further headers.
    Status(u16, Vec<(&'static str, String)>),
    /// The connection is closed without an answer.
    Refuse,
}

/// Stops a server until a test has done what it wants to do meanwhile.
#[derive(Default)]
pub struct Gate {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until the server stands at the gate.
    pub fn reached(&self) {
        let state = self.state.lock().unwrap();
        let (_state, late) = self
            .changed
            .wait_timeout_while(state, Duration::from_secs(20), |(reached, _)| !*reached)
            .unwrap();
        assert!(!late.timed_out(), "the server was never asked");
    }

    /// Lets the server go on.
    pub fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    fn pass(&self, stop: &AtomicBool) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        self.changed.notify_all();
        while !state.1 && !stop.load(Ordering::Relaxed) {
            state = self.changed.wait_timeout(state, Duration::from_millis(20)).unwrap().0;
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// The path, or the whole address where the server is asked as a proxy.
    pub target: String,
    pub at: Instant,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// `Range` and `If-Range`.
    pub fn range(&self) -> (Option<&str>, Option<&str>) {
        (self.header("range"), self.header("if-range"))
    }
}

#[derive(Default)]
struct State {
    files: Mutex<BTreeMap<String, File>>,
    faults: Mutex<BTreeMap<String, VecDeque<Fault>>>,
    seen: Mutex<Vec<Seen>>,
    /// Where `CONNECT` leads.
    tunnel: Mutex<Option<SocketAddr>>,
    stop: AtomicBool,
}

pub struct Server {
    pub address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(None)
    }

    pub fn with_tls(config: Arc<ServerConfig>) -> Self {
        Self::with(Some(config))
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = std::thread::spawn({
            let state = Arc::clone(&state);
            move || {
                for stream in listener.incoming() {
                    if state.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (Ok(stream), state, tls) = (stream, Arc::clone(&state), tls.clone()) else {
                        continue;
                    };
                    // whoever hangs up in the middle is part of the game
                    std::thread::spawn(move || drop(serve(stream, tls, &state)));
                }
            }
        });
        Self { address, scheme, state, accepting: Some(accepting) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Puts a file at `path`, which is a whole address where the server is asked as a proxy.
    pub fn put(&self, path: &str, file: File) {
        self.state.files.lock().unwrap().insert(path.to_owned(), file);
    }

    pub fn remove(&self, path: &str) {
        self.state.files.lock().unwrap().remove(path);
    }

    /// What happens to the next requests for `path`, one each.
    pub fn fail(&self, path: &str, faults: &[Fault]) {
        self.state.faults.lock().unwrap().entry(path.to_owned()).or_default().extend(faults.iter().cloned());
    }

    pub fn tunnel_to(&self, address: SocketAddr) {
        *self.state.tunnel.lock().unwrap() = Some(address);
    }

    /// The requests for `path` so far.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        self.all_seen().into_iter().filter(|s| s.target == path).collect()
    }

    pub fn all_seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // wakes the thread that accepts
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn serve(tcp: TcpStream, tls: Option<Arc<ServerConfig>>, state: &State) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let raw = tcp.try_clone()?;
    let mut stream: Box<dyn Stream> = match tls {
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(connection, tcp))
        }
        None => Box::new(tcp),
    };
    let request = read_request(&mut stream)?;
    state.seen.lock().unwrap().push(request.clone());
    let fault = state.faults.lock().unwrap().get_mut(&request.target).and_then(VecDeque::pop_front);
    if request.method == "CONNECT" {
        if let Some(fault @ Fault::Status(..)) = fault {
            return answer(&mut stream, &request, None, fault, &state.stop);
        }
        let to = *state.tunnel.lock().unwrap();
        return match to {
            Some(to) => {
                stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
                join(raw, TcpStream::connect(to)?)
            }
            None => stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        };
    }
    let file = state.files.lock().unwrap().get(&request.target).cloned();
    answer(&mut stream, &request, file, fault.unwrap_or(Fault::None), &state.stop)?;
    stream.flush()?;
    raw.shutdown(Shutdown::Write)
}

fn read_request(stream: &mut Box<dyn Stream>) -> io::Result<Seen> {
    // one byte at a time, so that nothing of a tunnel's content is taken
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut lines = BufReader::new(&head[..]).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = lines
        .filter_map(|l| l.split_once(':').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned())))
        .collect();
    Ok(Seen { method, target, at: Instant::now(), headers })
}

/// Both ways until one of them ends.
fn join(one: TcpStream, other: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (one.try_clone()?, other.try_clone()?);
    let back = std::thread::spawn(move || {
        let (mut from, mut to) = (other, one);
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    back.join().map_err(|_| io::Error::other("the way back failed"))
}

fn answer(
    stream: &mut Box<dyn Stream>,
    request: &Seen,
    file: Option<File>,
    fault: Fault,
    stop: &AtomicBool,
) -> io::Result<()> {
    let none = |status: u16, headers: Vec<(&'static str, String)>| (status, headers, Vec::new(), true);
    let (status, headers, body, length) = match (&fault, file) {
        (Fault::Refuse, _) => return Ok(()),
        (Fault::Status(status, headers), _) => none(*status, headers.clone()),
        (_, None) => none(404, Vec::new()),
        (_, Some(file)) => content(request, &file),
    };
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n");
    if length && status != 304 {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes())?;
    let up_to = |at: u64| usize::try_from(at).unwrap().min(body.len());
    match fault {
        Fault::Cut(at) => stream.write_all(&body[..up_to(at)]),
        Fault::Stall(at) => {
            stream.write_all(&body[..up_to(at)])?;
            stream.flush()?;
            // until the other end has had enough of it
            let patience = Instant::now() + Duration::from_secs(20);
            while !stop.load(Ordering::Relaxed) && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        Fault::Hold(at, gate) => {
            stream.write_all(&body[..up_to(at)])?;
            stream.flush()?;
            gate.pass(stop);
            stream.write_all(&body[up_to(at)..])
        }
        Fault::Drip(size, pause) => body.chunks(size).try_for_each(|piece| {
            std::thread::sleep(pause);
            stream.write_all(piece)?;
            stream.flush()
        }),
        Fault::None | Fault::Status(..) | Fault::Refuse => stream.write_all(&body),
    }
}

/// Status, headers, body, and whether to tell its length, as RFC 9110 has it.
fn content(request: &Seen, file: &File) -> (u16, Vec<(&'static str, String)>, Vec<u8>, bool) {
    let mut headers = Vec::new();
    if let Some(etag) = &file.etag {
        headers.push(("ETag", etag.clone()));
    }
    // a tag decides, and a date only without one: RFC 9110 13.2.2
    let unchanged = match (request.header("if-none-match"), request.header("if-modified-since")) {
        (Some(tag), _) => Some(tag) == file.etag.as_deref(),
        (None, Some(date)) => Some(date) == file.modified.as_deref(),
        (None, None) => false,
    };
    if unchanged {
        return (304, headers, Vec::new(), false);
    }
    let strong = file.etag.as_deref().filter(|t| !t.starts_with("W/"));
    let same = |condition: &str| [strong, file.modified.as_deref()].contains(&Some(condition));
    let len = file.bytes.len();
    // its first byte and the one after its last, which may be left open
    let part = |range: &str| -> (usize, usize) {
        let (start, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let end = if last.is_empty() { len } else { len.min(last.parse::<usize>().unwrap() + 1) };
        (start.parse().unwrap(), end)
    };
    let range = request
        .header("range")
        .filter(|_| file.ranges)
        .filter(|_| file.deaf || request.header("if-range").is_none_or(same))
        .map(part);
    let date = file.modified.clone().map(|date| ("Last-Modified", date));
    match range {
        None => {
            headers.extend(date);
            (200, headers, file.bytes.to_vec(), file.length)
        }
        Some((start, _)) if start >= len => {
            headers.push(("Content-Range", format!("bytes */{len}")));
            (416, headers, Vec::new(), true)
        }
        Some((start, end)) => {
            headers.extend(date.filter(|_| !file.terse));
            headers.push(("Content-Range", format!("bytes {start}-{}/{len}", end - 1)));
            (206, headers, file.bytes[start..end].to_vec(), true)
        }
    }
}

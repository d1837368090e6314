//! A line to a registry that is weak in a way that a test plans.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use support::registry::Registry;

/// What becomes of a connection.
#[derive(Clone, Copy)]
pub enum Weakness {
    /// Nothing.
    None,
    /// Its first request is answered with 429.
    Busy,
    /// It is cut after so many bytes on their way to the registry.
    Cut(usize),
    /// The first content of a blob waits so long on its way to the registry.
    Late(Duration),
}

/// A line to a registry that is weak in the way that is planned for each connection.
pub struct Line {
    pub address: SocketAddr,
    /// How many connections were weak.
    pub weak: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Line {
    /// `most` bytes go to the registry; with them the line ends for good.
    pub fn to(registry: &Registry, most: i64, plan: fn(usize) -> Weakness) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (weak, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let left = Arc::new(AtomicI64::new(most));
        let host = registry.host();
        let accepting = std::thread::spawn({
            let (weak, stop) = (Arc::clone(&weak), Arc::clone(&stop));
            move || {
                for (number, stream) in listener.incoming().enumerate() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let (weakness, left, host) = (plan(number), Arc::clone(&left), host.clone());
                    if !matches!(weakness, Weakness::None) {
                        weak.fetch_add(1, Ordering::Relaxed);
                    }
                    // whoever hangs up in the middle is part of the game
                    std::thread::spawn(move || drop(join(stream, &host, weakness, &left)));
                }
            }
        });
        Self { address, weak, stop, accepting: Some(accepting) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // wakes the thread that accepts
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

fn join(mut client: TcpStream, host: &str, weakness: Weakness, left: &AtomicI64) -> std::io::Result<()> {
    let mut piece = [0; 4096];
    if matches!(weakness, Weakness::Busy) {
        let _ = client.read(&mut piece)?;
        let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        client.write_all(answer.as_bytes())?;
        return client.shutdown(Shutdown::Write);
    }
    let mut registry = TcpStream::connect(host)?;
    let (mut from, mut to) = (registry.try_clone()?, client.try_clone()?);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut sent, mut is_late) = (0, false);
    loop {
        let count = client.read(&mut piece).unwrap_or(0);
        if let Weakness::Late(time) = weakness
            && piece[..count].starts_with(b"PUT /v2/home/blobs/")
            && !std::mem::replace(&mut is_late, true)
        {
            std::thread::sleep(time);
        }
        let is_over = left.fetch_sub(i64::try_from(count).unwrap(), Ordering::Relaxed) <= 0;
        let is_cut = matches!(weakness, Weakness::Cut(most) if sent + count > most);
        if count == 0 || is_over || is_cut || registry.write_all(&piece[..count]).is_err() {
            break;
        }
        sent += count;
    }
    for stream in [&client, &registry] {
        let _ = stream.shutdown(Shutdown::Both);
    }
    let _ = back.join();
    Ok(())
}

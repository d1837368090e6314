//! A time server on loopback, until dropped.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1900, where NTP's time begins, to 1970 (RFC 5905, figure 4).
const FROM_1900: u64 = 2_208_988_800;

pub struct TimeServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TimeServer {
    /// Answers on NTP's own port, which guests cannot be told another for.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:123").expect("NTP's port is free in a namespace of our own");
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut request = [0; 128];
            while !ending.load(Ordering::Relaxed) {
                let Ok((48.., client)) = socket.recv_from(&mut request) else { continue };
                // a client that is gone needs no answer
                let _ = socket.send_to(&answer(&request), client);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The packet of a server at stratum 1 (RFC 5905, figure 8).
fn answer(request: &[u8]) -> [u8; 48] {
    let mut packet = [0; 48];
    packet[0] = 0b00_100_100; // no leap second, version 4, server
    packet[1] = 1;
    packet[2] = request[2];
    packet[3] = 0xec; // precision: 2^-20 s
    packet[12..16].copy_from_slice(b"TEST");
    packet[24..32].copy_from_slice(&request[40..48]); // the client's time, back
    for field in [16, 32, 40] {
        packet[field..field + 8].copy_from_slice(&now());
    }
    packet
}

fn now() -> [u8; 8] {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    (((time.as_secs() + FROM_1900) << 32) | fraction).to_be_bytes()
}

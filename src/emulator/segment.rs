//! An Ethernet segment without a network: machines are plugged into a folder.
//!
//! Every machine's port is a UNIX datagram socket in the folder. What the machine sends, the port
//! hands to every other port there is, and each of those to its machine, as the hubs of old did.
//! No address of this machine's network is used, nobody else can listen, and machines may be
//! plugged in and out at any time, by any process.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::io::CancelToken;
use crate::io::cancel::POLL;

/// Largest Ethernet frame with room to spare: QEMU's own limit (`NET_BUFSIZE`) is 68 KiB.
const FRAME_MAX: usize = 72 << 10;

/// Ends of the names in a segment's folder: of ports, and of the machines behind them.
const PORT: &str = "port";
const MACHINE: &str = "qemu";

/// A machine's place on a segment; unplugged when dropped.
#[derive(Debug)]
pub struct Port {
    path: PathBuf,
    machine: PathBuf,
    stop: CancelToken,
    relay: Option<JoinHandle<()>>,
}

impl Port {
    /// Makes a port called `name` on the segment in the folder `segment`, which must be there.
    ///
    /// # Errors
    /// What making the socket answers; [`io::ErrorKind::AddrInUse`] where a living machine has that
    /// name on the segment.
    pub fn open(segment: &Path, name: &str) -> io::Result<Self> {
        let path = segment.join(format!("{name}.{PORT}"));
        let machine = segment.join(format!("{name}.{MACHINE}"));
        for place in [&path, &machine] {
            remove_dead(place)?;
        }
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(POLL))?;
        let stop = CancelToken::default();
        let relay = Relay {
            socket,
            segment: segment.to_owned(),
            own: path.clone(),
            machine: machine.clone(),
            others: Vec::new(),
        };
        let ending = stop.clone();
        let relay =
            std::thread::Builder::new().name(format!("{name}.{PORT}")).spawn(move || relay.run(&ending))?;
        Ok(Self { path, machine, stop, relay: Some(relay) })
    }

    /// Where the machine sends to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the machine must listen.
    #[must_use]
    pub fn machine(&self) -> &Path {
        &self.machine
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(relay) = self.relay.take() {
            let _ = relay.join();
        }
        for path in [&self.path, &self.machine] {
            // the machine may have removed its own
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes a socket that nobody listens to any more.
fn remove_dead(path: &Path) -> io::Result<()> {
    match UnixDatagram::unbound()?.connect(path) {
        Ok(()) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} belongs to a machine that is running", path.display()),
        )),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(e) => Err(e),
    }
}

struct Relay {
    socket: UnixDatagram,
    segment: PathBuf,
    own: PathBuf,
    machine: PathBuf,
    others: Vec<PathBuf>,
}

impl Relay {
    fn run(mut self, stop: &CancelToken) {
        // a machine that is slow loses frames, as on a real wire, and must not hold up the others
        let _ = self.socket.set_write_timeout(Some(Duration::from_millis(20)));
        let mut frame = vec![0; FRAME_MAX];
        let mut looked: Option<Instant> = None;
        while !stop.is_cancelled() {
            if looked.is_none_or(|at| at.elapsed() >= POLL) {
                self.others = self.look().unwrap_or_default();
                looked = Some(Instant::now());
            }
            let Ok((len, from)) = self.socket.recv_from(&mut frame) else { continue };
            let frame = frame.get(..len).unwrap_or_default();
            if from.as_pathname() == Some(&self.machine) {
                for other in &self.others {
                    let _ = self.socket.send_to(frame, other);
                }
            } else {
                let _ = self.socket.send_to(frame, &self.machine);
            }
        }
    }

    /// The other ports of the segment.
    fn look(&self) -> io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(&self.segment)?.filter_map(Result::ok).map(|entry| entry.path());
        let is_port = |path: &PathBuf| path.extension().is_some_and(|e| e == PORT) && *path != self.own;
        Ok(entries.filter(is_port).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is plugged in.
    fn machine(segment: &Path, name: &str) -> (Port, UnixDatagram) {
        let port = Port::open(segment, name).unwrap();
        let machine = UnixDatagram::bind(port.machine()).unwrap();
        machine.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        machine.connect(port.path()).unwrap();
        (port, machine)
    }

    fn receive(machine: &UnixDatagram) -> Vec<u8> {
        let mut frame = vec![0; FRAME_MAX];
        let len = machine.recv(&mut frame).unwrap();
        frame.truncate(len);
        frame
    }

    #[test]
    fn every_other_machine_gets_a_frame_once_and_the_sender_none() {
        let dir = tempfile::tempdir().unwrap();
        let machines: Vec<_> = ["a", "b", "c"].map(|name| machine(dir.path(), name)).into();
        std::thread::sleep(2 * POLL);
        for (n, (_, sender)) in machines.iter().enumerate() {
            sender.send(&[n as u8; 1514]).unwrap();
            for (other, (_, receiver)) in machines.iter().enumerate() {
                if n != other {
                    assert_eq!(receive(receiver), [n as u8; 1514]);
                }
            }
        }
        for (_, machine) in &machines {
            machine.set_nonblocking(true).unwrap();
            assert!(machine.recv(&mut [0; 10]).is_err());
        }
    }

    #[test]
    fn what_a_killed_machine_left_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        drop(UnixDatagram::bind(dir.path().join("a.port")).unwrap());
        let (port, _machine) = machine(dir.path(), "a");
        assert_eq!(Port::open(dir.path(), "a").unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(port);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

//! A machine of the cluster's owner, plugged into the same switch as the nodes: it has an address of its own, and leads
//! nowhere else.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pibake::emulator::segment::Port;
use support::{tool, tool_path};

/// Its interface in the tests' own network namespace.
const INTERFACE: &str = "laptop";
/// Its address: neither a node's nor among those that node-1 leases to others (from 10.0.0.205 on).
const ADDRESS: &str = "10.0.0.200/24";

pub struct Laptop {
    cable: Child,
    _port: Port,
}

impl Laptop {
    /// Plugs it into the segment in this folder; it is taken out when dropped.
    pub fn plug_in(segment: &Path) -> Self {
        let port = Port::open(segment, INTERFACE).unwrap();
        let interface = format!("TUN:{ADDRESS},tun-type=tap,tun-name={INTERFACE},iff-no-pi,iff-up");
        let socket = format!("UNIX-SENDTO:{},bind={}", port.path().display(), port.machine().display());
        let cable = tool("setpriv", "util-linux")
            .args(["--pdeathsig", "KILL"])
            .arg(tool_path("socat", "socat"))
            .args([interface, socket])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut laptop = Self { cable, _port: port };
        let end = Instant::now() + Duration::from_secs(20);
        while !laptop.has_address() {
            assert!(laptop.cable.try_wait().unwrap().is_none(), "socat ended; it needs /dev/net/tun");
            assert!(Instant::now() < end, "{INTERFACE} gets no address");
            std::thread::sleep(Duration::from_millis(50));
        }
        laptop
    }

    fn has_address(&self) -> bool {
        // fails until the interface is there; /sys has those of another network namespace
        let out =
            tool("ip", "iproute2").args(["-brief", "address", "show", "dev", INTERFACE]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).contains(ADDRESS)
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        let _ = self.cable.kill();
        let _ = self.cable.wait();
    }
}

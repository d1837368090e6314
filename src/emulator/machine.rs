//! The machines that QEMU emulates, and how QEMU is told to be one: a command line, and nothing else.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv4Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::arguments;
use super::devicetree::{Pi, RASPI3B, RASPI4B};

/// Smallest card in bytes, so that a node has room for its packages and images once its file system
/// has grown: 8 GiB.
const SMALLEST_CARD: u64 = 8 << 30;

/// Memory of the `virt` machine in MiB: that of the smallest Pi 4 which Kubernetes is any good on,
/// and all that `raspi4b` has.
const MEMORY_MIB: u32 = 2048;

/// What is emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Machine {
    /// A Raspberry Pi 3 Model B, as far as QEMU emulates it: as a Pi 4, with 1 GiB of memory.
    Raspi3b,
    /// A Raspberry Pi 4 Model B, as far as QEMU emulates it: card, serial port, USB. The Ethernet
    /// port is an adapter on USB; there is no WiFi.
    #[default]
    Raspi4b,
    /// No real machine, with virtio devices: faster, and for kernels that have the drivers.
    Virt,
}

impl FromStr for Machine {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "raspi3b" => Ok(Self::Raspi3b),
            "raspi4b" => Ok(Self::Raspi4b),
            "virt" => Ok(Self::Virt),
            _ => Err("machines are raspi3b, raspi4b and virt".to_owned()),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.pi().map_or("virt", |pi| pi.machine))
    }
}

impl Machine {
    /// Which Pi it is.
    #[must_use]
    pub fn pi(self) -> Option<&'static Pi> {
        match self {
            Self::Raspi3b => Some(&RASPI3B),
            Self::Raspi4b => Some(&RASPI4B),
            Self::Virt => None,
        }
    }

    /// Size of the card for an image of `len` bytes: QEMU's SD card takes a power of two alone.
    #[must_use]
    pub fn card_len(len: u64) -> Option<u64> {
        Some(len.checked_next_power_of_two()?.max(SMALLEST_CARD))
    }
}

/// Where the parts of one emulated machine are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// An arm64 kernel image.
    pub kernel: PathBuf,
    /// The initial file system.
    pub initrd: Option<PathBuf>,
    /// The device tree; for a Pi only.
    pub device_tree: Option<PathBuf>,
    /// The card, as qcow2.
    pub card: PathBuf,
    /// The UNIX socket on which somebody listens for the console.
    pub console: PathBuf,
}

/// What an Ethernet adapter of the machine is plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cable {
    /// A segment: QEMU's own socket, and that of the [`super::segment::Port`] it is plugged into.
    Segment {
        /// Where QEMU receives.
        own: PathBuf,
        /// Where it sends to.
        port: PathBuf,
    },
    /// QEMU's user-mode network: a router with a DHCP server and a way out, as far as this machine
    /// has one.
    User(UserNetwork),
}

/// QEMU's user-mode network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserNetwork {
    /// A port of this machine's loopback that leads to the guest's SSH server at this address (or
    /// the one that it gets by DHCP).
    pub ssh: Option<(u16, Option<Ipv4Addr>)>,
    /// In this /24 instead of 10.0.2.0/24; the router has the last address.
    pub within: Option<Ipv4Addr>,
    /// Nothing gets out of it.
    pub restricted: bool,
}

/// How many bytes an Ethernet address has.
pub type Mac = [u8; 6];

/// One emulated machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// What it is.
    pub machine: Machine,
    /// Where its parts are.
    pub files: Files,
    /// The arguments in the image's `cmdline.txt`.
    pub cmdline: String,
    /// Its Ethernet adapters, eth0 first.
    pub adapters: Vec<(Mac, Cable)>,
    /// The card is thrown away afterwards, so it need not survive a crash of this machine.
    pub throw_away: bool,
    /// How many processors `virt` has.
    pub processors: usize,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// Translation: works everywhere, and is slow.
    Tcg,
    /// This machine's own processors, by Linux's KVM.
    Kvm,
    /// This machine's own processors, by macOS's Hypervisor framework.
    Hvf,
}

impl Accelerator {
    /// The best that there is here; a Pi's processors are always translated.
    #[must_use]
    pub fn best() -> Self {
        let is_arm = cfg!(target_arch = "aarch64");
        if is_arm && cfg!(target_os = "macos") {
            Self::Hvf
        } else if is_arm && std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok() {
            Self::Kvm
        } else {
            Self::Tcg
        }
    }
}

impl Setup {
    /// QEMU's arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut list = Arguments::default();
        match (self.machine, self.accelerator) {
            (machine @ (Machine::Raspi3b | Machine::Raspi4b), _) => list.add("-M", machine.to_string()),
            (Machine::Virt, accelerator) => {
                list.add("-M", "virt");
                match accelerator {
                    Accelerator::Tcg => list.add("-cpu", "cortex-a72"),
                    Accelerator::Kvm => list.add("-accel", "kvm").add("-cpu", "host"),
                    Accelerator::Hvf => list.add("-accel", "hvf").add("-cpu", "host"),
                };
                list.add("-smp", self.processors.to_string());
                list.add("-m", MEMORY_MIB.to_string()).flag("-nodefaults")
            }
        };
        list.add("-display", "none").add("-monitor", "none");
        list.add("-chardev", option("socket,id=console,path=", &self.files.console));
        list.add("-serial", "chardev:console");
        list.add("-kernel", &self.files.kernel);
        if let Some(initrd) = &self.files.initrd {
            list.add("-initrd", initrd);
        }
        if let Some(device_tree) = &self.files.device_tree {
            list.add("-dtb", device_tree);
        }
        let translated = self.accelerator == Accelerator::Tcg;
        list.add("-append", arguments::for_emulation(&self.cmdline, translated));
        let cache = if self.throw_away { "unsafe" } else { "writeback" };
        match self.machine {
            Machine::Raspi3b | Machine::Raspi4b => {
                let drive = format!("if=sd,format=qcow2,cache={cache},file=");
                list.add("-drive", option(&drive, &self.files.card))
            }
            Machine::Virt => {
                let drive = format!("if=none,id=card,format=qcow2,cache={cache},file=");
                list.add("-drive", option(&drive, &self.files.card));
                list.add("-device", "virtio-blk-pci,drive=card");
                list.add("-device", "virtio-rng-pci")
            }
        };
        self.add_adapters(&mut list);
        list.0
    }

    fn add_adapters(&self, list: &mut Arguments) {
        // the Pi's one root port takes a hub where there is more than one adapter
        let hub = self.machine.pi().is_some() && self.adapters.len() > 1;
        if hub {
            list.add("-device", "usb-hub,port=1");
        }
        for (index, (mac, cable)) in self.adapters.iter().enumerate() {
            let id = format!("eth{index}");
            list.add("-netdev", cable.netdev(&id));
            let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
            let device = match self.machine {
                Machine::Raspi3b | Machine::Raspi4b if hub => {
                    format!("usb-net,netdev={id},mac={mac},port=1.{}", index + 1)
                }
                Machine::Raspi3b | Machine::Raspi4b => format!("usb-net,netdev={id},mac={mac}"),
                // without a boot ROM, whose file is in a package of its own
                Machine::Virt => format!("virtio-net-pci,netdev={id},mac={mac},romfile="),
            };
            list.add("-device", device);
        }
    }
}

impl Cable {
    fn netdev(&self, id: &str) -> OsString {
        match self {
            Self::Segment { own, port } => {
                let mut text = option(&format!("dgram,id={id},local.type=unix,local.path="), own);
                text.push(option(",remote.type=unix,remote.path=", port));
                text
            }
            Self::User(network) => {
                let mut text = format!("user,id={id}");
                if let Some([a, b, c, _]) = network.within.map(|address| address.octets()) {
                    text += &format!(",net={a}.{b}.{c}.0/24,host={a}.{b}.{c}.254,dns={a}.{b}.{c}.253");
                }
                if network.restricted {
                    text += ",restrict=on";
                }
                if let Some((port, guest)) = network.ssh {
                    let guest = guest.map_or_else(String::new, |address| address.to_string());
                    text += &format!(",hostfwd=tcp:127.0.0.1:{port}-{guest}:22");
                }
                text.into()
            }
        }
    }
}

/// A list of arguments.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.extend([name.into(), value.into()]);
        self
    }
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.into());
        self
    }
}

/// An option that ends in a path. In QEMU's lists of options a comma is written twice.
fn option(head: &str, path: &Path) -> OsString {
    let mut bytes = head.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::Board;

    fn setup(machine: Machine) -> Setup {
        let file = |name: &str| Path::new("/run/a,b").join(name);
        let segment = Cable::Segment { own: file("eth0.qemu"), port: file("eth0.port") };
        let user = Cable::User(UserNetwork { ssh: Some((2222, None)), ..UserNetwork::default() });
        Setup {
            machine,
            files: Files {
                kernel: file("kernel"),
                initrd: Some(file("initrd.img")),
                device_tree: machine.pi().map(|pi| file(pi.trees()[0])),
                card: file("card.qcow2"),
                console: file("console"),
            },
            cmdline: "root=LABEL=writable quiet".into(),
            adapters: vec![([0xdc, 0xa6, 0x32, 0, 0, 1], segment), ([0xdc, 0xa6, 0x32, 1, 0, 1], user)],
            throw_away: machine == Machine::Virt,
            processors: 2,
            accelerator: Accelerator::Tcg,
        }
    }

    fn text(setup: &Setup) -> String {
        let words = setup.arguments();
        let lines = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>();
        lines
            .join("\n")
            .replace("\n-", "\n\n-")
            .replace("\n\n", "\x01")
            .replace('\n', " ")
            .replace('\x01', "\n")
    }

    #[test]
    fn raspi4b() {
        insta::assert_snapshot!(text(&setup(Machine::Raspi4b)));
    }

    #[test]
    fn raspi3b() {
        insta::assert_snapshot!(text(&setup(Machine::Raspi3b)));
    }

    #[test]
    fn every_board_runs_as_a_machine_that_is_known() {
        for board in Board::ALL {
            let machine: Machine = board.machine().parse().unwrap();
            assert!(machine.pi().is_some(), "{board}");
        }
    }

    #[test]
    fn virt() {
        insta::assert_snapshot!(text(&setup(Machine::Virt)));
    }

    #[test]
    fn a_network_in_the_clusters_own_subnet_keeps_out_of_its_way() {
        let within = Ipv4Addr::new(10, 0, 0, 1);
        let user = UserNetwork { ssh: Some((1, Some(within))), within: Some(within), restricted: true };
        assert_eq!(
            Cable::User(user).netdev("eth0").to_string_lossy(),
            "user,id=eth0,net=10.0.0.0/24,host=10.0.0.254,dns=10.0.0.253,restrict=on,hostfwd=tcp:127.0.0.1:1-10.0.0.1:22"
        );
    }

    #[test]
    fn cards_are_powers_of_two_with_room() {
        assert_eq!(Machine::card_len(1), Some(8 << 30));
        assert_eq!(Machine::card_len((8 << 30) + 1), Some(16 << 30));
        assert_eq!(Machine::card_len(u64::MAX), None);
    }
}

//! The boards that run arm64: what tells them apart before there is a kernel, and what differs from one to the other.
//! Whoever asks about a board asks here.
//!
//! Memory and ports are those of the products' pages at raspberrypi.com and of "Raspberry Pi computer hardware" in
//! Raspberry Pi's documentation.

mod boot_from;
mod kinds;

use std::fmt;

pub use boot_from::BootFrom;
pub use kinds::{KINDS, Kind, OTHER_FILTERS, nameless};

/// The Ethernet port of every board by the kernel's own name, which `net.ifnames=0` keeps.
pub const PORT: &str = "eth0";

/// A board that a description may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// Pi 3 Model B and B+.
    Pi3,
    /// Pi 4 Model B.
    Pi4,
    /// Pi 400.
    Pi400,
    /// Compute Module 4.
    Cm4,
    /// Pi 5.
    Pi5,
    /// Compute Module 5.
    Cm5,
}

/// Where the Ethernet port of a board is. By systemd's names it is `end0` (an alias in the device tree; systemd 251 and
/// later), or `enx` and its hardware address behind USB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ethernet {
    /// On the board.
    Onboard,
    /// On the board, behind its one USB port: a second adapter shares that with it.
    BehindUsb,
    /// The module has the controller, and what it is plugged onto may have a port.
    OnCarrier,
}

/// What the boards of one chip have in common.
struct Chip {
    /// The oldest of Ubuntu's series that starts it: linux-raspi of 20.04 has device trees of BCM2837 and BCM2711, of
    /// BCM2712 that of 24.04 is the first in a series that pibake knows (discourse.ubuntu.com, release notes of 24.04).
    oldest_ubuntu: &'static str,
    /// The date of the bootloader that it must have in its EEPROM for [`WANTS_BOOTLOADER`] and later (release notes of
    /// 26.04); `None` where the bootloader is on the card.
    bootloader: Option<&'static str>,
    /// QEMU's machine that is nearest to it (docs/system/arm/raspi.rst): none has a BCM2712.
    machine: &'static str,
}

/// The first of Ubuntu's series that its kernel's trial boot (`[tryboot]`) makes choosy about bootloaders.
const WANTS_BOOTLOADER: &str = "26.04";

const BCM2837: Chip = Chip { oldest_ubuntu: "20.04", bootloader: None, machine: "raspi3b" };
const BCM2711: Chip = Chip { oldest_ubuntu: "20.04", bootloader: Some("2022-11-25"), machine: "raspi4b" };
const BCM2712: Chip = Chip { oldest_ubuntu: "24.04", bootloader: Some("2025-02-11"), machine: "raspi4b" };

/// What is known of a board.
struct Facts {
    /// What a description calls it.
    key: &'static str,
    /// What people call it.
    name: &'static str,
    chip: Chip,
    /// The least and the most memory that it was ever sold with, in GiB.
    memory_gib: (u32, u32),
    ethernet: Ethernet,
}

/// In the order of [`Board`].
static FACTS: [Facts; 6] = [
    Facts {
        key: "pi3",
        name: "Pi 3",
        chip: BCM2837,
        memory_gib: (1, 1),
        // LAN9514 on the B, LAN7515 on the B+
        ethernet: Ethernet::BehindUsb,
    },
    Facts { key: "pi4", name: "Pi 4", chip: BCM2711, memory_gib: (1, 8), ethernet: Ethernet::Onboard },
    Facts { key: "pi400", name: "Pi 400", chip: BCM2711, memory_gib: (4, 4), ethernet: Ethernet::Onboard },
    Facts {
        key: "cm4",
        name: "Compute Module 4",
        chip: BCM2711,
        memory_gib: (1, 8),
        ethernet: Ethernet::OnCarrier,
    },
    // with 1 GB since December 2025
    Facts { key: "pi5", name: "Pi 5", chip: BCM2712, memory_gib: (1, 16), ethernet: Ethernet::Onboard },
    Facts {
        key: "cm5",
        name: "Compute Module 5",
        chip: BCM2712,
        memory_gib: (2, 16),
        ethernet: Ethernet::OnCarrier,
    },
];

impl Board {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Pi3, Self::Pi4, Self::Pi400, Self::Cm4, Self::Pi5, Self::Cm5];

    fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }

    /// The board that a description calls `key`.
    #[must_use]
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.as_str() == key)
    }

    /// As pibake.toml, overlays and JSON name it: `pi4`, `cm5`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.facts().key
    }

    /// As people call it: `Pi 4`, `Compute Module 5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The oldest of Ubuntu's series that starts it, such as `24.04`.
    #[must_use]
    pub fn oldest_ubuntu(self) -> &'static str {
        self.facts().chip.oldest_ubuntu
    }

    /// Whether this series of Ubuntu's, such as `22.04`, starts it.
    #[must_use]
    pub fn starts_with(self, ubuntu: &str) -> bool {
        // their names are dates: two digits each of a year and a month
        ubuntu >= self.oldest_ubuntu()
    }

    /// The date of the oldest bootloader in its EEPROM that this series of Ubuntu's starts with; `None` where any does.
    #[must_use]
    pub fn bootloader(self, ubuntu: &str) -> Option<&'static str> {
        self.facts().chip.bootloader.filter(|_| ubuntu >= WANTS_BOOTLOADER)
    }

    /// The least and the most memory that it was ever sold with, in GiB.
    #[must_use]
    pub fn memory_gib(self) -> (u32, u32) {
        self.facts().memory_gib
    }

    /// Where its Ethernet port is; the kernel calls it [`PORT`] on all of them.
    #[must_use]
    pub fn ethernet(self) -> Ethernet {
        self.facts().ethernet
    }

    /// Whether each of its kind has a radio: modules are sold with and without.
    #[must_use]
    pub fn always_has_wifi(self) -> bool {
        self.ethernet() != Ethernet::OnCarrier
    }

    /// QEMU's machine that is nearest to it.
    #[must_use]
    pub fn machine(self) -> &'static str {
        self.facts().chip.machine
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_board_has_its_own_row() {
        for (board, key) in Board::ALL.into_iter().zip(["pi3", "pi4", "pi400", "cm4", "pi5", "cm5"]) {
            assert_eq!((board.as_str(), Board::named(key)), (key, Some(board)));
            let (least, most) = board.memory_gib();
            assert!(least <= most, "{board}");
        }
        assert_eq!(Board::named("pi2"), None);
    }

    #[test]
    fn series_and_bootloaders_go_by_the_chip() {
        let of = |board: Board| {
            let series = ["20.04", "22.04", "24.04", "26.04"].map(|series| board.starts_with(series));
            (series, board.bootloader("24.04"), board.bootloader("26.04"), board.machine())
        };
        let (all, late) = ([true; 4], [false, false, true, true]);
        assert_eq!(of(Board::Pi3), (all, None, None, "raspi3b"));
        for board in [Board::Pi4, Board::Pi400, Board::Cm4] {
            assert_eq!(of(board), (all, None, Some("2022-11-25"), "raspi4b"), "{board}");
        }
        for board in [Board::Pi5, Board::Cm5] {
            assert_eq!(of(board), (late, None, Some("2025-02-11"), "raspi4b"), "{board}");
        }
    }

    #[test]
    fn a_board_has_a_port_or_what_it_is_plugged_onto_has() {
        let modules = [Board::Cm4, Board::Cm5];
        for board in Board::ALL {
            assert_eq!(board.ethernet() == Ethernet::OnCarrier, modules.contains(&board), "{board}");
        }
        assert_eq!(Board::Pi3.ethernet(), Ethernet::BehindUsb);
    }
}

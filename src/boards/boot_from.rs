//! What a board starts from.
//!
//! Boot orders are those of "Raspberry Pi bootloader configuration" and "Boot flow" in Raspberry Pi's documentation.

use std::fmt;

use super::Board;

/// What a board starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootFrom {
    /// The card in its slot, or a module's eMMC in the place of that.
    Sd,
    /// A disk at a USB port.
    Usb,
    /// An NVMe disk at its PCIe.
    Nvme,
}

impl BootFrom {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sd, Self::Usb, Self::Nvme];

    /// As pibake.toml, overlays and JSON name it: `usb`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sd => "sd",
            Self::Usb => "usb",
            Self::Nvme => "nvme",
        }
    }

    /// What a description calls `word`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|from| from.as_str() == word)
    }

    /// As people call it, with its article.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Sd => "an SD card",
            Self::Usb => "a USB disk",
            Self::Nvme => "an NVMe disk",
        }
    }

    /// Whether it is a disk, which may be of any size and is not taken out.
    #[must_use]
    pub const fn is_disk(self) -> bool {
        !matches!(self, Self::Sd)
    }

    /// What must be so, as sold, for `board` or any to start from it.
    #[must_use]
    pub const fn condition(self, board: Option<Board>) -> Option<&'static str> {
        Some(match (self, board) {
            (Self::Sd, _) => return None,
            (Self::Usb, Some(Board::Pi3)) => {
                "its SD slot is empty, and a model B was told once to boot from USB (program_usb_boot_mode=1)"
            }
            (Self::Usb, _) => "its SD slot is empty, or BOOT_ORDER in its EEPROM has USB first (0xf14)",
            (Self::Nvme, _) => "its SD slot is empty, or BOOT_ORDER in its EEPROM has NVMe first (0xf416)",
        })
    }
}

impl fmt::Display for BootFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Board {
    /// Whether it has what a disk of this kind is plugged into, or may have on what a module is plugged onto.
    #[must_use]
    pub const fn starts_from(self, from: BootFrom) -> bool {
        match from {
            BootFrom::Sd | BootFrom::Usb => true,
            BootFrom::Nvme => matches!(self, Self::Cm4 | Self::Pi5 | Self::Cm5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_without_pcie_start_from_no_nvme_disk() {
        let able: Vec<_> = Board::ALL.into_iter().filter(|board| board.starts_from(BootFrom::Nvme)).collect();
        assert_eq!(able, [Board::Cm4, Board::Pi5, Board::Cm5]);
        for board in Board::ALL {
            assert!(board.starts_from(BootFrom::Sd) && board.starts_from(BootFrom::Usb), "{board}");
        }
    }

    #[test]
    fn a_card_needs_nothing_and_each_disk_something() {
        for board in Board::ALL.into_iter().map(Some).chain([None]) {
            for from in BootFrom::ALL {
                assert_eq!(from.condition(board).is_some(), from.is_disk(), "{from} {board:?}");
                assert_eq!(BootFrom::named(from.as_str()), Some(from));
            }
        }
    }
}

//! The kinds of boards that a firmware tells apart.
//!
//! Filters are from "Conditional filters" in Raspberry Pi's documentation of config.txt; names of device trees are those
//! of arch/arm64/boot/dts/broadcom in Raspberry Pi's kernel, and of the same folder in Linux, where they differ.

use super::Board;

/// A kind of board, as its firmware knows it. Several may be one [`Board`].
#[derive(Debug)]
pub struct Kind {
    /// As people call it.
    pub name: &'static str,
    /// What a description calls it; `None` for those that it has no name for, which are served where the image serves
    /// them.
    pub board: Option<Board>,
    /// The filters that let its settings through.
    pub filters: &'static [&'static str],
    /// The device trees that its firmware hands to the kernel, the first of them that is there; none for those that have
    /// no name in a description.
    pub trees: &'static [&'static str],
}

const fn named(
    name: &'static str,
    board: Board,
    filters: &'static [&'static str],
    trees: &'static [&'static str],
) -> Kind {
    Kind { name, board: Some(board), filters, trees }
}

const fn other(name: &'static str, filters: &'static [&'static str]) -> Kind {
    Kind { name, board: None, filters, trees: &[] }
}

/// All that run an arm64 kernel.
pub static KINDS: [Kind; 11] = [
    named("Pi 4", Board::Pi4, &["pi4"], &["bcm2711-rpi-4-b.dtb"]),
    named("Pi 400", Board::Pi400, &["pi4", "pi400"], &["bcm2711-rpi-400.dtb"]),
    named(
        "Compute Module 4",
        Board::Cm4,
        &["pi4", "cm4"],
        &["bcm2711-rpi-cm4.dtb", "bcm2711-rpi-cm4-io.dtb"],
    ),
    other("Compute Module 4S", &["pi4", "cm4s"]),
    named("Pi 5", Board::Pi5, &["pi5"], &["bcm2712-rpi-5-b.dtb"]),
    other("Pi 500", &["pi5", "pi500"]),
    // "l" is the one without eMMC; the rest says what it is plugged onto
    named(
        "Compute Module 5",
        Board::Cm5,
        &["pi5", "cm5"],
        &[
            "bcm2712-rpi-cm5-cm5io.dtb",
            "bcm2712-rpi-cm5-cm4io.dtb",
            "bcm2712-rpi-cm5l-cm5io.dtb",
            "bcm2712-rpi-cm5l-cm4io.dtb",
        ],
    ),
    named("Pi 3", Board::Pi3, &["pi3"], &["bcm2710-rpi-3-b.dtb", "bcm2837-rpi-3-b.dtb"]),
    named(
        "Pi 3+",
        Board::Pi3,
        &["pi3", "pi3+"],
        &[
            "bcm2710-rpi-3-b-plus.dtb",
            "bcm2837-rpi-3-b-plus.dtb",
            "bcm2710-rpi-3-b.dtb",
            "bcm2837-rpi-3-b.dtb",
        ],
    ),
    other("Compute Module 3", &["pi3", "cm3", "cm3+"]),
    other("Zero 2 W", &["pi0", "pi02"]),
];

/// Filters of boards that run no arm64 kernel.
pub const OTHER_FILTERS: [&str; 4] = ["pi1", "pi2", "pi0w", "cm1"];

/// The kind that has this filter and no name in a description, where the filter is not that of one which has.
#[must_use]
pub fn nameless(filter: &str) -> Option<&'static Kind> {
    let mut having = KINDS.iter().filter(|kind| kind.filters.contains(&filter));
    let first = having.next()?;
    (first.board.is_none() && having.all(|kind| kind.board.is_none())).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_is_a_kind_or_several_that_its_own_filter_lets_through() {
        for board in Board::ALL {
            let kinds: Vec<&Kind> = KINDS.iter().filter(|kind| kind.board == Some(board)).collect();
            assert!(!kinds.is_empty(), "{board}");
            assert!(kinds.iter().any(|kind| kind.name == board.name()), "{board}");
            for kind in kinds {
                assert!(kind.filters.contains(&board.as_str()) && !kind.trees.is_empty(), "{}", kind.name);
            }
        }
    }

    #[test]
    fn some_kinds_have_no_name_in_a_description() {
        let name = |filter| nameless(filter).map(|kind| kind.name);
        assert_eq!(
            [name("pi500"), name("cm4s"), name("cm3+"), name("pi02")],
            [Some("Pi 500"), Some("Compute Module 4S"), Some("Compute Module 3"), Some("Zero 2 W")]
        );
        for filter in ["pi3", "pi3+", "pi4", "pi400", "pi5", "pi2", ""] {
            assert_eq!(name(filter), None, "{filter}");
        }
    }
}

//! The boards that run arm64, by the names that config.txt has for them.
//!
//! From "Conditional filters" in Raspberry Pi's documentation of config.txt.

/// A kind of board.
#[derive(Debug)]
pub(super) struct Board {
    /// As people call it.
    pub name: &'static str,
    /// The filters that let its settings through.
    pub filters: &'static [&'static str],
    /// One that pibake makes cards for; others are served where the image serves them.
    pub is_main: bool,
}

const fn board(name: &'static str, filters: &'static [&'static str]) -> Board {
    Board { name, filters, is_main: false }
}

pub(super) const BOARDS: [Board; 11] = [
    Board { name: "Pi 4", filters: &["pi4"], is_main: true },
    board("Pi 400", &["pi4", "pi400"]),
    board("Compute Module 4", &["pi4", "cm4"]),
    board("Compute Module 4S", &["pi4", "cm4s"]),
    board("Pi 5", &["pi5"]),
    board("Pi 500", &["pi5", "pi500"]),
    board("Compute Module 5", &["pi5", "cm5"]),
    board("Pi 3", &["pi3"]),
    board("Pi 3+", &["pi3", "pi3+"]),
    board("Compute Module 3", &["pi3", "cm3", "cm3+"]),
    board("Zero 2 W", &["pi0", "pi02"]),
];

/// Filters of boards that run no arm64 kernel.
pub(super) const OTHER_FILTERS: [&str; 4] = ["pi1", "pi2", "pi0w", "cm1"];

/// Where a configuration is read: on which board, and whether in a trial boot.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub board: &'a Board,
    pub is_trial: bool,
}

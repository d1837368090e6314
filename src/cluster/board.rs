//! The boards of a description: what they are called, and what goes with them.

use super::platform::Platform;
use super::problem::Problem;
use super::warning::Warning;
use super::{Cluster, Node, unknown};
use crate::boards::{Board, nameless};

/// kubeadm's preflight refuses a control plane with less memory, in MiB (`ControlPlaneMem` of cmd/kubeadm/app/constants).
const CONTROL_PLANE_MIB: u32 = 1700;

/// The board that a description calls so.
pub(super) fn board(text: &str) -> Result<Board, String> {
    if let Some(board) = Board::named(text) {
        return Ok(board);
    }
    let words = Board::ALL.into_iter().map(Board::as_str);
    let is_kept = |c: &char| c.is_ascii_alphanumeric() || *c == '+';
    let bare: String = text.to_lowercase().chars().filter(is_kept).collect();
    if let Some(kind) = nameless(&bare) {
        return Err(format!(
            "{}; a {} has no name here: leave the key out, and the card serves every board that the base image starts",
            unknown::must_be(words),
            kind.name
        ));
    }
    Err(unknown::word_for(text, words, meant(&bare).map(Board::as_str)))
}

/// What somebody meant by `raspi4`, `rpi4b`, `4` or `raspberrypi4`: the number decides, and whether it is a module's.
fn meant(bare: &str) -> Option<Board> {
    let is_module = bare.contains("cm") || bare.contains("module");
    let number: String = bare.chars().filter(char::is_ascii_digit).collect();
    Some(match (is_module, number.as_str()) {
        (false, "3") => Board::Pi3,
        (false, "4") => Board::Pi4,
        (false, "400") => Board::Pi400,
        (true, "4") => Board::Cm4,
        (false, "5") => Board::Pi5,
        (true, "5") => Board::Cm5,
        _ => return None,
    })
}

impl Cluster {
    /// Refuses to make cards of these nodes over an image of `platform` where one of their boards does not start with it;
    /// others may have been made over another image. Of what is not Ubuntu's nothing is known here: whether it has what
    /// the board needs is seen in the image.
    pub fn check_boards(&self, platform: &Platform, nodes: &[&Node]) -> Result<(), Problem> {
        if platform.id != "ubuntu" {
            return Ok(());
        }
        let mut boards = nodes.iter().filter_map(|node| Some((*node, node.board?)));
        let Some((node, board)) = boards.find(|(_, board)| !board.starts_with(platform.version)) else {
            return Ok(());
        };
        let (oldest, name) = (board.oldest_ubuntu(), board.name());
        let message = format!(
            "{} does not start on a {name}, which needs {oldest} or newer: write image = \"{oldest}\" in [base], or \
             give --base {oldest}; all other boards start with it as well",
            platform.title()
        );
        Err(self.origins.problem(&self.origins.of_node(node.number, "board"), message))
    }

    /// What is said where kubeadm would refuse the board of the control plane for its memory, whichever of its kind it is.
    pub(super) fn small_control_plane(&self) -> Option<Warning> {
        let node = self.control_plane()?;
        let board = node.board.filter(|board| board.memory_gib().1 * 1024 < CONTROL_PLANE_MIB)?;
        Some(Warning::SmallControlPlane { node: node.name.to_string(), board })
    }
}

/// What a series of Ubuntu's needs of what is in the EEPROM of boards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootloader {
    /// The system, such as `Ubuntu 26.04`.
    pub system: String,
    /// The boards.
    pub boards: Vec<Board>,
    /// The date of the oldest bootloader that does.
    pub oldest: &'static str,
}

impl Bootloader {
    /// What the boards of these nodes must have for `platform`, one entry a date; nothing of boards that are not named.
    #[must_use]
    pub fn needed(platform: &Platform, nodes: &[&Node]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        if platform.id != "ubuntu" {
            return all;
        }
        for board in nodes.iter().filter_map(|node| node.board) {
            let Some(oldest) = board.bootloader(platform.version) else { continue };
            match all.iter_mut().find(|needed| needed.oldest == oldest) {
                Some(needed) if needed.boards.contains(&board) => {}
                Some(needed) => needed.boards.push(board),
                None => all.push(Self { system: platform.title(), boards: vec![board], oldest }),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Overrides;

    fn parse(text: &str) -> Cluster {
        Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default()).unwrap()
    }

    fn on(name: &str) -> Platform {
        Platform::named(name).unwrap()
    }

    #[test]
    fn slips_of_boards_are_recognised() {
        for (given, meant) in [
            ("raspi4", "pi4"),
            ("rpi4", "pi4"),
            ("4", "pi4"),
            ("pi-4", "pi4"),
            ("Pi 4", "pi4"),
            ("PI4", "pi4"),
            ("4b", "pi4"),
            ("Raspberry Pi 4 Model B", "pi4"),
            ("raspberrypi5", "pi5"),
            ("Pi 3B+", "pi3"),
            ("rpi400", "pi400"),
            ("CM-4", "cm4"),
            ("Compute Module 5", "cm5"),
        ] {
            let said = board(given).unwrap_err();
            assert!(said.ends_with(&format!("; did you mean {meant:?}?")), "{given}: {said}");
        }
        let words = "must be \"pi3\", \"pi4\", \"pi400\", \"cm4\", \"pi5\" or \"cm5\"";
        for given in ["", "zzz", "pi", "pi2", "pi6", "bcm2711"] {
            assert_eq!(board(given), Err(words.to_owned()), "{given}");
        }
        let said = board("Pi 500").unwrap_err();
        assert!(said.starts_with(words) && said.contains("a Pi 500 has no name here"), "{said}");
        for kept in Board::ALL {
            assert_eq!(board(kept.as_str()), Ok(kept));
        }
    }

    #[test]
    fn one_for_all_or_each_its_own() {
        let boards = |text: &str| parse(text).nodes.iter().map(|node| node.board).collect::<Vec<_>>();
        assert_eq!(boards("nodes = 2\n"), [None::<Board>; 2]);
        assert_eq!(boards("board = \"pi4\"\nnodes = 2\n"), [Some(Board::Pi4); 2]);
        assert_eq!(
            boards("board = \"pi4\"\nnodes = [{}, { board = \"cm5\" }]\n"),
            [Some(Board::Pi4), Some(Board::Cm5)]
        );
        assert_eq!(boards("nodes = [{ board = \"pi5\" }, {}]\n"), [Some(Board::Pi5), None]);
    }

    #[test]
    fn a_base_that_cannot_start_a_board_is_refused_with_what_to_take() {
        let said = |text: &str, platform: &str| {
            let cluster = parse(text);
            let nodes: Vec<&Node> = cluster.nodes.iter().collect();
            let refused = cluster.check_boards(&on(platform), &nodes).err();
            refused.map(|problem| problem.to_string()).unwrap_or_default()
        };
        insta::assert_snapshot!(said("board = \"pi5\"\n", "20.04"), @"pibake.toml:1:9: board: Ubuntu 20.04 does not start on a Pi 5, which needs 24.04 or newer: write image = \"24.04\" in [base], or give --base 24.04; all other boards start with it as well");
        let one = "nodes = [{}, { board = \"cm5\" }]\n";
        let told = said(one, "22.04");
        let start = "pibake.toml:1:24: nodes[2].board: Ubuntu 22.04 does not start on a Compute Module 5";
        assert!(told.starts_with(start), "{told}");
        // the card of another node is made over what it starts with
        let cluster = parse(one);
        assert!(cluster.check_boards(&on("22.04"), &[&cluster.nodes[0]]).is_ok());
        for board in Board::ALL {
            let text = format!("board = \"{board}\"\n");
            for series in ["20.04", "22.04", "24.04", "26.04"] {
                assert_eq!(said(&text, series).is_empty(), board.starts_with(series), "{board} on {series}");
            }
            // nothing is known of it here
            assert_eq!(said(&text, "debian-12"), "");
        }
    }

    #[test]
    fn a_control_plane_with_too_little_memory_is_warned_of() {
        let warned = |text: &str| {
            let warnings = parse(text).warnings();
            let small = warnings.into_iter().filter(|w| matches!(w, Warning::SmallControlPlane { .. }));
            small.map(|warning| warning.to_string()).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(warned("board = \"pi3\"\n"), @"node-1 is to run the control plane on a Pi 3, which has 1 GB of memory: kubeadm refuses less than 1.7 GB, and the first boot ends there. Give that role to another board");
        assert_eq!(warned("nodes = [{ board = \"pi4\" }, { board = \"pi3\" }]\n"), "");
        for other in ["pi4", "pi400", "cm4", "pi5", "cm5"] {
            assert_eq!(warned(&format!("board = \"{other}\"\n")), "", "{other}");
        }
    }

    #[test]
    fn what_is_needed_of_bootloaders_is_said_once_for_each_date() {
        let boards = ["pi4", "cm4", "pi4", "pi5", "pi3"].map(|board| format!("{{ board = \"{board}\" }}, "));
        let cluster = parse(&format!("nodes = [{}{{}}]\n", boards.concat()));
        let nodes: Vec<&Node> = cluster.nodes.iter().collect();
        let needed = |platform: &str| Bootloader::needed(&on(platform), &nodes);
        let dates: Vec<_> = needed("26.04").into_iter().map(|one| (one.oldest, one.boards)).collect();
        let expected = [("2022-11-25", vec![Board::Pi4, Board::Cm4]), ("2025-02-11", vec![Board::Pi5])];
        assert_eq!(dates, expected);
        assert!(needed("24.04").is_empty() && needed("debian-12").is_empty());
    }
}

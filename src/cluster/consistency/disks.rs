//! What nodes start from.

use crate::boards::{Board, BootFrom};
use crate::cluster::{Cluster, KernelArgument};

/// A board must have what its disk is plugged into.
pub(super) fn boards(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    for node in &cluster.nodes {
        let (Some(board), Some(from)) = (node.board, node.boot_from) else { continue };
        if board.starts_from(from) {
            continue;
        }
        let able = Board::ALL.into_iter().filter(|board| board.starts_from(from));
        let able: Vec<_> = able.map(|board| format!("{:?}", board.as_str())).collect();
        let (name, title) = (board.name(), from.title());
        let message = format!(
            "{} is a {name}, which does not start from {title}: take {:?}, or one of the boards {}",
            node.name,
            BootFrom::Usb.as_str(),
            able.join(", ")
        );
        report(&cluster.origins.of_node(node.number, "boot-from"), message);
    }
}

/// The kernel takes the last of two settings, and leaves out the other one.
pub(super) fn quirks(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let parameter = KernelArgument::new("usb-storage.quirks=");
    let is_given = cluster.base.kernel_arguments.iter().any(|given| parameter.covers(given.as_str()));
    if is_given && !cluster.usb_quirks.is_empty() {
        let message = "is the kernel's usb-storage.quirks, which base.kernel-arguments sets, too: write all of them here";
        report("usb-quirks", message.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Overrides;

    fn said(text: &str) -> String {
        let parsed = Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default());
        parsed.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_board_without_pcie_has_no_nvme_disk() {
        insta::assert_snapshot!(said("board = \"pi4\"\nboot-from = \"nvme\"\nnodes = 1\n"), @r#"pibake.toml:2:13: boot-from: node-1 is a Pi 4, which does not start from an NVMe disk: take "usb", or one of the boards "cm4", "pi5", "cm5"
  2 | boot-from = "nvme"
    |             ^^^^^^"#);
        let own = said(
            "nodes = [{ board = \"pi3\" }, { board = \"pi5\", boot-from = \"nvme\" }, { board = \"pi400\", boot-from = \"nvme\" }]\n",
        );
        assert!(own.contains("nodes[3].boot-from: node-3 is a Pi 400, which"), "{own}");
        for board in Board::ALL {
            for from in BootFrom::ALL {
                let text = format!("board = \"{board}\"\nboot-from = \"{from}\"\n");
                assert_eq!(said(&text).is_empty(), board.starts_from(from), "{text}");
            }
        }
        assert_eq!(said("boot-from = \"nvme\"\n"), "");
        assert!(said("boot-from = \"ssd\"\n").contains("must be \"sd\", \"usb\" or \"nvme\""));
    }

    #[test]
    fn quirks_are_written_in_one_place() {
        let both = "usb-quirks = [\"152d:0578:u\"]\n[base]\nkernel-arguments = [\"usb_storage.quirks=174c:55aa:u\"]\n";
        assert!(said(both).contains("usb-quirks: is the kernel's usb-storage.quirks"), "{}", said(both));
        assert!(said("usb-quirks = [\"152d:0578\"]\n").contains("lsusb"));
        let many = |count| format!("usb-quirks = [{}]\n", vec!["\"152d:0578:u\""; count].join(", "));
        assert_eq!(said(&many(10)), "");
        assert!(said(&many(11)).contains("131 bytes with its commas"), "{}", said(&many(11)));
    }
}

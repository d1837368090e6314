//! What is stuck onto a card: a text, and the same as a QR code.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::fleet::{ListedNode, Listing};
use crate::ui::visible_line;

/// The label of a card that is done. `card` is its model and serial number.
pub(super) fn label(listing: &Listing, node: &ListedNode, card: &str, time: &str) -> String {
    let Listing { cluster, serial, .. } = listing;
    let lines = [
        format!("{} of {cluster}", node.name),
        format!("{}, Kubernetes {}", node.role, node.versions.kubernetes),
        format!("number {serial}, {time}"),
        card.to_owned(),
    ];
    // some of it comes off drives, and nothing of it is to be obeyed by a terminal
    let text = lines.map(|line| visible_line(&line).into_owned()).join("\n");
    let code = QrCode::new(text.as_bytes()).map(|code| {
        // most terminals are dark, and readers want dark squares on something light
        let mut code = code.render::<Dense1x2>();
        code.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
    });
    // a text that is too long for a code is a label all the same
    format!("\n{text}\n{}\n", code.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_which_card_it_is_in_words_and_as_a_code() {
        let mut listing = Listing::for_tests("sha256:ca");
        listing.nodes = vec![ListedNode::for_tests("node-3", 3)];
        let text = label(&listing, &listing.nodes[0], "SD16G 0x1234", "2026-11-27T04:00:00Z");
        assert!(text.starts_with(
            "\nnode-3 of home\nworker, Kubernetes 1.31.0\nnumber 1, 2026-11-27T04:00:00Z\nSD16G 0x1234\n"
        ));
        assert!(text.contains('▄') && text.lines().count() > 15, "{text}");
        let text = label(&listing, &listing.nodes[0], "SD\u{1b}[2J\n16G", "2026-11-27T04:00:00Z");
        assert!(text.contains("\nSD\\x1b[2J\\n16G\n"), "{text}");
    }
}

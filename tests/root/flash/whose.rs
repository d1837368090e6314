//! What the question before erasing tells of the card.

use libtest_mimic::Failed;

use super::work::{MIB, Work, said, succeeded};
use crate::loops::{Drive, Loop};
use support::{run, tool};

/// A card that is another file system's, and one of each cluster's; without udev or with it.
pub fn whose() -> Result<(), Failed> {
    let (ours, theirs) = (Work::new(), Work::new());
    ours.build(&["1", "2"]);
    theirs.build(&["1"]);
    let asked = |card: &Loop| {
        let out =
            ours.run(&["flash", card.name(), "--allow-fixed", "--base", "sample", "--node", "1"], "no\n");
        assert_eq!(out.status.code(), Some(4), "{}", said(&out));
        said(&out)
    };
    let card = |work: &Work, node: &str| {
        let card = Loop::new(work.path(), &format!("card-{node}"), 420 * MIB, 512);
        succeeded(&work.flash(&[&card], &[card.name(), "--image", &work.image(node).display().to_string()]));
        card
    };
    for (work, node, words) in [
        (&ours, "node-1", "card of  node-1 of this cluster ("),
        (&ours, "node-2", "card of  node-2 of this cluster ("),
        (&theirs, "node-1", "card of  node-1 of another cluster"),
    ] {
        let card = card(work, node);
        let text = asked(&card);
        assert!(text.contains(words), "{words:?} is not in {text}");
        assert!(text.contains("vfat \"system-boot\", ext4 \"writable\""), "{text}");
    }
    let photos = Loop::new(ours.path(), "photos", 420 * MIB, 512);
    run(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-F", "-L", "FAMILY_PHOTOS"]).arg(photos.device()));
    let text = asked(&photos);
    assert!(text.contains("ext4 \"FAMILY_PHOTOS\" (") && !text.contains("  card of "), "{text}");
    Ok(())
}

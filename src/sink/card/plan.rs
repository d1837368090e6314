//! What a card must get, once all is known.

use std::sync::Arc;

use super::error::Error;
use super::layout::{HEAD, UNIT};
use super::writer::CardWriter;
use crate::disk::{FileDevice, Patch, Patched, Ranges, ReadAt};
use crate::io::chunk::GRAIN;
use crate::sink::source::Source;

/// An image and which of its bytes go where.
pub(super) struct Plan {
    /// What the card is to hold.
    pub image: Arc<dyn ReadAt>,
    pub patch: Patch,
    /// What must read back, but for the head.
    pub used: Ranges,
    /// What of it is on the card already, and was not read back yet.
    pub unchecked: Ranges,
    /// What is still to be written.
    pub todo: Ranges,
    /// What of it is not known to be zero.
    pub data: Ranges,
    /// What of it is zero.
    pub zeros: Ranges,
    /// What there is to say of partitions that are copied whole.
    pub notes: Vec<String>,
}

impl Plan {
    /// What `card` gets; some of `base` may be on it already, without the patch.
    pub(super) fn new(
        source: &Source,
        base: FileDevice,
        patch: Patch,
        card: &CardWriter,
    ) -> Result<Self, Error> {
        let (node, full) = (&card.target.node, card.options.full);
        let image: Arc<dyn ReadAt> = Arc::new(Patched::new(base, patch.clone()));
        let len = image.len();
        let blocks = patch.ranges();
        let mut stored = source.data().clone();
        blocks.iter().for_each(|range| stored.insert(range));
        let mut notes = Vec::new();
        let used: Ranges = if full {
            std::iter::once(0..len).collect()
        } else {
            let found = crate::fs::used(&image, &stored)
                .map_err(|source| Error::Table { node: node.clone(), source })?;
            for (number, why) in found.whole {
                notes.push(format!("{node}: partition {number} is copied whole: {why}"));
            }
            found.ranges
        };
        let head: Ranges = std::iter::once(0..HEAD).collect();
        let used = used.rounded(UNIT, GRAIN, len).without(&head);
        let mut todo = used.without(&card.done);
        blocks.without(&head).iter().for_each(|range| todo.insert(range));
        let zeros = todo.without(&stored.rounded(UNIT, 1, len));
        let data = todo.without(&zeros);
        let unchecked = used.without(&todo).without(&card.checked.right);
        Ok(Self { image, patch, used, unchecked, todo, data, zeros, notes })
    }

    /// How many bytes are still to be read back.
    pub(super) fn to_check(&self) -> u64 {
        self.unchecked.total() + self.todo.total()
    }
}

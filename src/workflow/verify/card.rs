//! How far the node of a card has come: what its first boot noted (`lib/base`, `first-boot`).

use std::collections::BTreeSet;

use crate::bake::{Finding, Known};
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::node_paths::{BOOT_MOUNT, FIRST_BOOT_STATUS, PAYLOAD};
use crate::recipe::Volume;

/// Where first boot notes which stage was begun and ended (`$markers`).
const MARKERS: &str = "/var/lib/pibake/first-boot";
/// What stands in the place of a small file is not read where it is larger.
const SMALL: u64 = 1 << 20;

/// A card, and how far its node has come.
pub(super) struct Card<'a> {
    image: &'a ImageReader,
    markers: BTreeSet<String>,
    is_used: bool,
}

impl<'a> Card<'a> {
    /// What cannot be read there is not there: what hangs on it is a difference then.
    pub(super) fn of(image: &'a ImageReader) -> Self {
        let listed = ImagePath::new(MARKERS).ok().and_then(|path| image.list(&path).ok()).unwrap_or_default();
        let markers: BTreeSet<String> = listed
            .into_iter()
            // an empty file is no marker (`marked`)
            .filter(|(_, found)| found.len > 0)
            .filter_map(|(name, _)| String::from_utf8(name).ok())
            .collect();
        let status =
            ImagePath::new(FIRST_BOOT_STATUS).ok().and_then(|path| image.metadata(&path).ok().flatten());
        let is_used = !markers.is_empty() || status.is_some();
        Self { image, markers, is_used }
    }

    /// Whether the node was started.
    pub(super) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Whether this stage was begun, so that its work may be done in part.
    pub(super) fn began(&self, stage: &str) -> bool {
        ["started", "done"].iter().any(|state| self.markers.contains(&format!("{stage}.{state}")))
            || self.is_complete()
    }

    /// Whether the first boot is over.
    pub(super) fn is_complete(&self) -> bool {
        self.markers.contains("complete")
    }

    /// Whether packages and images were baked in, as far as the card tells it.
    pub(super) fn was_preloaded(&self) -> bool {
        let is_there = |path: &str| {
            ImagePath::new(path).ok().and_then(|path| self.image.metadata(&path).ok().flatten()).is_some()
        };
        self.markers.contains("preloaded") || is_there(PAYLOAD)
    }

    /// The length of a known file.
    pub(super) fn len(&self, known: &Known) -> Option<u64> {
        Some(self.image.metadata(&self.seen(known.volume, &known.path)?).ok()??.len)
    }

    /// What is in a small file that a finding is of.
    pub(super) fn content(&self, finding: &Finding) -> Option<Vec<u8>> {
        self.image.read_whole(&self.seen(finding.volume, &finding.path)?, SMALL).ok()?
    }

    fn seen(&self, volume: Volume, path: &ImagePath) -> Option<ImagePath> {
        match volume {
            Volume::Boot => ImagePath::new(format!("{BOOT_MOUNT}{path}")).ok(),
            Volume::Root => Some(path.clone()),
        }
    }
}

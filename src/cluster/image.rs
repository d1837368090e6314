//! What the images are like.

use std::str::FromStr;

use crate::error::{Classified, ErrorClass};
use crate::registry::Reference;

/// What the images are like, whatever they are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// How large they are; without it as large as the base image, or as what is preloaded needs.
    pub size: Option<ImageSize>,
    /// Whether packages and container images are baked in, so that nodes need no network but their own.
    pub preload: bool,
    /// Container images that are baked in besides those that the cluster starts with.
    pub preload_images: Vec<Reference>,
}

/// The size of an image, in whole blocks of a card: 4096 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize(u64);

/// What is not an [`ImageSize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSize {
    /// It is not a number with a unit.
    #[error(
        "must be a whole number with a unit: \"8G\" or \"7500M\" (of 1024, as \"8GiB\"), or \"8GB\" as cards are \
         sold (of 1000)"
    )]
    Form,
    /// No card is that large.
    #[error("must not be more than 2T: an SD card has no more than 2 TB")]
    TooLarge,
}

impl Classified for InvalidSize {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

const UNITS: [(&str, u64); 9] = [
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
];
/// Also where the numbers of an MBR end.
const LARGEST: u64 = 2 << 40;
/// A block of ext4, and a multiple of every card's sector.
const BLOCK: u64 = 4096;

impl ImageSize {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ImageSize {
    type Err = InvalidSize;

    /// As qemu-img and truncate read sizes: units of one letter are powers of 1024.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = text.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidSize::Form)?;
        let (number, unit) = text.split_at(end);
        let unit = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start_matches(' ')));
        let (_, unit) = unit.filter(|_| !number.is_empty()).ok_or(InvalidSize::Form)?;
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit));
        match bytes {
            Some(0) => Err(InvalidSize::Form),
            Some(bytes) if bytes <= LARGEST => Ok(Self(bytes - bytes % BLOCK)),
            _ => Err(InvalidSize::TooLarge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("8G", 8 << 30),
            ("8g", 8 << 30),
            ("8 GiB", 8 << 30),
            ("8GB", 8_000_000_000),
            ("7501MB", 7_501_000_000 - 3392),
            ("7500M", 7500 << 20),
            ("2T", 2 << 40),
            ("2199023255552 M", 0),
            ("2TB", 2_000_000_000_000),
        ] {
            match text.parse::<ImageSize>() {
                Ok(size) => assert_eq!(size.bytes(), bytes, "{text}"),
                Err(error) => assert_eq!((bytes, error), (0, InvalidSize::TooLarge), "{text}"),
            }
        }
        for text in ["", "G", "8", "8.5G", "-1G", "8 X", "8G ", " 8G", "0G", "eight", "8Gi", "٨G", "8\u{a0}G"]
        {
            let error = text.parse::<ImageSize>().unwrap_err();
            assert_eq!(error, InvalidSize::Form, "{text:?}");
        }
        for text in ["3T", "2049G", "99999999999999999999G", "18446744073709551615T"] {
            assert_eq!(text.parse::<ImageSize>(), Err(InvalidSize::TooLarge), "{text}");
        }
    }
}

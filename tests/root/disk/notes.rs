//! What was asked of a drive, in its order.

use std::ops::Range;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Read(Range<u64>),
    Write(Range<u64>),
    /// To store what was written.
    Flush,
}

impl Asked {
    /// What is replaced by it.
    pub fn replaced(&self) -> Option<&Range<u64>> {
        match self {
            Self::Write(range) => Some(range),
            Self::Read(_) | Self::Flush => None,
        }
    }
}

/// A request and what came with it.
#[derive(Debug, Clone)]
pub struct Note {
    /// Counts the requests of all the drives of a test: what has the smaller one came first.
    pub turn: u64,
    pub asked: Asked,
    /// What was to be written, where the drive was told to keep it.
    pub bytes: Option<Box<[u8]>>,
    /// It was answered with success.
    pub granted: bool,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Notes(pub Vec<Note>);

impl Notes {
    /// Where writes went, in their order.
    pub fn replaced(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter().filter_map(|note| note.asked.replaced())
    }

    /// How many bytes were replaced behind the first `from`.
    pub fn written_behind(&self, from: u64) -> u64 {
        self.replaced().map(|range| range.end.saturating_sub(range.start.max(from))).sum()
    }

    /// The number of the last request that replaced something.
    pub fn last_write(&self) -> Option<usize> {
        self.0.iter().rposition(|note| note.asked.replaced().is_some())
    }

    /// Whether a flush that was granted is among the requests of `which`.
    pub fn flushed(&self, which: Range<usize>) -> bool {
        self.0[which].iter().any(|note| note.asked == Asked::Flush && note.granted)
    }
}

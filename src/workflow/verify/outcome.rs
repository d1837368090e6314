//! What came of comparing a card.

use crate::error::one_line;

/// What came of it.
#[derive(Debug, Default)]
pub struct Verified {
    /// Whether the node has begun its first boot.
    pub is_used: bool,
    /// How many paths were compared.
    pub compared: usize,
    /// What is not as it was promised.
    pub differences: Vec<Difference>,
    /// What a node does with its card.
    pub ordinary: Vec<Ordinary>,
    /// What could not be compared, and why.
    pub open: Vec<String>,
}

/// Something that is not as it was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A path as the node sees it, or what else it is.
    pub path: String,
    /// What is otherwise; nothing of a file's content.
    pub what: String,
}

/// Something that a node does with its card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordinary {
    /// A path as the node sees it, or what else it is.
    pub path: String,
    /// What is otherwise.
    pub what: String,
    /// Why that is as it should be.
    pub why: &'static str,
}

impl Difference {
    /// Of what cannot be read.
    #[must_use]
    pub fn unreadable(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { path: what.to_owned(), what: format!("it cannot be read: {}", one_line(error)) }
    }
}

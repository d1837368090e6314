//! What a node or a card says, cut to what people read: others may have written it, at any length, and a table is
//! as wide as the longest of its words.

pub(super) use crate::io::shortened;

/// Longest word of a state, in bytes; the longest that a node writes is a time, with 20.
pub(super) const WORD_MAX: usize = 64;
/// Longest name, in bytes; a domain name has 253 at most.
pub(super) const NAME_MAX: usize = 256;
/// Longest sentence, in bytes; those of a node's programs have some 300.
pub(super) const SENTENCE_MAX: usize = 1000;

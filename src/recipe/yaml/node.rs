//! A document as a tree, with each scalar as it was written.

use super::resolve;

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Node {
    pub(in super::super) kind: Kind,
    /// An explicit tag, in the short form: `!!int`, or `!` for text whatever it looks like.
    pub(in super::super) tag: Option<String>,
    /// Line of the document, from 1.
    pub(in super::super) line: usize,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Text, or what a reader makes of it.
    Scalar {
        /// The text, with quotes and escapes read.
        text: String,
        /// How it was written.
        form: Form,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, with merge keys (`<<`) followed, and no key twice.
    Map(Vec<(Node, Node)>),
}

/// How a scalar was written, as far as it matters for writing it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// Without quotes: what it is hangs on what it looks like.
    Plain,
    /// In quotes, on one line: this is that line, quotes and all.
    Quoted(String),
    /// On several lines.
    Long,
    /// To be kept from Jinja, which is to leave it as it is.
    Shielded,
}

impl Node {
    /// The entries of a mapping; none of anything else.
    pub(in super::super) fn entries(&self) -> &[(Self, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(in super::super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar, whatever a reader makes of it.
    pub(in super::super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value at `key`.
    pub(in super::super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(k, _)| k.is_text(key)).map(|(_, value)| value)
    }

    /// Whether a reader takes it for nothing.
    pub(in super::super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, form: Form::Plain } if resolve::is_null(text))
            && self.tag.is_none()
    }

    /// Whether a reader takes it for exactly this text.
    fn is_text(&self, wanted: &str) -> bool {
        self.as_text() == Some(wanted)
    }

    /// The text, if a reader takes it for text and not for a number, a date or a truth value.
    fn as_text(&self) -> Option<&str> {
        let Kind::Scalar { text, form } = &self.kind else { return None };
        let by_look = *form == Form::Plain && self.tag.is_none() && resolve::is_special(text);
        let by_tag = self.tag.as_deref().is_some_and(|tag| !matches!(tag, "!" | "!!str"));
        (!by_look && !by_tag).then_some(text)
    }

    /// Whether two keys are one to a reader. Numbers count as one where they are written alike; of
    /// others the last one wins there, and both are kept in their order.
    pub(in super::super) fn is_same_key(&self, other: &Self) -> bool {
        match (self.as_text(), other.as_text()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.tag == other.tag && self.text() == other.text(),
            _ => false,
        }
    }

    /// Every scalar, keys too, is called with.
    pub(in super::super) fn each_scalar(&mut self, act: &mut impl FnMut(&str, &mut Form)) {
        match &mut self.kind {
            Kind::Scalar { text, form } => act(text, form),
            Kind::List(items) => items.iter_mut().for_each(|item| item.each_scalar(act)),
            Kind::Map(entries) => {
                for (key, value) in entries {
                    key.each_scalar(act);
                    value.each_scalar(act);
                }
            }
        }
    }
}

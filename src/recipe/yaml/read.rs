//! Text to a tree.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::emit::has_jinja;
use super::resolve::unreadable;
use super::{Form, Kind, Node};

/// Most values that a document may hold once its aliases are followed. Nobody writes as many by
/// hand, and a few lines of aliases to aliases would fill the memory.
const MAX_NODES: usize = 50_000;

/// Most bytes of text that it may hold then: aliases of one long text are as bad as many of short ones.
const MAX_TEXT: usize = 4 << 20;

/// Most levels of lists and mappings in each other, those that aliases bring included. PyYAML takes two
/// to three frames of Python's stack for each, of which there are 1000.
const MAX_DEPTH: usize = 100;

/// Longest key in characters; PyYAML looks no further for the colon.
const MAX_KEY: usize = 1000;

/// The tags that PyYAML's safe loader knows, besides `!`.
const TAGS: &[&str] =
    &["null", "bool", "int", "float", "binary", "timestamp", "omap", "pairs", "set", "str", "seq", "map"];

/// Why a document cannot be used. It quotes nothing of it: there may be a password on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Fault {
    /// Line of the document, from 1.
    pub(in super::super) line: usize,
    /// Why.
    pub(in super::super) why: String,
}

impl Fault {
    pub(in super::super) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

/// The document in `text`; `None` where there is none but comments.
pub(in super::super) fn read(text: &str) -> Result<Option<Node>, Fault> {
    let text = normalised(text)?;
    let mut options = Options::default();
    options.disallow_directives = true;
    options.block_scalar_eof_without_line_feed = true;
    let mut reader = Reader {
        text: &text,
        events: Parser::new_from_str_with_options(&text, options),
        anchors: HashMap::new(),
        nodes: 0,
        text_len: 0,
    };
    let mut found = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(found),
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) if found.is_none() => found = Some(reader.node(event, &span, 0)?),
            (_, span) => {
                return Err(Fault::new(line(&span), "a second document begins; cloud-init reads one"));
            }
        }
    }
}

/// With the line ends of Unix, and without what PyYAML refuses or takes for a line end.
fn normalised(text: &str) -> Result<String, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    for (number, line) in text.split('\n').enumerate() {
        let odd = |c: &char| {
            !matches!(c, '\t' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        };
        if let Some(c) = line.chars().find(odd) {
            let why = format!(
                "it holds the character U+{0:04X}, which YAML does not take as it is; write it as \"\\u{0:04X}\" in double quotes",
                u32::from(c)
            );
            return Err(Fault::new(number + 1, why));
        }
    }
    Ok(text)
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text_len: usize,
}

/// What a value is worth of what a document may hold.
struct Weight {
    nodes: usize,
    /// Bytes.
    text: usize,
    /// Levels of lists and mappings.
    depth: usize,
}

impl Weight {
    fn of(node: &Node) -> Self {
        // a list with nothing in it is a level, too
        let text = node.text();
        let own = Self { nodes: 1, text: text.map_or(0, str::len), depth: usize::from(text.is_none()) };
        let (pairs, items) = (node.entries(), node.items());
        let below = pairs.iter().flat_map(|(key, value)| [key, value]).chain(items).map(Self::of);
        below.fold(own, |sum, one| Self {
            nodes: sum.nodes + one.nodes,
            text: sum.text + one.text,
            depth: sum.depth.max(one.depth + 1),
        })
    }
}

fn line(span: &Span) -> usize {
    span.start.line()
}

impl<'a> Reader<'a> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        loop {
            match self.events.next() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(text, _), span))) => {
                    // Comments are not kept, and a statement in one would be lost with it.
                    if has_jinja(&text) && is_jinja(self.text) {
                        let why = "a Jinja statement in a YAML comment cannot be kept: put it into the value";
                        return Err(Fault::new(line(&span), why));
                    }
                }
                Some(Ok(found)) => return Ok(found),
                Some(Err(error)) => return Err(syntax_fault(&error)),
            }
        }
    }

    /// The value that `event` begins, within `depth` lists and mappings.
    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Fault> {
        let line = line(span);
        let (node, anchor) = match event {
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor);
                let node =
                    node.ok_or_else(|| Fault::new(line, "an alias stands within what it names"))?.clone();
                self.count(&Weight::of(&node), depth, line)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(&Weight { nodes: 1, text: text.len(), depth: 0 }, depth, line)?;
                let tag = short_tag(tag.as_deref(), line)?;
                (Node { kind: self.scalar(text, style, tag.is_some(), span)?, tag, line }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.count(&Weight { nodes: 1, text: 0, depth: 1 }, depth, line)?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, &span, depth + 1)?),
                    }
                }
                (Node { kind: Kind::List(items), tag: short_tag(tag.as_deref(), line)?, line }, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.count(&Weight { nodes: 1, text: 0, depth: 1 }, depth, line)?;
                let tag = short_tag(tag.as_deref(), line)?;
                (Node { kind: Kind::Map(self.entries(depth + 1)?), tag, line }, anchor)
            }
            _ => return Err(Fault::new(line, "it is not YAML that cloud-init can read")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn scalar(
        &self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tagged: bool,
        span: &Span,
    ) -> Result<Kind, Fault> {
        let form = match style {
            ScalarStyle::Plain => Form::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let quote = if style == ScalarStyle::SingleQuoted { '\'' } else { '"' };
                let whole = |source: &&str| {
                    source.len() > 1
                        && source.starts_with(quote)
                        && source.ends_with(quote)
                        && !source.contains('\n')
                };
                span.slice(self.text)
                    .filter(whole)
                    .map_or(Form::Long, |source| Form::Quoted(source.to_owned()))
            }
            _ => Form::Long,
        };
        if form == Form::Plain {
            // In brackets PyYAML takes either for the mark of a key.
            let odd = text.starts_with(['?', ':']).then_some("what begins with `?` or `:` must be in quotes");
            // The key that merges is looked for before it comes to this.
            if let Some(why) = odd.or_else(|| unreadable(&text).filter(|_| !tagged && text != "<<")) {
                return Err(Fault::new(line(span), why));
            }
        }
        Ok(Kind::Scalar { text: text.into_owned(), form })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, Fault> {
        let mut own: Vec<(Node, Node)> = Vec::new();
        let mut merged: Vec<(Node, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => self.node(event, &span, depth)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth)?;
            if is_merge(&key) {
                merge(&mut merged, &value)?;
                continue;
            }
            let Some(text) = key.text() else {
                return Err(Fault::new(key.line, "a list or mapping cannot be a key"));
            };
            if text.chars().count() > MAX_KEY || text.contains('\n') {
                return Err(Fault::new(key.line, "a key must be one line of at most 1000 characters"));
            }
            refuse_merge_mark(&value)?;
            if let Some((first, _)) = own.iter().find(|(first, _)| first.is_same_key(&key)) {
                let why = format!(
                    "the same key stands on line {} already; cloud-init would forget that one",
                    first.line
                );
                return Err(Fault::new(key.line, why));
            }
            own.push((key, value));
        }
        for entry in own {
            put(&mut merged, entry);
        }
        Ok(merged)
    }

    fn count(&mut self, more: &Weight, depth: usize, line: usize) -> Result<(), Fault> {
        self.nodes += more.nodes;
        self.text_len += more.text;
        let why = if self.nodes > MAX_NODES {
            format!("it holds more than {MAX_NODES} values")
        } else if self.text_len > MAX_TEXT {
            format!("it holds more than {} MiB of text once its aliases are followed", MAX_TEXT >> 20)
        } else if depth + more.depth > MAX_DEPTH {
            format!(
                "lists and mappings are nested more than {MAX_DEPTH} levels deep, and cloud-init cannot read that"
            )
        } else {
            return Ok(());
        };
        Err(Fault::new(line, why))
    }
}

/// Sets an entry, in the place of one with the same key.
fn put(entries: &mut Vec<(Node, Node)>, entry: (Node, Node)) {
    match entries.iter_mut().find(|(key, _)| key.is_same_key(&entry.0)) {
        Some(there) => there.1 = entry.1,
        None => entries.push(entry),
    }
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, Kind::Scalar { text, form: Form::Plain } if text == "<<") && key.tag.is_none()
}

/// `<<` has a meaning as a key alone.
fn refuse_merge_mark(value: &Node) -> Result<(), Fault> {
    let marks = std::iter::once(value).chain(value.items());
    match marks.into_iter().find(|node| is_merge(node)) {
        Some(mark) => Err(Fault::new(mark.line, unreadable("<<").unwrap_or_default())),
        None => Ok(()),
    }
}

/// What `<<: value` brings: of several mappings the first that has a key counts.
fn merge(into: &mut Vec<(Node, Node)>, value: &Node) -> Result<(), Fault> {
    match &value.kind {
        Kind::Map(entries) => entries.iter().cloned().for_each(|entry| put(into, entry)),
        Kind::List(maps) if maps.iter().all(|map| matches!(map.kind, Kind::Map(_))) => {
            for map in maps.iter().rev() {
                merge(into, map)?;
            }
        }
        _ => return Err(Fault::new(value.line, "`<<` merges a mapping or a list of mappings")),
    }
    Ok(())
}

/// An explicit tag as it is written again.
fn short_tag(tag: Option<&Tag>, line: usize) -> Result<Option<String>, Fault> {
    let Some(tag) = tag else { return Ok(None) };
    let whole = format!("{}{}", tag.handle(), tag.suffix());
    match whole.strip_prefix("tag:yaml.org,2002:") {
        Some(name) if TAGS.contains(&name) => Ok(Some(format!("!!{name}"))),
        None if whole == "!" => Ok(Some(whole)),
        _ => Err(Fault::new(line, "it has a tag that cloud-init does not know, and would be read by nobody")),
    }
}

/// Whether the first line says that cloud-init is to render the document before it reads it.
pub(in super::super) fn is_jinja(text: &str) -> bool {
    let first = text.trim_start().lines().next().unwrap_or_default().to_ascii_lowercase();
    let kind = first.strip_prefix("##").and_then(|rest| rest.trim_start().strip_prefix("template:"));
    kind.is_some_and(|kind| kind.trim() == "jinja")
}

/// Where and why, in words of the parser's that quote nothing.
fn syntax_fault(error: &ScanError) -> Fault {
    Fault::new(error.marker().line(), format!("it is not YAML: {}", error.info()))
}

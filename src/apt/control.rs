//! Debian's control files (deb822): stanzas of fields, divided by empty lines.
//!
//! An index of a distribution has 60 MB of them, so they are read in one pass: one stanza at a time is in memory,
//! in a buffer that is used again, and fields are slices of it. The rules are those of Debian Policy 5.1 and of
//! apt's own reader: lines that start with a space or a tab continue a value, lines that start with `#` are
//! comments, lines may end with CR LF, and names of fields know no case.

use std::io::{self, BufRead, Read};
use std::str;

use crate::error::{Classified, ErrorClass};
use crate::io::shortened;

/// The most bytes of one stanza. The largest in Debian's indices, one with thousands of Provides, has 120 KiB.
const STANZA_LIMIT: usize = 4 << 20;

/// What is shown of a text, in bytes: more does not make a fault clearer.
const SHOWN_MAX: usize = 80;

/// Why bytes are not a control file that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// They could not be read, or unpacked.
    #[error("reading line {line}")]
    Io {
        /// From one.
        line: u64,
        /// What reading answered.
        source: io::Error,
    },
    /// There is something wrong in a stanza.
    #[error("in the stanza at line {line}: {what}")]
    Stanza {
        /// Where the stanza starts, from one.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// There is more than can be counted here.
    #[error("there are more packages than can be held: the lists are larger than those of any distribution")]
    Full,
}

impl ControlError {
    pub(super) fn stanza(line: u64, what: impl Into<String>) -> Self {
        Self::Stanza { line, what: what.into() }
    }
}

impl Classified for ControlError {
    fn class(&self) -> ErrorClass {
        match self {
            // of what is unpacked from memory or from a verified file, that it cannot be
            Self::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => ErrorClass::Damaged,
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::Stanza { .. } | Self::Full => ErrorClass::Damaged,
        }
    }
}

/// The stanzas of a file, one after the other.
pub(super) struct Stanzas<R> {
    source: R,
    buffer: Vec<u8>,
    /// The line that is read next, from one.
    line: u64,
}

impl<R: BufRead> Stanzas<R> {
    /// Those that `source` has.
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), line: 1 }
    }

    /// The next stanza, or `None` at the end.
    ///
    /// # Errors
    /// What reading answers, or that a stanza is larger than [`STANZA_LIMIT`].
    #[allow(clippy::should_implement_trait)] // what it yields borrows from it
    pub(super) fn next(&mut self) -> Result<Option<Stanza<'_>>, ControlError> {
        self.buffer.clear();
        let mut first = self.line;
        loop {
            let start = self.buffer.len();
            let most = (STANZA_LIMIT + 1 - start) as u64;
            let read = (&mut self.source).take(most).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| ControlError::Io { line: self.line, source })?;
            if self.buffer.len() > STANZA_LIMIT {
                return Err(ControlError::stanza(first, format!("it is larger than {STANZA_LIMIT} bytes")));
            }
            let line = &self.buffer[start..];
            let is_blank = matches!(line, b"" | b"\n" | b"\r\n");
            let is_comment = line.starts_with(b"#");
            self.line += u64::from(line.ends_with(b"\n"));
            if is_blank || is_comment {
                self.buffer.truncate(start);
            }
            if read == 0 || is_blank && start > 0 {
                return Ok((start > 0).then_some(Stanza { bytes: &self.buffer, line: first }));
            }
            if self.buffer.is_empty() {
                first = self.line;
            }
        }
    }
}

/// One stanza.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stanza<'a> {
    bytes: &'a [u8],
    line: u64,
}

impl<'a> Stanza<'a> {
    /// The line of the file on which it starts, from one.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Its fields in their order.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields { rest: self.bytes, line: self.line }
    }

    /// The value of the field `name`, whose case does not matter.
    ///
    /// # Errors
    /// That the stanza has no fields where it should, has this field twice, or is not UTF-8 in it.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a str>, ControlError> {
        let mut found = None;
        for field in self.fields() {
            let field = field?;
            if field.name.eq_ignore_ascii_case(name.as_bytes()) {
                if found.is_some() {
                    return Err(field.twice());
                }
                found = Some(field.text()?);
            }
        }
        Ok(found)
    }
}

/// A field: its name, and its value without the white space around it. The value still has the line ends and the
/// indentation of lines that continue it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// As it is written.
    pub(super) name: &'a [u8],
    /// All lines.
    pub(super) value: &'a [u8],
    /// The line of the stanza's first line.
    line: u64,
}

impl<'a> Field<'a> {
    /// The value as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(super) fn text(&self) -> Result<&'a str, ControlError> {
        str::from_utf8(self.value)
            .map_err(|_| ControlError::stanza(self.line, format!("the field {} is not UTF-8", self.name())))
    }

    pub(super) fn twice(&self) -> ControlError {
        ControlError::stanza(self.line, format!("the field {} is there twice", self.name()))
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }
}

/// The fields of a stanza.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    line: u64,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut end = line_end(self.rest, 0);
        while self.rest.get(end).is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            end = line_end(self.rest, end);
        }
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        let colon = field.iter().position(|byte| *byte == b':').filter(|at| {
            *at > 0 && field[..*at].iter().all(|byte| byte.is_ascii_graphic()) && field[0] != b'-'
        });
        let Some(colon) = colon else {
            self.rest = &[];
            let text = String::from_utf8_lossy(&field[..field.len().min(60)]);
            let what = format!("{:?} is not a field", text.trim_end());
            return Some(Err(ControlError::stanza(self.line, what)));
        };
        Some(Ok(Field { name: &field[..colon], value: field[colon + 1..].trim_ascii(), line: self.line }))
    }
}

/// Where the line that starts at `from` ends, its line end included.
fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| from + at + 1)
}

/// A text of a repository as people are shown it.
pub(super) fn shown(text: &str) -> String {
    shortened(text, SHOWN_MAX)
}

/// Whether a field says yes.
pub(super) fn is_yes(value: &str) -> bool {
    ["yes", "true", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// All stanzas, as names and values.
    fn read(bytes: &[u8], capacity: usize) -> Result<Vec<Vec<(String, String)>>, ControlError> {
        let mut stanzas = Stanzas::new(BufReader::with_capacity(capacity, bytes));
        let mut found = Vec::new();
        while let Some(stanza) = stanzas.next()? {
            let fields = stanza.fields().map(|field| {
                let field = field?;
                Ok((String::from_utf8_lossy(field.name).into_owned(), field.text()?.to_owned()))
            });
            found.push(fields.collect::<Result<_, ControlError>>()?);
        }
        Ok(found)
    }

    const SAMPLE: &[u8] =
        b"\n# a comment\nPackage: one\r\nDepends: a,\n b\n# between\n\tc\n\r\n\n\nPackage:two\nEmpty:\n";

    #[test]
    fn stanzas_are_read_whatever_the_buffer() {
        for capacity in [1, 2, 3, 7, 64, 4096] {
            let found = read(SAMPLE, capacity).unwrap();
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!(found[0][1], ("Depends".to_owned(), "a,\n b\n\tc".to_owned()));
            assert_eq!(found[1], [("Package".into(), "two".into()), ("Empty".into(), String::new())]);
        }
    }

    #[test]
    fn lines_are_counted_and_fields_have_no_case() {
        let mut stanzas = Stanzas::new(SAMPLE);
        let first = stanzas.next().unwrap().unwrap();
        assert_eq!((first.line(), first.get("pACKAGE").unwrap()), (3, Some("one")));
        assert_eq!(stanzas.next().unwrap().unwrap().get("package").unwrap(), Some("two"));
        assert!(stanzas.next().unwrap().is_none());
    }

    #[test]
    fn what_is_not_a_control_file_is_refused() {
        for (text, expected) in [
            ("Package: a\nno field\n", "line 1: \"no field\" is not a field"),
            (" continued: nothing\n", "is not a field"),
            (": nameless\n", "is not a field"),
            ("<html><head>\n", "is not a field"),
        ] {
            assert!(read(text.as_bytes(), 64).unwrap_err().to_string().contains(expected), "{text:?}");
        }
        assert!(read(b"A: \xff\n", 64).unwrap_err().to_string().contains("A is not UTF-8"));
        let mut twice = Stanzas::new(&b"A: 1\na: 2\n"[..]);
        let error = twice.next().unwrap().unwrap().get("A").unwrap_err();
        assert!(error.to_string().contains("a is there twice"), "{error}");
        let large = [b"A: ".as_slice(), &vec![b'x'; STANZA_LIMIT]].concat();
        assert!(read(&large, 4096).unwrap_err().to_string().contains("line 1: it is larger than"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, capacity in 1usize..40) {
            let whole = read(&bytes, 1 << 16).ok();
            prop_assert_eq!(read(&bytes, capacity).ok(), whole);
        }

        #[test]
        fn what_is_written_is_read(values in prop::collection::vec("[a-z0-9,]([a-z ,]{0,9}[a-z,])?", 1..9)) {
            let text: String = values.iter().enumerate().map(|(n, v)| format!("F{n}:  {v}\t\r\n")).collect();
            let found = read(text.as_bytes(), 5).unwrap();
            let read: Vec<&String> = found[0].iter().map(|(_, value)| value).collect();
            prop_assert_eq!(read, values.iter().collect::<Vec<_>>());
        }
    }
}

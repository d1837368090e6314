//! Reading TOML so that every problem names key and line, and all of them come at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Secret;
use super::excerpt::{About, excerpt};
use super::problem::{Origin, Origins, Problem};
use super::unknown;

/// A file that is being read.
pub(super) struct Document<'t> {
    text: &'t str,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    origins: Origins,
    problems: Vec<Problem>,
    /// Keys that tables know, by table.
    known: BTreeMap<String, Vec<&'static str>>,
    /// Keys that nothing asked for: table, key, offset.
    unknown: Vec<(String, String, usize)>,
}

/// A table, or its absence.
pub(super) struct Table<'d, 't> {
    document: &'d Document<'t>,
    path: String,
    entries: BTreeMap<String, (usize, Spanned<DeValue<'t>>)>,
}

/// A value under a key.
pub(super) struct Value<'d, 't> {
    document: &'d Document<'t>,
    pub(super) path: String,
    value: Spanned<DeValue<'t>>,
}

/// A value of the right type, ready to be checked.
#[derive(Debug, Clone)]
pub(super) struct Field<'d, 't, T> {
    document: &'d Document<'t>,
    pub(super) path: String,
    pub(super) value: T,
}

impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Document(…)")
    }
}

/// What the reader of TOML says, in words for somebody who knows no TOML.
fn plain(message: &str) -> String {
    // it takes what begins with a letter for the beginning of true or false, or for a text
    if message.starts_with("string values must be quoted") || message.starts_with("invalid boolean") {
        return "a text stands in quotation marks, as in \"home\"; numbers, true and false stand without"
            .to_owned();
    }
    message.replace('\n', ", ")
}

impl<'t> Document<'t> {
    /// `file` is what messages call it.
    pub(super) fn new(file: &str, text: &'t str) -> Self {
        let origins = Origins { file: file.to_owned(), ..Origins::default() };
        Self { text, state: RefCell::new(State { origins, ..State::default() }) }
    }

    /// The table around all others. A syntax error is reported and leaves an empty one.
    pub(super) fn root(&self) -> Table<'_, 't> {
        let entries = match DeTable::parse(self.text) {
            Ok(table) => entries(table.into_inner()),
            Err(error) => {
                // Only the message: the error's own display quotes the line, which may hold a secret.
                let at = error.span().map_or(0, |span| span.start);
                let message = plain(error.message());
                let other = unknown::other_language(self.text, at);
                self.report_at(at, String::new(), other.map_or(message, str::to_owned), About::Line);
                BTreeMap::new()
            }
        };
        Table { document: self, path: String::new(), entries }
    }

    /// Says that `flag` gave the value of `key`.
    pub(super) fn flag(&self, key: &str, flag: &'static str) {
        self.state.borrow_mut().origins.flags.insert(key.to_owned(), flag);
    }

    /// Whether the user gave `key`.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.state.borrow().origins.is_set(key)
    }

    /// Reports a problem with the value of `key`.
    pub(super) fn report(&self, key: &str, message: impl Into<String>) {
        let mut state = self.state.borrow_mut();
        let problem = state.origins.problem(key, message).shown_in(self.text);
        state.problems.push(problem);
    }

    /// All problems in the order of the file, unknown keys among them.
    pub(super) fn finish(self) -> (Origins, Vec<Problem>) {
        let unknown = std::mem::take(&mut self.state.borrow_mut().unknown);
        for (table, key, at) in unknown {
            let message = unknown::message(&self.state.borrow().known, &table, &key, self.before(at));
            self.report_at(at, table, message, About::Key);
        }
        let State { origins, mut problems, .. } = self.state.into_inner();
        problems.sort_by_key(|p| match p.origin {
            Origin::File { line, column, .. } => (0, line, column),
            Origin::Flag(_) => (1, 0, 0),
            Origin::Default => (2, 0, 0),
        });
        (origins, problems)
    }

    fn report_at(&self, at: usize, key: String, message: String, about: About) {
        let (line, column) = self.position(at);
        let mut state = self.state.borrow_mut();
        let origin = Origin::File { file: state.origins.file.clone(), line, column };
        let excerpt = excerpt(self.text, line, column, about);
        state.problems.push(Problem { origin, key, message, excerpt });
    }

    /// The keys of each table that were asked for.
    #[cfg(test)]
    pub(super) fn known_keys(&self) -> BTreeMap<String, std::collections::BTreeSet<String>> {
        let known = &self.state.borrow().known;
        let owned = |keys: &Vec<&'static str>| keys.iter().map(|key| (*key).to_owned()).collect();
        known.iter().map(|(table, keys)| (table.clone(), owned(keys))).collect()
    }

    fn before(&self, at: usize) -> &'t str {
        self.text.get(..at).unwrap_or(self.text)
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.before(at);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    fn value<'d>(&'d self, path: String, value: Spanned<DeValue<'t>>) -> Value<'d, 't> {
        let place = self.position(value.span().start);
        self.state.borrow_mut().origins.positions.insert(path.clone(), place);
        Value { document: self, path, value }
    }
}

fn entries<'t>(table: DeTable<'t>) -> BTreeMap<String, (usize, Spanned<DeValue<'t>>)> {
    let entry = |(key, value): (Spanned<std::borrow::Cow<'t, str>>, _)| {
        let Range { start, .. } = key.span();
        (key.into_inner().into_owned(), (start, value))
    };
    table.into_iter().map(entry).collect()
}

impl<'d, 't> Table<'d, 't> {
    /// The value of `key`, where there is one.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d, 't>> {
        self.document.state.borrow_mut().known.entry(self.path.clone()).or_default().push(key);
        let (_, value) = self.entries.remove(key)?;
        Some(self.document.value(self.child(key), value))
    }

    /// The table of `key`, empty where there is none.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let absent = Table { document: self.document, path: self.child(key), entries: BTreeMap::new() };
        self.take(key).and_then(Value::table).unwrap_or(absent)
    }

    /// The text of `key`.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Field<'d, 't, String>> {
        self.take(key)?.text()
    }

    /// What `check` makes of the text of `key`; reports what it refuses.
    pub(super) fn read<U, E: ToString>(
        &mut self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<U, E>,
    ) -> Option<U> {
        self.text(key)?.check(|text| check(text))
    }

    /// What `check` makes of each text of `key`; reports what it refuses.
    pub(super) fn read_each<U, E: ToString>(
        &mut self,
        key: &'static str,
        check: impl Fn(&str) -> Result<U, E>,
    ) -> Vec<U> {
        let texts = self.texts(key).unwrap_or_default();
        texts.into_iter().filter_map(|field| field.check(|text| check(text))).collect()
    }

    /// What the word of `key` stands for.
    pub(super) fn choose<U: Copy>(&mut self, key: &'static str, choices: &[(&str, U)]) -> Option<U> {
        self.read(key, |text| {
            let found = choices.iter().find(|(word, _)| *word == text);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| unknown::word(text, choices.iter().map(|(word, _)| *word)))
        })
    }

    /// The secret of `key`: from the variable that stands for it, or else from the description, or from
    /// the file that `file_key` names there, which `read` reads.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        file_key: &'static str,
        variable: (&'static str, Option<&Secret>),
        read: impl FnOnce(&str) -> Result<(PathBuf, String), String>,
    ) -> Option<Field<'d, 't, String>> {
        let here = self.text(key);
        let file = self.text(file_key);
        let path = self.child(key);
        if here.is_some() && file.is_some() {
            let message = format!("goes without {key:?}: give one of the two");
            self.document.report(&self.child(file_key), message);
            return None;
        }
        if let (name, Some(value)) = variable {
            self.document.flag(&path, name);
            return Some(Field { document: self.document, path, value: value.reveal().to_owned() });
        }
        let Some(file) = file else { return here };
        let (file, value) = file.check(|name| read(name))?;
        let mut state = self.document.state.borrow_mut();
        // What is wrong with it is told of the line that names the file.
        if let Some(line) = state.origins.positions.get(&self.child(file_key)).copied() {
            state.origins.positions.insert(path.clone(), line);
        }
        state.origins.secret_files.insert(path.clone(), file);
        drop(state);
        Some(Field { document: self.document, path, value })
    }

    /// The truth of `key`, `otherwise` where it says nothing.
    pub(super) fn flag(&mut self, key: &'static str, otherwise: bool) -> bool {
        self.take(key).and_then(Value::boolean).unwrap_or(otherwise)
    }

    /// The texts of `key`, none where it says nothing.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Field<'d, 't, String>>> {
        Some(self.take(key)?.list()?.into_iter().filter_map(Value::text).collect())
    }

    /// All that is left, for tables whose keys are the user's own.
    pub(super) fn rest(&mut self) -> Vec<(String, Value<'d, 't>)> {
        let left = std::mem::take(&mut self.entries);
        let value = |(key, (_, value)): (String, (usize, _))| {
            let value = self.document.value(self.child(&key), value);
            (key, value)
        };
        left.into_iter().map(value).collect()
    }

    /// Reports the keys that nothing asked for; says whether there were any.
    pub(super) fn finish(self) -> bool {
        let any = !self.entries.is_empty();
        let mut state = self.document.state.borrow_mut();
        let unknown = self.entries.into_iter().map(|(key, (at, _))| (self.path.clone(), key, at));
        state.unknown.extend(unknown);
        any
    }

    fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'d, 't> Value<'d, 't> {
    pub(super) fn text(self) -> Option<Field<'d, 't, String>> {
        self.convert("a text in quotes", |value| match value {
            DeValue::String(text) => Some(text.into_owned()),
            _ => None,
        })
    }

    pub(super) fn boolean(self) -> Option<bool> {
        self.convert("true or false", |value| value.as_bool()).map(|field| field.value)
    }

    pub(super) fn whole_number(self) -> Option<Field<'d, 't, u32>> {
        self.convert("a whole number", |value| number(&value))
    }

    pub(super) fn list(self) -> Option<Vec<Self>> {
        self.list_or("a list")
    }

    /// A list where `what` would do as well.
    pub(super) fn list_or(self, what: &str) -> Option<Vec<Self>> {
        let Field { document, path, value } = self.convert(what, |value| match value {
            DeValue::Array(items) => Some(items),
            _ => None,
        })?;
        let item = |(n, item): (usize, _)| document.value(format!("{path}[{}]", n + 1), item);
        Some(value.into_iter().enumerate().map(item).collect())
    }

    pub(super) fn table(self) -> Option<Table<'d, 't>> {
        let Field { document, path, value } = self.convert("a table", |value| match value {
            DeValue::Table(table) => Some(table),
            _ => None,
        })?;
        Some(Table { document, path, entries: entries(value) })
    }

    /// Whether it is a number, for keys that take one or a list.
    pub(super) fn is_number(&self) -> bool {
        self.value.get_ref().is_integer()
    }

    /// What `take` makes of a value that must be `what`.
    fn convert<T>(self, what: &str, take: impl FnOnce(DeValue<'t>) -> Option<T>) -> Option<Field<'d, 't, T>> {
        let Self { document, path, value } = self;
        let at = value.span().start;
        let value = value.into_inner();
        let found = match &value {
            DeValue::Integer(_) if what == "a whole number" => "a number that is out of range",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::String(_) => "a text",
            DeValue::Boolean(_) => "true or false",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
            DeValue::Datetime(_) => "a date",
        };
        let taken = take(value);
        if taken.is_none() {
            let message = format!("must be {what}, but is {found}");
            document.report_at(at, path.clone(), message, About::Value);
        }
        Some(Field { document, path, value: taken? })
    }
}

fn number(value: &DeValue<'_>) -> Option<u32> {
    let digits = value.as_integer()?;
    u32::from_str_radix(digits.as_str(), digits.radix()).ok()
}

impl<T> Field<'_, '_, T> {
    /// What `check` makes of the value; reports what it refuses.
    pub(super) fn check<U, E: ToString>(self, check: impl FnOnce(&T) -> Result<U, E>) -> Option<U> {
        check(&self.value).map_err(|e| self.document.report(&self.path, e.to_string())).ok()
    }
}

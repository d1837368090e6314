//! Fields that name other packages: `Depends: a (>= 2) | b:any, c`.

use std::cmp::Ordering;

use super::control::shown;
use super::version;

/// How a version must compare with the one that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and `<`, which dpkg reads so, too
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`, and `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// Whether `version` is what is asked for.
    pub(super) fn holds(self, version: &str, named: &str) -> bool {
        let order = version::compare(version, named);
        match self {
            Self::Earlier => order == Ordering::Less,
            Self::EarlierOrEqual => order != Ordering::Greater,
            Self::Equal => order == Ordering::Equal,
            Self::LaterOrEqual => order != Ordering::Less,
            Self::Later => order == Ordering::Greater,
        }
    }

    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }

    /// The sign at the start of `text`, and what follows it.
    fn split(text: &str) -> Option<(Self, &str)> {
        const SIGNS: [(&str, Operator); 7] = [
            ("<<", Operator::Earlier),
            ("<=", Operator::EarlierOrEqual),
            (">>", Operator::Later),
            (">=", Operator::LaterOrEqual),
            ("<", Operator::EarlierOrEqual),
            (">", Operator::LaterOrEqual),
            ("=", Operator::Equal),
        ];
        SIGNS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
    }
}

/// One package that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relation<'a> {
    /// Without the qualifier.
    pub(super) name: &'a str,
    /// What follows a colon: `any`, `native`, or an architecture.
    pub(super) qualifier: Option<&'a str>,
    /// Which versions of it.
    pub(super) version: Option<(Operator, &'a str)>,
    /// Whether the next relation is an alternative to this one.
    pub(super) or: bool,
}

/// Appends what `field` names, in its order. The error says what breaks the grammar of such a field.
pub(super) fn parse<'a>(field: &'a str, relations: &mut Vec<Relation<'a>>) -> Result<(), String> {
    for group in field.split(',').map(str::trim).filter(|group| !group.is_empty()) {
        let first = relations.len();
        for alternative in group.split('|') {
            relations.push(parse_one(alternative.trim())?);
        }
        if let Some((_, before)) = relations[first..].split_last_mut() {
            before.iter_mut().for_each(|relation| relation.or = true);
        }
    }
    Ok(())
}

fn parse_one(text: &str) -> Result<Relation<'_>, String> {
    let wrong = |what: &str| format!("{:?}: {what}", shown(text));
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+.-_:$".contains(c))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (name, qualifier) = match name.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (name, None),
    };
    if name.is_empty() || qualifier.is_some_and(|text| text.is_empty() || text.contains(':')) {
        return Err(wrong("this is not a package's name"));
    }
    let rest = rest.trim_start();
    let mut relation = Relation { name, qualifier, version: None, or: false };
    if rest.is_empty() {
        return Ok(relation);
    }
    // lists of architectures and profiles are for source packages; dpkg does not read them here either
    let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or_else(|| wrong("only a version in parentheses may follow the package"))?;
    let (operator, named) =
        Operator::split(inner.trim_start()).ok_or_else(|| wrong("the version has no operator"))?;
    let named = named.trim();
    if named.is_empty() || named.contains(|c: char| c.is_whitespace() || "<>=()".contains(c)) {
        return Err(wrong("this is not a version"));
    }
    relation.version = Some((operator, named));
    Ok(relation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(field: &str) -> Result<String, String> {
        let mut relations = Vec::new();
        parse(field, &mut relations)?;
        let texts = relations.iter().map(|r| {
            let qualifier = r.qualifier.map(|q| format!(":{q}")).unwrap_or_default();
            let version = r.version.map(|(op, v)| format!(" ({} {v})", op.sign())).unwrap_or_default();
            format!("{}{qualifier}{version}{}", r.name, if r.or { " | " } else { ", " })
        });
        Ok(texts.collect::<String>().trim_end_matches(", ").to_owned())
    }

    #[test]
    fn relations_are_read() {
        for (field, expected) in [
            ("a", "a"),
            (" a,b ,\n c\n", "a, b, c"),
            ("a, ", "a"),
            ("a(>=1:2~x-3)|b:any (<< 2)|c", "a (>= 1:2~x-3) | b:any (<< 2) | c"),
            (
                "a (< 1), b (> 2), c (= 3), d (>> 4), e (<= 5)",
                "a (<= 1), b (>= 2), c (= 3), d (>> 4), e (<= 5)",
            ),
            ("python3:native, libc6:arm64 (>= 2.17)", "python3:native, libc6:arm64 (>= 2.17)"),
            ("", ""),
        ] {
            assert_eq!(read(field).as_deref(), Ok(expected), "{field}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for field in [
            "a |",
            "| a",
            "a (1)",
            "a (>= )",
            "a (>= 1",
            "a [amd64]",
            "a <x>",
            "a (= 1) [arm64]",
            "a b",
            "(>= 1)",
            "a:",
            "a:b:c",
            "ä",
            "a (>= 1 2)",
            "a (=> 1)",
        ] {
            assert!(read(field).is_err(), "{field}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(field: String, more in "[a (),|<>=:1!\\[\\]]{0,20}") {
            let _ = (read(&field), read(&more));
        }
    }
}

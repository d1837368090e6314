//! What PyYAML makes of scalars without quotes, by its implicit resolvers (`yaml/resolver.py`,
//! `yaml/constructor.py`).

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

const NULL: &str = r"^(?:~|null|Null|NULL|)$";
const BOOL: &str = r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$";
const INT: &str = r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$";
const FLOAT: &str = r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$";
const TIMESTAMP: &str = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)$";

// The patterns are constants, and a test compiles them.
static SPECIAL: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([NULL, BOOL, INT, FLOAT, TIMESTAMP]).unwrap_or_else(|_| RegexSet::empty())
});
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(TIMESTAMP).ok());

/// Whether plain `text` is something other than text.
pub(super) fn is_special(text: &str) -> bool {
    matches!(text, "=" | "<<") || SPECIAL.is_match(text)
}

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Whether cloud-init takes `text` for a yes, quoted or not (`util.is_true`).
pub(in super::super) fn is_true(text: &str) -> bool {
    matches!(text.to_lowercase().trim(), "true" | "1" | "on" | "yes")
}

/// Whether cloud-init takes `text` for a no, quoted or not (`util.is_false`).
pub(in super::super) fn is_false(text: &str) -> bool {
    matches!(text.to_lowercase().trim(), "false" | "0" | "off" | "no")
}

/// Why PyYAML cannot read plain `text`, if it cannot: it looks like something that it is not.
pub(super) fn unreadable(text: &str) -> Option<&'static str> {
    let digits = text.trim_start_matches(['-', '+']);
    let number = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0b"));
    match text {
        "=" => Some("an unquoted `=` cannot be read by cloud-init; put it in quotes"),
        "<<" => Some("`<<` merges a mapping, and stands for nothing elsewhere; put it in quotes"),
        _ if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b == b'_')) => {
            Some("a number without digits cannot be read by cloud-init; put it in quotes")
        }
        _ if DATE.as_ref().is_some_and(|date| date.is_match(text)) && !is_date(text) => {
            Some("there is no such date, and cloud-init cannot read it; put it in quotes")
        }
        _ => None,
    }
}

/// Whether what looks like a timestamp is one that Python's `datetime` holds.
fn is_date(text: &str) -> bool {
    let numbers: Vec<u16> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .map_while(|n| n.parse().ok())
        .collect();
    let &[year, month, day, ref clock @ ..] = numbers.as_slice() else { return false };
    let month = u8::try_from(month).ok().and_then(|month| time::Month::try_from(month).ok());
    let date = month.zip(u8::try_from(day).ok()).and_then(|(month, day)| {
        time::Date::from_calendar_date(i32::from(year), month, day).ok().filter(|_| year > 0)
    });
    let sound = clock.iter().take(3).zip([24, 60, 60]).all(|(part, limit)| *part < limit);
    date.is_some() && sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_something_is_no_text() {
        for text in [
            "",
            "~",
            "null",
            "yes",
            "Off",
            "0755",
            "0x1f",
            "0b11",
            "1_000",
            "12:30:00",
            "1.5",
            ".5",
            "1.e+3",
            ".inf",
            "2001-12-14",
            "2001-12-14t21:59:43.10-05:00",
            "=",
            "<<",
            "-0",
            "+1",
        ] {
            assert!(is_special(text), "{text}");
        }
        for text in
            ["y", "n", "Y", "1e3", "0o755", "yEs", "08", "a", "12:30:00x", "1.2.3", "- a", "0x", "nULL"]
        {
            assert!(!is_special(text), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_something_is_refused() {
        for text in ["2001-13-01", "2001-02-29", "2001-1-1 25:00:00", "0000-01-01", "=", "<<", "0x_"] {
            assert!(unreadable(text).is_some(), "{text}");
        }
        for text in ["2001-12-14", "2000-02-29", "2001-1-1 23:59:59.5 +05:30", "0x1", "a=", "12:30:00"] {
            assert_eq!(unreadable(text), None, "{text}");
        }
    }
}

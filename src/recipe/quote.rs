//! One text in the grammar of five kinds of file, so that it is read back as it was whatever it
//! holds. Everything that a user typed passes through here on its way into a file.

use std::fmt::Write;

/// As a YAML 1.1 and 1.2 double-quoted scalar. Printable characters stay as they are, also
/// outside ASCII and outside the basic plane: YAML does not join `\u` surrogates, and PyYAML and
/// libyaml (cloud-init, netplan) read UTF-8.
#[must_use]
pub fn yaml(text: &str) -> String {
    double_quoted(text, yaml_printable, |c| format!("\\U{:08X}", u32::from(c)))
}

/// As YAML and TOML both write it, with `escape` for what is not `plain` and has no short escape.
fn double_quoted(text: &str, plain: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if plain(c) => out.push(c),
            c => out.push_str(&escape(c)),
        }
    }
    out.push('"');
    out
}

/// Whether all of `text` may stand in a YAML block scalar, which has no escapes.
pub(super) fn yaml_needs_no_escape(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\t') || yaml_printable(c))
}

/// The characters of YAML's `c-printable` that mean only themselves between double quotes: no
/// control characters, no line separators (U+0085, U+2028, U+2029), no byte order mark.
fn yaml_printable(c: char) -> bool {
    matches!(c,
        ' '..='~'
        | '\u{a0}'..='\u{2027}'
        | '\u{202a}'..='\u{d7ff}'
        | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}'
        | '\u{10000}'..='\u{10ffff}')
}

/// As a POSIX shell word in single quotes, in which nothing but the quote is special.
pub fn shell(text: &str) -> Result<String, String> {
    no_nul(text, "shell script")?;
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

/// As a string of dhcpd.conf(5). Only printable ASCII goes in as it is; the lexer of ISC dhcpd
/// takes `\` and three octal digits for any other byte.
pub fn dhcpd(text: &str) -> Result<String, String> {
    no_nul(text, "dhcpd.conf")?;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            other => _ = write!(out, "\\{other:03o}"),
        }
    }
    out.push('"');
    Ok(out)
}

/// As a TOML 1.0 basic string.
#[must_use]
pub fn toml(text: &str) -> String {
    double_quoted(text, |c| !c.is_control(), |c| format!("\\u{:04X}", u32::from(c)))
}

/// As a quoted word of a systemd unit file, see systemd.syntax(7) and systemd.service(5). `$` is a
/// variable in `Exec` lines and plain in `Environment=`, so it cannot be written for both.
pub fn systemd(text: &str) -> Result<String, String> {
    if let Some(character) = text.chars().find(|&c| c == '$' || c.is_control()) {
        return Err(not_bare(text, Some(character)));
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    Ok(format!("\"{escaped}\""))
}

/// The text itself, if it is one that no grammar gives a meaning to: the letters, digits and
/// marks that names, addresses, versions, times and simple paths and URLs are made of.
pub fn bare(text: &str) -> Result<&str, String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._:/@+,=~-".contains(c);
    bare_of(text, harmless)
}

/// The text itself, if it is made of the characters that RFC 3986 lets stand in a URL and that
/// are no quotes; `[` and `]` would begin options in apt's one-line format.
pub fn url(text: &str) -> Result<&str, String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@!$&()*+,;=%".contains(c);
    bare_of(text, harmless)
}

fn bare_of(text: &str, harmless: impl Fn(char) -> bool) -> Result<&str, String> {
    let character = text.chars().find(|&c| !harmless(c));
    if character.is_some() || text.is_empty() {
        return Err(not_bare(text, character));
    }
    Ok(text)
}

/// The text would have to stand bare, and holds something that might end it early.
fn not_bare(text: &str, character: Option<char>) -> String {
    let why = character.map_or_else(|| "it is empty".to_owned(), |c| format!("{c:?} is in it"));
    format!("{text:?} cannot stand unquoted in a configuration file: {why}")
}

fn no_nul(text: &str, language: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err(format!("{text:?} holds a NUL character, which a {language} cannot carry"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_grammar_has_its_own_quotes() {
        let odd = "a\"b\\c'd $e #f\nü🎉\u{85}";
        assert_eq!(yaml(odd), "\"a\\\"b\\\\c'd $e #f\\nü🎉\\U00000085\"");
        assert_eq!(shell(odd).unwrap(), "'a\"b\\c'\\''d $e #f\nü🎉\u{85}'");
        assert_eq!(dhcpd("a\"b\\ü").unwrap(), "\"a\\\"b\\\\\\303\\274\"");
        assert_eq!(toml(odd), "\"a\\\"b\\\\c'd $e #f\\nü🎉\\u0085\"");
    }

    #[test]
    fn unit_files_have_no_specifiers_or_variables_made_by_accident() {
        assert_eq!(systemd("a b\"c\\d%e").unwrap(), r#""a b\"c\\d%%e""#);
        assert!(systemd("a$b").is_err() && systemd("a\nb").is_err());
    }

    #[test]
    fn what_cannot_be_carried_is_refused() {
        assert!(shell("a\0b").is_err());
        assert!(dhcpd("a\0b").is_err());
        for bad in ["", "a b", "a;b", "a\nb", "a\"b", "a#b", "a%b", "ü", "$x", "{", "a'"] {
            assert!(bare(bad).is_err(), "{bad:?}");
        }
        for good in ["node-1", "10.0.0.1/24", "fd00::1", "3h", "https://a.b:8/c_d", "a=b"] {
            assert_eq!(bare(good), Ok(good));
        }
        assert!(url("https://a b").is_err() && url("https://a/[x]").is_err());
        assert!(url("https://a/%20?x=1&y").is_ok());
    }

    proptest! {
        #[test]
        fn yaml_and_toml_read_back_what_was_written(text in any::<String>()) {
            let read: String = serde_saphyr::from_str(&yaml(&text)).unwrap();
            prop_assert_eq!(&read, &text);
            let read: toml::Table = format!("x = {}", toml(&text)).parse().unwrap();
            prop_assert_eq!(read["x"].as_str(), Some(text.as_str()));
        }
    }
}

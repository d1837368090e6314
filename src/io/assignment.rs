//! Lines `KEY=VALUE`, as scripts on nodes write them.

/// The value of the first line that sets `key`, as it stands there.
pub(crate) fn assignment<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_key_counts_and_the_first_line() {
        let text = "NODE_NAME='a'\nROLE=x=y\nROLE=z\nEMPTY=\n";
        for (key, value) in [
            ("ROLE", Some("x=y")),
            ("NODE_NAME", Some("'a'")),
            ("NODE", None),
            ("EMPTY", Some("")),
            ("x", None),
        ] {
            assert_eq!(assignment(text, key), value, "{key}");
        }
    }
}

//! How a server says in which ways it lets itself be told who asks.

/// One of the ways: `Bearer realm="…",service="…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The ways that one `WWW-Authenticate` header names (RFC 9110, 11.6.1), in its order. Reading ends where a
    /// header does not keep to the grammar.
    #[must_use]
    pub fn parse(header: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut rest = header;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (word, behind) = token(rest);
            if word.is_empty() {
                return found;
            }
            let name = word.to_ascii_lowercase();
            let Some(value) = behind.trim_start_matches([' ', '\t']).strip_prefix('=') else {
                found.push(Self { scheme: name, parameters: Vec::new() });
                rest = behind;
                continue;
            };
            let (Some(challenge), Some((value, behind))) = (found.last_mut(), value_of(value)) else {
                return found;
            };
            challenge.parameters.push((name, value));
            rest = behind;
        }
    }

    /// Whether this is the scheme; schemes have no case.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, the first one if there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// `token` (RFC 9110, 5.6.2) and what is behind it.
fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// `token / quoted-string` and what is behind it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, behind) = token(text);
        return (!word.is_empty()).then(|| (word.to_owned(), behind));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Vec<(String, Vec<(String, String)>)> {
        Challenge::parse(header).into_iter().map(|c| (c.scheme, c.parameters)).collect()
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = Challenge::parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull""#,
        );
        assert_eq!(hub.len(), 1);
        assert!(hub[0].is("bearer") && hub[0].is("Bearer") && !hub[0].is("Basic"));
        assert_eq!(hub[0].get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(hub[0].get("scope"), Some("repository:library/busybox:pull"));
        assert_eq!(hub[0].get("error"), None);

        let several = read("Basic realm=\"a, \\\"b\\\"\" , BEARER realm = x,service=\"\"");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(several[0], ("basic".to_owned(), vec![pair("realm", "a, \"b\"")]));
        assert_eq!(several[1], ("bearer".to_owned(), vec![pair("realm", "x"), pair("service", "")]));
    }

    #[test]
    fn what_is_no_challenge_is_read_as_far_as_it_goes() {
        for (header, schemes) in [
            ("", 0),
            (" , ,", 0),
            ("realm=\"x\"", 0),
            ("Negotiate", 1),
            ("Negotiate abc==", 1),
            ("Bearer realm=\"never ends", 1),
            ("Bearer realm=\"ends in a backslash\\", 1),
            ("Bearer realm=", 1),
            ("Bearer ä", 1),
        ] {
            let found = Challenge::parse(header);
            assert_eq!(found.len(), schemes, "{header}: {found:?}");
            assert!(found.iter().all(|challenge| challenge.get("realm").is_none()), "{header}: {found:?}");
        }
    }
}

//! A line of `authorized_keys`, as sshd(8) reads it: options, the key, a comment.

/// The options that sshd knows, those with a value with `=`. With one that it does not know it
/// ignores the whole line.
const OPTIONS: &[&str] = &[
    "agent-forwarding",
    "cert-authority",
    "command=",
    "environment=",
    "expiry-time=",
    "from=",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "permitlisten=",
    "permitopen=",
    "port-forwarding",
    "principals=",
    "pty",
    "restrict",
    "tunnel=",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];

/// The line, with single blanks between its parts.
///
/// # Errors
/// Why sshd would let nobody in by it.
pub(super) fn parse(line: &str) -> Result<String, String> {
    if line.contains("PRIVATE KEY") {
        return Err("must be the public half of the key, the file that ends in .pub".to_owned());
    }
    let line = line.trim();
    if line.chars().any(char::is_control) {
        return Err("must be one line: a key each".to_owned());
    }
    if let Some(key) = key(line)? {
        return Ok(key);
    }
    // As sshd does: what is no key begins with options.
    let end = options_end(line);
    let (options, rest) = line.split_at(end);
    // of a file's name nothing is looked up: the description alone says what is on the cards
    let is_file = line.ends_with(".pub") && !line.contains(' ');
    let hint = if is_file { "; this is the name of a file: give the line that is in it" } else { "" };
    let no_key = || format!("must be a public SSH key, such as \"ssh-ed25519 AAAA… name\"{hint}");
    let key = key(rest.trim())?.ok_or_else(no_key)?;
    check_options(options)?;
    Ok(format!("{options} {key}"))
}

/// The key in `text`, which is nothing but a key and its comment; `None` if it is none.
fn key(text: &str) -> Result<Option<String>, String> {
    let text = text.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let Ok(key) = ssh_key::PublicKey::from_openssh(&text) else { return Ok(None) };
    if matches!(key.algorithm(), ssh_key::Algorithm::Dsa) {
        return Err("must not be a DSA key: sshd no longer takes them".to_owned());
    }
    Ok(Some(text))
}

/// Where the first blank outside quotes is. A backslash before a quote makes it part of the value.
fn options_end(line: &str) -> usize {
    let mut quoted = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            ' ' if !quoted => return at,
            _ => {}
        }
        before = c;
    }
    line.len()
}

fn check_options(options: &str) -> Result<(), String> {
    let mut rest = options;
    loop {
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let value = after.strip_prefix('=');
        let wanted = format!("{}{}", name.to_ascii_lowercase(), if value.is_some() { "=" } else { "" });
        if !OPTIONS.contains(&wanted.as_str()) {
            return Err(format!("has the option {name:?}, with which sshd would ignore the key"));
        }
        rest = match value {
            None => after,
            Some(value) => {
                let inner = value
                    .strip_prefix('"')
                    .ok_or_else(|| format!("needs the value of {name:?} in double quotes"))?;
                let close = inner.char_indices().find(|&(at, c)| c == '"' && !inner[..at].ends_with('\\'));
                let (close, _) = close.ok_or_else(|| format!("has no quote at the end of {name:?}"))?;
                &inner[close + 1..]
            }
        };
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(()),
            None => return Err(format!("needs a comma after the option {name:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEllzXTs1NIiqSoXZtvzVbb0SM/JOrg9D8lr3uVQdmcp me";

    #[test]
    fn options_before_the_key_are_kept_as_they_are() {
        for options in [
            "cert-authority",
            "restrict,pty",
            r#"from="10.0.0.0/8,!10.0.0.1",no-agent-forwarding"#,
            r#"command="echo \"a  b\", c",No-X11-Forwarding"#,
        ] {
            let line = format!("{options} {KEY}");
            assert_eq!(parse(&format!(" {options}   {KEY}")), Ok(line));
        }
        assert_eq!(parse(&KEY.replace(' ', "  ")).as_deref(), Ok(KEY));
    }

    #[test]
    fn what_sshd_would_ignore_is_refused() {
        for options in [
            "restrikt",
            "from=10.0.0.0/8",
            "from",
            "pty=\"x\"",
            "from=\"x",
            "restrict,",
            "from=\"a\"pty",
            ",",
        ] {
            assert!(parse(&format!("{options} {KEY}")).is_err(), "{options}");
        }
        for line in ["", "restrict", "ssh-ed25519 AAAA", "a b c"] {
            assert!(parse(line).unwrap_err().contains("public SSH key"), "{line}");
        }
    }
}

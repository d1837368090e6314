//! Mode and owner of a file in the comment that its bill has of it: SPDX has no field for them.

use std::fmt;

use super::Mode;

const PRELOADED: &str = "preloaded";

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {:04o}, owner {}:{}", self.mode, self.uid, self.gid)
    }
}

/// What a bill says of a file besides its content; nothing where there is nothing to say.
pub(super) fn comment(mode: Option<Mode>, is_preloaded: bool) -> Option<String> {
    let parts = [mode.map(|mode| mode.to_string()), is_preloaded.then(|| PRELOADED.to_owned())];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Reads what [`comment`] wrote; `None` where it is something else.
pub(super) fn read(comment: &str) -> Option<(Option<Mode>, bool)> {
    let mut parts: Vec<&str> = comment.split(", ").collect();
    let is_preloaded = parts.last() == Some(&PRELOADED);
    if is_preloaded {
        parts.pop();
    }
    match parts.as_slice() {
        [] => Some((None, is_preloaded)),
        [mode, owner] => {
            let mode =
                u16::from_str_radix(mode.strip_prefix("mode ")?, 8).ok().filter(|mode| *mode <= 0o7777)?;
            let (uid, gid) = owner.strip_prefix("owner ")?.split_once(':')?;
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            Some((Some(Mode { mode, uid, gid }), is_preloaded))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let mode = Mode { mode: 0o4755, uid: 0, gid: 65534 };
        for (mode, is_preloaded) in [(Some(mode), false), (Some(mode), true), (None, true)] {
            assert_eq!(read(&comment(mode, is_preloaded).unwrap()), Some((mode, is_preloaded)));
        }
        assert_eq!(comment(None, false), None);
        for other in
            ["", "mode 0644", "mode 99, owner 0:0", "mode 77777, owner 0:0", "mode 0644, owner 0", "x, y"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}

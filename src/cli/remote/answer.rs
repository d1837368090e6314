//! How a command on a node went.

use crate::cli::shortened::{SENTENCE_MAX, shortened};
use crate::cli::talk::Ended;
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};

/// What ssh says of a host key that is not the one that it knows.
const OTHER_KEY: &str = "Host key verification failed";

/// How a command on a node went.
#[derive(Debug)]
pub(in crate::cli) enum Answer {
    /// It succeeded, and said this.
    Said(String),
    /// It failed, and said this last.
    Failed(String),
    /// The node was not reached, or the connection to it was lost, for this reason.
    Unreachable(String),
    /// The run was cancelled: what became of the command nobody has heard.
    Cancelled,
}

impl Answer {
    /// What the end of a talk means, in which the node said this.
    pub(in crate::cli) fn of(ended: Ended, stdout: &[u8]) -> Self {
        let (code, words) = match ended {
            Ended::ByItself { code: Some(0), .. } => {
                return Self::Said(String::from_utf8_lossy(stdout).into_owned());
            }
            Ended::ByItself { code, words } => (code, words),
            Ended::Cancelled => return Self::Cancelled,
            Ended::Late => return Self::Unreachable("it did not answer in time".to_owned()),
            Ended::Enough => return Self::Failed("it says more than any node has to say".to_owned()),
        };
        let said = String::from_utf8_lossy(&words);
        // What comes after it only tells that the connection ended.
        let key = said.lines().find(|line| line.contains(OTHER_KEY));
        let last = key.or(said.trim().lines().last()).map(|line| shortened(line, SENTENCE_MAX));
        match code {
            // ssh(1), EXIT STATUS: 255 is its own. One that was ended by a signal reaches nobody, either.
            Some(255) | None => {
                Self::Unreachable(last.unwrap_or_else(|| "the connection was lost".to_owned()))
            }
            Some(_) => Self::Failed(last.unwrap_or_else(|| "it failed and said nothing".to_owned())),
        }
    }
}

/// Why a node is not talked to, where ssh says that its host key is not the one that pibake made.
pub(in crate::cli) fn other_key(node: &Node, why: &str) -> Option<Failure> {
    why.contains(OTHER_KEY).then(|| {
        Failure::new(
            ErrorClass::Verification,
            format!(
                "{name} at {address}, or what is on the way to it, has another host key than pibake made for it: another \
                 machine answers there, or its card was written elsewhere. Nothing is told to it",
                name = node.name,
                address = node.address
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_say_why_and_are_no_longer_than_people_read() {
        let of = |code: i32, words: &str| {
            let ended = Ended::ByItself { code: Some(code), words: words.as_bytes().to_vec() };
            Answer::of(ended, b"out")
        };
        assert!(matches!(of(0, "warning"), Answer::Said(said) if said == "out"));
        assert!(matches!(of(1, "a\nb\n\n"), Answer::Failed(why) if why == "b"));
        assert!(matches!(of(255, ""), Answer::Unreachable(why) if why == "the connection was lost"));
        let key = "Host key verification failed.\nConnection closed by UNKNOWN port 65535\n";
        assert!(matches!(of(255, key), Answer::Unreachable(why) if why.starts_with(OTHER_KEY)));
        let Answer::Failed(why) = of(1, &"x".repeat(1 << 20)) else { panic!("it failed") };
        assert!(why.len() < SENTENCE_MAX + 10, "{}", why.len());
    }
}

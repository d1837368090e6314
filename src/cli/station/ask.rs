//! The one question before a batch of cards.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::fleet::ListedNode;
use crate::io::CancelToken;

/// How often it is looked whether the run was cancelled.
const POLL: Duration = Duration::from_millis(200);

/// What is asked before `count` of these nodes are written.
pub(super) fn question<'n>(
    cluster: &str,
    nodes: impl Iterator<Item = &'n ListedNode>,
    count: usize,
) -> String {
    let names: Vec<&str> = nodes.take(count).map(|node| node.name.as_str()).collect();
    let cards = if count == 1 { "card" } else { "cards" };
    format!(
        "The next {count} {cards} of {cluster:?}: {}.\nFrom now on every card that is put in is overwritten without another \
         question, until so many are written.\nWhat is in a reader now stays as it is. Type {count} to begin: ",
        names.join(", ")
    )
}

/// Shows a question; whether it is answered by `wanted`. The end of the input is no answer, and neither is Ctrl-C.
pub(super) fn is_answered(question: &str, wanted: &str, cancel: &CancelToken) -> bool {
    // Who cannot see the question cannot answer it either.
    let _ = io::stderr().write_all(question.as_bytes()).and_then(|()| io::stderr().flush());
    let (to, answer) = bounded(1);
    // it ends with the program where nobody answers
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        let _ = to.send(read.map(|_| line));
    });
    loop {
        match answer.recv_timeout(POLL) {
            Ok(Ok(line)) => return line.trim() == wanted,
            Err(RecvTimeoutError::Timeout) if !cancel.is_cancelled() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_what_becomes_of_cards() {
        let nodes = [2, 3, 4].map(|number| ListedNode::for_tests(&format!("node-{number}"), number));
        let text = question("home", nodes.iter(), 2);
        assert!(text.starts_with("The next 2 cards of \"home\": node-2, node-3.\n"), "{text}");
        assert!(text.ends_with("Type 2 to begin: "), "{text}");
    }
}

//! The question before a card is overwritten.

use std::io::{self, BufRead, Write};

use super::targets::Held;
use crate::drives::Drive;
use crate::error::{Doing, Failure};
use crate::io::{human_bytes, sold_size};

/// How much of a serial number is asked for.
const ASKED: usize = 4;

/// Shows each drive and asks for something that is read off it. With `yes` nothing is asked.
pub(super) fn all(held: &[Held], yes: bool, needed: &Option<u64>) -> Result<(), Failure> {
    let mut answers = io::stdin().lock();
    for held in held {
        say(&describe(held, needed));
        if yes {
            continue;
        }
        let (question, wanted) = question(&held.drive);
        say(&format!("{question}: "));
        let mut answer = String::new();
        answers.read_line(&mut answer).doing(|| "reading the answer".to_owned())?;
        if !answer.trim().eq_ignore_ascii_case(&wanted) {
            let name = held.name();
            let got = if answer.trim().is_empty() { "no answer" } else { "another answer" };
            return Err(Failure::refused(format!("{got}: {name} stays as it is; nothing was written")));
        }
    }
    Ok(())
}

fn say(text: &str) {
    // Who cannot see the question cannot answer it either.
    let _ = io::stderr().write_all(text.as_bytes()).and_then(|()| io::stderr().flush());
}

fn describe(held: &Held, needed: &Option<u64>) -> String {
    let drive = &held.drive;
    let named = if held.asked == drive.path { String::new() } else { format!(" ({})", held.asked.display()) };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".into());
    let needed = needed.map_or(String::new(), |n| format!(" (the image has {})", human_bytes(n)));
    format!(
        "{}{named} becomes {}. Everything on it is lost:\n  model    {}\n  serial   {}\n  size     {}, \
         {} bytes{needed}\n  content  {}\n{}",
        drive.path.display(),
        held.node,
        or_none(&drive.model),
        or_none(&drive.serial),
        sold_size(drive.size),
        drive.size,
        drive.summary(),
        held.whose.as_ref().map_or(String::new(), |whose| format!("  card of  {whose}\n")),
    )
}

/// What to type: the end of the serial number, or where there is none, of the size.
fn question(drive: &Drive) -> (String, String) {
    let end = |text: &str| {
        let letters: Vec<char> = text.chars().collect();
        letters[letters.len().saturating_sub(ASKED)..].iter().collect::<String>()
    };
    match drive.serial.as_deref().map(end) {
        Some(wanted) => {
            (format!("Type the last {} characters of its serial number", wanted.chars().count()), wanted)
        }
        None => (format!("Type the last {ASKED} digits of its size in bytes"), end(&drive.size.to_string())),
    }
}

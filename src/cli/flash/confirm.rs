//! The question before a card is overwritten.

use std::io::{self, BufRead, Write};

use super::targets::Held;
use crate::drives::Drive;
use crate::error::{Doing, Failure};
use crate::io::{human_bytes, sold_size};
use crate::ui::visible_line;

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
    let named = if held.asked == held.drive.path {
        held.name()
    } else {
        format!("{} ({})", held.name(), held.asked.display())
    };
    let becomes = format!("{named} becomes {}. Everything on it is lost:", held.node);
    let whose = held.whose.as_ref().map(|whose| format!("  card of  {whose}"));
    let lines = [becomes].into_iter().chain(facts(&held.drive, needed)).chain(whose);
    // What a drive and a card say of themselves is others' words.
    lines.map(|line| format!("{}\n", visible_line(&line))).collect()
}

/// What tells a drive from others, a line each.
fn facts(drive: &Drive, needed: &Option<u64>) -> [String; 4] {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".into());
    let needed = needed.map_or(String::new(), |n| format!(" (the image has {})", human_bytes(n)));
    [
        format!("  model    {}", or_none(&drive.model)),
        format!("  serial   {}", or_none(&drive.serial)),
        format!("  size     {}, {} bytes{needed}", sold_size(drive.size), drive.size),
        format!("  content  {}", drive.summary()),
    ]
}

/// What to type: the end of the serial number, or where there is none that a keyboard has, of the size.
fn question(drive: &Drive) -> (String, String) {
    let end = |text: &str| {
        let letters: Vec<char> = text.chars().collect();
        letters[letters.len().saturating_sub(ASKED)..].iter().collect::<String>()
    };
    match drive.serial.as_deref().filter(|serial| visible_line(serial) == *serial).map(end) {
        Some(wanted) => {
            (format!("Type the last {} characters of its serial number", wanted.chars().count()), wanted)
        }
        None => (format!("Type the last {ASKED} digits of its size in bytes"), end(&drive.size.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drives::{Bus, Content, DeviceNumber, Kind};

    fn drive(serial: &str) -> Drive {
        Drive {
            path: "/dev/sdz".into(),
            number: DeviceNumber { major: 8, minor: 1 },
            size: 31_914_983_424,
            logical_sector: 512,
            model: Some("card\u{1b}[8m".to_owned()),
            serial: Some(serial.to_owned()),
            bus: Bus::Usb,
            kind: Kind::Disk,
            removable: true,
            hotplug: true,
            read_only: false,
            content: Content { label: Some("a\u{202e}b".to_owned()), ..Content::default() },
            partitions: Vec::new(),
            uses: Vec::new(),
            backing: None,
            ids: Vec::new(),
        }
    }

    #[test]
    fn nobody_is_asked_for_what_no_keyboard_has() {
        let asked = |serial: &str| question(&drive(serial));
        assert_eq!(
            asked("AA11"),
            ("Type the last 4 characters of its serial number".to_owned(), "AA11".to_owned())
        );
        assert_eq!(
            asked("12"),
            ("Type the last 2 characters of its serial number".to_owned(), "12".to_owned())
        );
        for odd in ["AA1\u{1b}", "\u{202e}AA11", "A\u{9b}2J"] {
            assert_eq!(asked(odd).1, "3424", "{odd:?}");
        }
    }

    #[test]
    fn what_a_drive_says_of_itself_moves_no_cursor() {
        let told =
            |drive: &Drive| facts(drive, &None).map(|line| visible_line(&line).into_owned()).join("\n");
        let text = told(&drive("AA11\n  size     8 GB"));
        assert!(text.contains(r"  model    card\x1b[8m") && text.contains(r"a\u{202e}b"), "{text}");
        assert!(text.contains(r"  serial   AA11\n  size     8 GB") && text.lines().count() == 4, "{text}");
    }
}

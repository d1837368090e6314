//! The kernel's command line on the boot partition: one line of arguments.
//!
//! Read as the kernel reads it (`lib/cmdline.c`, `next_arg`): arguments are parted by white space,
//! double quotes keep it together wherever they stand, and nothing escapes a quote. What follows `--`
//! is for init.

use crate::recipe::KernelArgument;

/// Longest command line of arm64: `COMMAND_LINE_SIZE` is 2048, a NUL at the end included. What the
/// firmware adds is not counted here, as it differs from board to board.
const LONGEST: usize = 2047;

/// The byte order mark that some editors put at the beginning.
pub(super) const MARK: &str = "\u{feff}";

/// The line in `text` with each of `set` there exactly once and none of `unset`; all else stays as
/// and where it is. Doing it twice changes nothing more.
///
/// # Errors
/// Says why, if `text` is not one line that the firmware and the kernel read in full.
pub(super) fn edit(text: &[u8], set: &[KernelArgument], unset: &[KernelArgument]) -> Result<String, String> {
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8")?;
    let text = text.strip_prefix(MARK).unwrap_or(text);
    if let Some(c) = text.chars().find(|c| c.is_control() && !c.is_ascii_whitespace()) {
        return Err(format!("holds the control character {c:?}"));
    }
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|l| !l.trim().is_empty()).collect();
    let [line] = lines.as_slice() else {
        return Err(format!("the kernel's command line must be one line, and this has {}", lines.len()));
    };
    let all = arguments(line)?;
    let (own, for_init) = all.split_at(all.iter().position(|word| *word == "--").unwrap_or(all.len()));
    let mut words: Vec<&str> = Vec::new();
    for word in own {
        let wanted = set.iter().find(|argument| argument.is_same(word));
        let stays = match wanted {
            // also where `unset` has its key: it is the value that is wanted
            Some(argument) => !words.iter().any(|w| argument.is_same(w)),
            None => !unset.iter().any(|argument| argument.covers(word)),
        };
        if stays {
            words.push(word);
        }
    }
    for argument in set {
        if !words.iter().any(|word| argument.is_same(word)) {
            words.push(argument.as_str());
        }
    }
    words.extend(for_init);
    let line = words.join(" ");
    if line.len() > LONGEST {
        return Err(format!(
            "the kernel's command line would have {} bytes, and arm64 reads {LONGEST}: take arguments out of it",
            line.len()
        ));
    }
    let end = if text.ends_with(['\n', '\r']) { "\n" } else { "" };
    Ok(line + end)
}

/// What [`edit`] would still change in `text`, in words; nothing where it is as that leaves it.
pub(super) fn missing(text: &[u8], set: &[KernelArgument], unset: &[KernelArgument]) -> Vec<String> {
    let edited = match edit(text, set, unset) {
        Ok(edited) if edited.as_bytes() == text => return Vec::new(),
        Ok(edited) => edited,
        Err(why) => return vec![why],
    };
    let text = String::from_utf8_lossy(text);
    let words = |line| arguments(line).unwrap_or_default();
    let (more, lacks) = apart(&words(&text), &words(&edited));
    let lacks = lacks.iter().map(|word| format!("it lacks {word}"));
    let mut all: Vec<String> = lacks.chain(more.iter().map(|word| format!("it has {word}"))).collect();
    if all.is_empty() {
        all.push("an argument is there twice, or it is not one line".to_owned());
    }
    all
}

/// The arguments that each of two lines has alone.
pub(super) fn apart(one: &[&str], other: &[&str]) -> (Vec<String>, Vec<String>) {
    let only = |these: &[&str], others: &[&str]| -> Vec<String> {
        these.iter().filter(|word| !others.contains(word)).map(|word| (*word).to_owned()).collect()
    };
    (only(one, other), only(other, one))
}

/// The arguments of a line, with the quotes that are in them.
pub(super) fn arguments(line: &str) -> Result<Vec<&str>, String> {
    let mut quoted = false;
    let words = line.split(|c: char| {
        quoted ^= c == '"';
        !quoted && c.is_whitespace()
    });
    let words = words.filter(|word| !word.is_empty()).collect();
    match quoted {
        true => Err("holds a quotation mark that is never closed".into()),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(list: &[&str]) -> Vec<KernelArgument> {
        list.iter().map(|word| word.parse().unwrap()).collect()
    }

    fn edit(text: &str, set: &[KernelArgument], unset: &[KernelArgument]) -> Result<String, String> {
        super::edit(text.as_bytes(), set, unset)
    }

    #[test]
    fn arguments_are_set_once_and_unset_wholly() {
        let set = words(&["cgroup_enable=memory", "cgroup_memory=1"]);
        let unset = words(&["splash", "elevator="]);
        let once = edit("elevator=deadline root=LABEL=writable quiet splash\n", &set, &unset).unwrap();
        assert_eq!(once, "root=LABEL=writable quiet cgroup_enable=memory cgroup_memory=1\n");
        assert_eq!(edit(&once, &set, &unset), Ok(once));
        let twice = edit("cgroup_memory=1 a cgroup_memory=1", &set, &[]).unwrap();
        assert_eq!(twice, "cgroup_memory=1 a cgroup_enable=memory");
    }

    #[test]
    fn a_second_time_changes_nothing_in_whatever_order_the_arguments_are_asked_for() {
        let set = words(&["a=1", "b=2", "c"]);
        for unset in [words(&["a="]), words(&["b="]), words(&["a=", "b=", "d="])] {
            let once = edit("a=0 b=2 x d=1\n", &set, &unset).unwrap();
            assert_eq!(edit(&once, &set, &unset), Ok(once.clone()), "{unset:?}");
            assert!(once.starts_with("b=2 x ") || once.starts_with("a=0 b=2 x "), "{once}");
        }
    }

    #[test]
    fn dashes_and_underscores_are_the_same_in_names_and_not_in_values() {
        let set = words(&["usb-storage.quirks=152d:0578:u"]);
        let line = "usb_storage.quirks=152d:0578:u a\n";
        assert_eq!(edit(line, &set, &[]).as_deref(), Ok(line));
        let dropped = edit("a cgroup-disable=memory b=x-y\n", &[], &words(&["cgroup_disable=", "b=x_y"]));
        assert_eq!(dropped.as_deref(), Ok("a b=x-y\n"));
    }

    #[test]
    fn what_a_line_lacks_is_named_by_its_arguments() {
        let (set, unset) = (words(&["cgroup_memory=1", "b"]), words(&["splash"]));
        let missing = |text: &str| super::missing(text.as_bytes(), &set, &unset);
        assert_eq!(missing("a cgroup_memory=1 b\n"), [""; 0]);
        assert_eq!(missing("a splash b\n"), ["it lacks cgroup_memory=1", "it has splash"]);
        assert_eq!(missing("b cgroup_memory=1 b\n").len(), 1);
        assert_eq!(missing("").len(), 1);
    }

    #[test]
    fn repeated_arguments_of_others_stay() {
        let line = "console=serial0,115200 console=tty1\n";
        assert_eq!(edit(line, &[], &[]).as_deref(), Ok(line));
    }

    #[test]
    fn spaces_between_quotes_are_kept_and_unset_is_no_part_of_them() {
        let line = "dyndbg=\"file drivers/usb/* +p;  splash\" \"a b\" c\n";
        assert_eq!(edit(line, &words(&["c"]), &words(&["splash", "b"])).as_deref(), Ok(line));
        assert!(edit("a \"b c\n", &[], &[]).unwrap_err().contains("never closed"));
    }

    #[test]
    fn what_is_for_init_stays_behind_the_dashes() {
        let line = edit("quiet -- splash --x\n", &words(&["a=1"]), &words(&["splash", "quiet"]));
        assert_eq!(line.as_deref(), Ok("a=1 -- splash --x\n"));
    }

    #[test]
    fn ends_of_lines_of_every_kind() {
        let set = words(&["b"]);
        for (text, line) in [
            ("a", "a b"),
            ("a\n", "a b\n"),
            ("a\r\n", "a b\n"),
            ("\u{feff}a\r\n", "a b\n"),
            ("\r\n\n a\t\r\n\r\n", "a b\n"),
            ("a\r", "a b\n"),
        ] {
            assert_eq!(edit(text, &set, &[]).as_deref(), Ok(line), "{text:?}");
        }
    }

    #[test]
    fn no_line_two_lines_and_what_is_no_text_are_refused() {
        for text in ["", "\r\n", "a\nb\n", "a\rb", "a\0b\n", "a\x1bb"] {
            assert!(edit(text, &[], &[]).is_err(), "{text:?}");
        }
        assert!(super::edit(b"a\xff", &[], &[]).unwrap_err().contains("UTF-8"));
        assert!(edit("a\n\n", &[], &[]).is_ok());
    }

    #[test]
    fn a_line_that_arm64_does_not_read_in_full_is_refused() {
        let fits = "x".repeat(LONGEST - 2);
        assert!(edit(&fits, &words(&["a"]), &[]).is_ok());
        assert!(edit(&fits, &words(&["ab"]), &[]).unwrap_err().contains("2048 bytes"));
    }

    proptest! {
        #[test]
        fn twice_is_once_and_nothing_of_others_is_lost(text in "[a-c\"= _-]{0,40}\r?\n?") {
            let (set, unset) = (words(&["a_b=1", "s"]), words(&["c=", "b"]));
            if let Ok(once) = edit(&text, &set, &unset) {
                prop_assert_eq!(edit(&once, &set, &unset), Ok(once.clone()));
                let own = once.trim_end();
                let words = arguments(own).unwrap();
                for argument in &set {
                    let before_init = words.iter().take_while(|word| **word != "--");
                    prop_assert_eq!(before_init.filter(|word| argument.is_same(word)).count(), 1);
                }
            }
        }
    }
}

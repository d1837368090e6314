//! The kernel's command line on the boot partition: one line of arguments.

/// The line with each of `set` there exactly once and none of `unset`; all else stays as and where
/// it is. Doing it twice changes nothing more.
///
/// # Errors
/// Says why, if `text` is not one line: a second one would be ignored by the firmware.
pub fn edit(text: &str, set: &[String], unset: &[String]) -> Result<String, String> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let [line] = lines.as_slice() else {
        return Err(format!("the kernel's command line must be one line, and this has {}", lines.len()));
    };
    let dropped = |word: &str| {
        unset.iter().any(|u| if u.ends_with('=') { word.starts_with(u.as_str()) } else { word == u })
    };
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_ascii_whitespace() {
        let repeated = set.iter().any(|s| s == word) && words.contains(&word);
        if !dropped(word) && !repeated {
            words.push(word);
        }
    }
    for word in set {
        if !words.contains(&word.as_str()) {
            words.push(word);
        }
    }
    let end = if text.ends_with('\n') { "\n" } else { "" };
    Ok(words.join(" ") + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
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
    fn repeated_arguments_of_others_stay() {
        let line = "console=serial0,115200 console=tty1\n";
        assert_eq!(edit(line, &[], &[]).as_deref(), Ok(line));
    }

    #[test]
    fn no_line_and_two_lines_are_refused() {
        assert!(edit("", &[], &[]).is_err());
        assert!(edit("a\nb\n", &[], &[]).is_err());
        assert!(edit("a\n\n", &[], &[]).is_ok());
    }
}

//! The arguments of the kernel's command line.

use std::fmt;
use std::str::FromStr;

/// One argument of the kernel's command line: `key=value` or `key`. Two are equal where the kernel takes them
/// for the same: in names of parameters `-` and `_` are (`parameq` in the kernel's kernel/params.c).
#[derive(Clone, Eq)]
pub struct KernelArgument(String);

impl KernelArgument {
    /// The argument `text`, which is known to be one.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The argument as it stands on the line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a word of a command line is the same argument.
    pub(crate) fn is_same(&self, word: &str) -> bool {
        parts(&self.0) == parts(word)
    }

    /// Whether a word of a command line is the same argument or, where this one ends in `=`, has the same key.
    pub(crate) fn covers(&self, word: &str) -> bool {
        match self.0.strip_suffix('=') {
            Some(key) => word.contains('=') && parts(word).0 == parts(key).0,
            None => self.is_same(word),
        }
    }
}

/// The name of an argument's parameter, as the kernel compares it, and the rest.
fn parts(word: &str) -> (String, &str) {
    let (name, rest) = word.split_at(word.find('=').unwrap_or(word.len()));
    (name.replace('-', "_"), rest)
}

impl PartialEq for KernelArgument {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(&other.0)
    }
}

impl FromStr for KernelArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err("must be one argument: visible ASCII characters, no blanks");
        }
        // It would keep the next arguments together with this one (`next_arg` in the kernel's lib/cmdline.c).
        if text.matches('"').count() % 2 == 1 {
            return Err("must close its quotation marks");
        }
        if text == "--" {
            return Err("must not be \"--\": what follows it is for init, not for the kernel");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KernelArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KernelArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(text: &str) -> KernelArgument {
        text.parse().unwrap()
    }

    #[test]
    fn dashes_and_underscores_are_the_same_in_names_and_not_in_values() {
        assert_eq!(argument("usb-storage.quirks=152d:0578:u"), argument("usb_storage.quirks=152d:0578:u"));
        assert_ne!(argument("a=x-y"), argument("a=x_y"));
        assert_ne!(argument("a"), argument("a="));
        assert!(argument("cgroup-disable=").covers("cgroup_disable=memory"));
        assert!(!argument("cgroup_disable=").covers("cgroup_disable"));
        assert!(argument("b=x_y").covers("b=x_y") && !argument("b=x_y").covers("b=x-y"));
    }

    #[test]
    fn what_the_kernel_would_not_take_for_one_argument_is_refused() {
        for good in ["quiet", "a=\"b\"", "usbcore.autosuspend=-1", "--x", "a=--"] {
            assert_eq!(argument(good).as_str(), good);
        }
        for bad in ["", "a b", "a\tb", "ä", "a=\"b", "\"", "--"] {
            assert!(bad.parse::<KernelArgument>().is_err(), "{bad}");
        }
    }
}

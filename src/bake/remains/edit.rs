//! Files that stay, without what of them would take part: they hold what the system needs as well.
//!
//! A line that is not understood stays as it is, whatever bytes it has.

use crate::bake::text::edit_lines;

/// What becomes of the content of a file; nothing where it stays as it is.
pub(super) type Edit = fn(&[u8]) -> Option<Vec<u8>>;

/// shadow(5) with no password that anybody could log in with: an encrypted one, and none at all.
pub(super) fn lock_passwords(text: &[u8]) -> Option<Vec<u8>> {
    edit_lines(text, |line| {
        let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        // a name, a password, and the day of its last change at least
        let [name, password, _, ..] = fields.as_slice() else { return None };
        if name.is_empty() || password.starts_with(b"!") || password.starts_with(b"*") {
            return None;
        }
        *fields.get_mut(1)? = b"!";
        Some(fields.join(&b':'))
    })
}

/// fstab(5) without swap.
pub(super) fn no_swap(text: &[u8]) -> Option<Vec<u8>> {
    edit_lines(text, |line| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let is_comment = fields.next()?.starts_with(b"#");
        let is_swap = fields.nth(1)? == b"swap";
        (is_swap && !is_comment).then(|| commented(line))
    })
}

/// sysctl.conf(5) without settings.
pub(super) fn no_settings(text: &[u8]) -> Option<Vec<u8>> {
    edit_lines(text, |line| match line.trim_ascii_start().first()? {
        b'#' | b';' => None,
        _ => Some(commented(line)),
    })
}

fn commented(line: &[u8]) -> Vec<u8> {
    [b"# ", line].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(edit: Edit, text: &str) -> Option<String> {
        edit(text.as_bytes()).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn passwords_are_locked_and_all_else_stays() {
        let stock = "root:*:18474:0:99999:7:::\nsshd:!:18474::::::\nlxd:!:18474::::::\n";
        assert_eq!(edited(lock_passwords, stock), None);
        let used = "root:*:1:0:99999:7:::\nubuntu:$6$salt$hash:1:0:99999:7:::\nempty::1::::::\nold:hash:1";
        let locked = "root:*:1:0:99999:7:::\nubuntu:!:1:0:99999:7:::\nempty:!:1::::::\nold:!:1";
        assert_eq!(edited(lock_passwords, used).as_deref(), Some(locked));
        assert_eq!(edited(lock_passwords, locked), None);
        assert_eq!(edited(lock_passwords, "not a line\n:x:1\n\n"), None);
        assert_eq!(lock_passwords(b"a\xff:x:1:\n").unwrap(), b"a\xff:!:1:\n");
    }

    #[test]
    fn swap_is_taken_out_of_fstab() {
        let used =
            "LABEL=writable\t/\text4\tdefaults\t0 0\n/swapfile none swap sw 0 0\n\tUUID=1  none\tswap sw\n";
        let without = "LABEL=writable\t/\text4\tdefaults\t0 0\n# /swapfile none swap sw 0 0\n# \tUUID=1  none\tswap sw\n";
        assert_eq!(edited(no_swap, used).as_deref(), Some(without));
        assert_eq!(edited(no_swap, without), None);
        assert_eq!(edited(no_swap, "#/swap none swap sw\n/dev/sda1 /swap ext4 swap\n\n/x\n"), None);
    }

    #[test]
    fn settings_of_the_kernel_are_commented_out() {
        let used = "#net.ipv4.ip_forward=1\n; text\n\nnet.ipv4.ip_forward = 0\n -vm.x=1";
        let without = "#net.ipv4.ip_forward=1\n; text\n\n# net.ipv4.ip_forward = 0\n#  -vm.x=1";
        assert_eq!(edited(no_settings, used).as_deref(), Some(without));
        assert_eq!(edited(no_settings, without), None);
    }
}

//! Peculiarities of USB disks that the kernel is to know of.

use std::fmt;
use std::str::FromStr;

/// The kernel keeps its parameter in so many bytes, the end included (`quirks` in drivers/usb/storage/usb.c).
pub(super) const ROOM: usize = 128;

/// The letters that it knows (usb-storage.quirks in Documentation/admin-guide/kernel-parameters.txt).
const FLAGS: &str = "abcdefghijklmnoprstuwy";

/// How the disks of a kind are to be treated, as `usb-storage.quirks` of the kernel has it: `152d:0578:u`, vendor and
/// product of the USB bridge in hexadecimal, and flags, such as `u` for "no UAS".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbQuirk(String);

impl FromStr for UsbQuirk {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [vendor, product, flags]
                if is_id(vendor)
                    && is_id(product)
                    && !flags.is_empty()
                    && flags.chars().all(|c| FLAGS.contains(c)) =>
            {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(
                "must be the USB bridge's vendor and product, as lsusb shows them, and flags of the kernel's \
                      usb-storage.quirks: \"152d:0578:u\", where u keeps it from UAS",
            ),
        }
    }
}

impl fmt::Display for UsbQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_are_two_ids_and_flags() {
        for (text, is) in [
            ("152d:0578:u", true),
            ("152D:0578:u", true),
            ("174c:55aa:uk", true),
            ("152d:0578", false),
            ("152d:0578:", false),
            ("152d:578:u", false),
            ("152d:0578:U", false),
            ("152d:0578:q", false),
            ("152d:0578:u,174c:55aa:u", false),
            ("x52d:0578:u", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<UsbQuirk>().is_ok(), is, "{text}");
        }
        assert_eq!("152D:0578:u".parse::<UsbQuirk>().unwrap().to_string(), "152d:0578:u");
    }
}

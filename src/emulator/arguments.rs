//! The kernel's arguments for an emulated machine.

/// The serial port that both emulated machines have, as the kernel names it.
const CONSOLE: &str = "console=ttyAMA0,115200";

/// The arguments in an image's `cmdline.txt` with the console on the serial port, where somebody
/// listens, and with the kernel's messages, which those who boot a machine by hand want to see.
pub(super) fn for_serial_console(cmdline: &str) -> String {
    let hidden = |word: &&str| word.starts_with("console=") || matches!(*word, "quiet" | "splash");
    let kept = cmdline.split_ascii_whitespace().filter(|word| !hidden(word));
    // the last console is the one that becomes /dev/console, where systemd writes
    kept.chain([CONSOLE]).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_serial_console_is_left() {
        let stock =
            "net.ifnames=0 console=serial0,115200 console=tty1 root=LABEL=writable rootwait quiet splash\n";
        assert_eq!(
            for_serial_console(stock),
            "net.ifnames=0 root=LABEL=writable rootwait console=ttyAMA0,115200"
        );
        assert_eq!(for_serial_console(""), CONSOLE);
    }
}

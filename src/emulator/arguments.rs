//! The kernel's arguments for an emulated machine.

/// The serial port that both emulated machines have, as the kernel names it.
const CONSOLE: &str = "console=ttyAMA0,115200";

/// Keeps kernel and user in one page table. QEMU's `virt` hands the kernel a seed for KASLR, and with one
/// arm64 isolates them (`unmap_kernel_at_el0` in arch/arm64/kernel/cpufeature.c), although a Cortex-A72
/// needs no such thing. Each system call then changes the address space twice, and a translated machine
/// forgets its TLB both times: it spends most of its time on that.
const ONE_PAGE_TABLE: &str = "kpti=off";

/// The arguments in an image's `cmdline.txt` with the console on the serial port, where somebody
/// listens, and with the kernel's messages, which those who boot a machine by hand want to see.
/// `translated`: the processors are not this machine's own.
pub(super) fn for_emulation(cmdline: &str, translated: bool) -> String {
    let hidden = |word: &&str| word.starts_with("console=") || matches!(*word, "quiet" | "splash");
    let kept = cmdline.split_ascii_whitespace().filter(|word| !hidden(word));
    // the last console is the one that becomes /dev/console, where systemd writes
    kept.chain(translated.then_some(ONE_PAGE_TABLE)).chain([CONSOLE]).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_serial_console_is_left() {
        let stock =
            "net.ifnames=0 console=serial0,115200 console=tty1 root=LABEL=writable rootwait quiet splash\n";
        assert_eq!(
            for_emulation(stock, false),
            "net.ifnames=0 root=LABEL=writable rootwait console=ttyAMA0,115200"
        );
        assert_eq!(for_emulation("", false), CONSOLE);
        assert_eq!(for_emulation("root=/dev/sda", true), format!("root=/dev/sda kpti=off {CONSOLE}"));
    }
}

//! The kernel's arguments for an emulated machine.

/// The serial port that both emulated machines have, as the kernel names it.
const CONSOLE: &str = "console=ttyAMA0,115200";

/// What costs a processor next to nothing, and one that is translated a lot.
///
/// - `kpti=off` keeps kernel and user in one page table. QEMU's `virt` hands the kernel a seed for KASLR, and with one
///   arm64 isolates them (`unmap_kernel_at_el0` in arch/arm64/kernel/cpufeature.c), although a Cortex-A72
///   needs no such thing. Each system call then changes the address space twice, and a translated machine
///   forgets its TLB both times: it spends most of its time on that.
/// - `psi=0`: at each change of tasks the kernel accounts for pressure in every group above both of them
///   (`psi_task_switch` in kernel/sched/psi.c), and pods are five groups deep.
/// - `init_on_alloc=0` and `randomize_kstack_offset=off` leave out what hardens a kernel: memory is not cleared
///   before it is used, nor a random number drawn at each system call.
const CHEAP: [&str; 4] = ["kpti=off", "psi=0", "init_on_alloc=0", "randomize_kstack_offset=off"];

/// The arguments in an image's `cmdline.txt` with the console on the serial port, where somebody
/// listens, and with the kernel's messages, which those who boot a machine by hand want to see.
/// `translated`: the processors are not this machine's own. What the image says of an argument itself is left to it.
pub(super) fn for_emulation(cmdline: &str, translated: bool) -> String {
    let hidden = |word: &&str| word.starts_with("console=") || matches!(*word, "quiet" | "splash");
    let kept = cmdline.split_ascii_whitespace().filter(|word| !hidden(word));
    // the last console is the one that becomes /dev/console, where systemd writes
    let key = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    let chosen: Vec<String> = cmdline.split_ascii_whitespace().map(key).collect();
    let cheap = CHEAP.into_iter().filter(|argument| translated && !chosen.contains(&key(argument)));
    kept.chain(cheap).chain([CONSOLE]).collect::<Vec<_>>().join(" ")
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
        assert_eq!(
            for_emulation("root=/dev/sda", true),
            format!("root=/dev/sda {} {CONSOLE}", CHEAP.join(" "))
        );
    }

    #[test]
    fn what_an_image_says_itself_is_kept() {
        let own = for_emulation("psi=1 root=/dev/sda kpti=on", true);
        assert_eq!(
            own,
            format!("psi=1 root=/dev/sda kpti=on init_on_alloc=0 randomize_kstack_offset=off {CONSOLE}")
        );
    }
}

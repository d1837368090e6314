//! A network namespace for the whole program.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Set in the program that runs inside.
const INSIDE: &str = "PIBAKE_BOOT_TESTS_ISOLATED";

/// Runs this program again, in a network namespace that has nothing but loopback; returns in that
/// one alone. Without root a user namespace goes around it, in which the caller is root.
pub fn enter() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let program = std::env::current_exe().expect("this program has a path");
    command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(program);
    command.args(std::env::args_os().skip(1)).env(INSIDE, "yes");
    let path = std::env::var("PATH").unwrap_or_default();
    let failed = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).exec();
    eprintln!("the boot tests need `unshare`: install the Debian package util-linux: {failed}");
    std::process::exit(1);
}

//! Tests that need root: kernel mounts, loop devices, network namespaces. They run wherever root
//! is there; elsewhere each is counted as ignored, by name.

use std::os::unix::process::CommandExt;
use std::process::Command;

use libtest_mimic::{Arguments, Trial};

mod base;
#[path = "../it/bases.rs"]
mod bases;
mod deb;
mod disk;
#[path = "../it/fixture.rs"]
mod fixture;
mod flash;
mod grown;
#[path = "../it/grow/variants.rs"]
mod grown_variants;
mod images;
mod loops;
mod main_job;
mod mirrors;
mod netns;
mod netplan;
mod opened;
mod sink;
mod ssh;
mod sudo;
mod upgrade;
#[allow(dead_code)] // its other tests are elsewhere
#[path = "../it/life/upgrades/node.rs"]
mod upgraded;
mod variants;
#[path = "../it/writable.rs"]
mod writable;

fn main() {
    let args = Arguments::from_args();
    let is_root = rustix::process::geteuid().is_root();
    if is_root && std::env::var_os(IN_NAMESPACE).is_none() {
        enter_namespace();
    }
    let trials = [
        base::trials(),
        deb::trials(),
        flash::trials(),
        grown::trials(),
        images::trials(),
        main_job::trials(),
        mirrors::trials(),
        netns::trials(),
        netplan::trials(),
        sink::trials(),
        ssh::trials(),
        sudo::trials(),
        upgrade::trials(),
        variants::trials(),
    ];
    let trials: Vec<Trial> =
        trials.into_iter().flatten().map(|t| if is_root { t } else { t.with_ignored_flag(true) }).collect();
    libtest_mimic::run(&args, trials).exit();
}

/// Set for the tests in their own mount namespace.
const IN_NAMESPACE: &str = "PIBAKE_TESTS_MOUNT_APART";

/// Begins anew in a mount namespace of its own: what tests mount there is gone when they end, also
/// when they are killed, and nobody else ever sees it.
fn enter_namespace() -> ! {
    let program = std::env::current_exe().unwrap();
    let mut unshare = Command::new(support::tool_path("unshare", "util-linux"));
    unshare.args(["--mount", "--propagation", "private", "--"]).arg(program);
    let failed = unshare.args(std::env::args_os().skip(1)).env(IN_NAMESPACE, "1").exec();
    panic!("unshare: {failed}");
}

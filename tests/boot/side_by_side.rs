//! Several tests at once, each in a network namespace of its own: what one serves on a port that it must
//! have, the others serve, too.

use std::sync::{PoisonError, RwLock};

use nix::sched::{CloneFlags, unshare};
use support::{run, tool};

/// A machine has 2 GiB of memory, and more than one processor helps it little.
const AT_ONCE: usize = 2;

/// Held by every test that runs: by one that wants all processors alone.
static PROCESSORS: RwLock<()> = RwLock::new(());

/// How many tests run at once here.
pub fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(AT_ONCE)
}

/// Runs a test of one machine, beside others.
pub fn beside_others(test: fn()) {
    // one that failed leaves nothing behind that this one would meet
    let _shared = PROCESSORS.read().unwrap_or_else(PoisonError::into_inner);
    enter_own_network();
    test();
}

/// Runs a test of several machines when no other one runs.
pub fn alone(test: fn()) {
    let _whole = PROCESSORS.write().unwrap_or_else(PoisonError::into_inner);
    enter_own_network();
    test();
}

/// Moves this thread, and with it all that it starts, into a new network with nothing but loopback.
fn enter_own_network() {
    unshare(CloneFlags::CLONE_NEWNET).expect("root of this namespace may make another");
    run(tool("ip", "iproute2").args(["link", "set", "lo", "up"]));
}

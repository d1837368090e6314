//! Tests that need root: kernel mounts, loop devices, network namespaces. They run wherever root
//! is there; elsewhere each is counted as ignored, by name.

use libtest_mimic::{Arguments, Trial};

mod base;
#[path = "../support/bases.rs"]
mod bases;
#[path = "../support/fetching.rs"]
mod fetching;
#[path = "../recipe/fixture.rs"]
mod fixture;
mod flash;
#[path = "../support/gpg.rs"]
mod gpg;
#[path = "../support/http.rs"]
mod http;
mod main_job;
mod netns;
#[path = "../support/nginx.rs"]
mod nginx;
mod opened;
#[path = "../support/plan.rs"]
mod plan;
mod sink;
#[path = "../support/standin.rs"]
mod standin;
#[path = "../support/mod.rs"]
mod support;
mod variants;

fn main() {
    let args = Arguments::from_args();
    let is_root = rustix::process::geteuid().is_root();
    let trials = [
        base::trials(),
        flash::trials(),
        main_job::trials(),
        netns::trials(),
        sink::trials(),
        variants::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().map(|t| t.with_ignored_flag(!is_root)).collect();
    libtest_mimic::run(&args, trials).exit();
}

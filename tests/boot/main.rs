//! Baked images, booted in QEMU by `pibake boot`: a Pi alone, a node whose power is cut, one without a
//! network, and a cluster from the first start to the end of first boot; and the oldest and the newest system,
//! where the images for them are kept.
//!
//! All of it happens in a network namespace of its own, in which there is nothing but loopback:
//! servers of a test are seen by its machines and by nobody else, and the machines see nothing else.

mod ages;
mod cluster;
mod cuts;
mod isolation;
mod machine;
mod ntp;
mod offline;
mod pair;
mod pi;
mod pis;
mod repository;
mod ssh;
mod state;

use libtest_mimic::{Arguments, Failed, Trial};
use support::standin::{self, Age};

fn main() {
    let mut args = Arguments::from_args();
    if !args.list {
        isolation::enter();
    }
    // one machine takes all processors that there are
    args.test_threads.get_or_insert(1);
    let trials = vec![
        trial("a_pi_alone_waits_for_its_uplink", pi::a_pi_alone_waits_for_its_uplink),
        trial("a_node_goes_on_after_power_cuts", cuts::a_node_goes_on_after_power_cuts),
        trial(
            "a_node_without_a_network_lets_its_owner_in",
            offline::a_node_without_a_network_lets_its_owner_in,
        ),
        trial("two_machines_become_a_cluster", pair::two_machines_become_a_cluster),
        of_age(&standin::OLDEST, "oldest_system", ages::oldest_system),
        of_age(&standin::NEWEST, "newest_system", ages::newest_system),
        // by `make test-boot-pair` alone
        trial("pis::two_pis_find_each_other", pis::two_pis_find_each_other).with_ignored_flag(true),
        trial("pis::a_pi_3_starts_by_its_board", pis::a_pi_3_starts_by_its_board).with_ignored_flag(true),
        trial("pis::a_pi_starts_from_the_current_slot", pis::a_pi_starts_from_the_current_slot)
            .with_ignored_flag(true),
    ];
    libtest_mimic::run(&args, trials).exit();
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        test();
        Ok(())
    })
}

/// One that boots a stand-in which not everybody has made: without it the test is counted as ignored, by its name.
fn of_age(age: &Age, name: &str, test: fn()) -> Trial {
    let missing = age.kept().err();
    if let Some(way_out) = &missing {
        eprint!("NOT RUN: {name}: {way_out}");
    }
    trial(name, test).with_ignored_flag(missing.is_some())
}

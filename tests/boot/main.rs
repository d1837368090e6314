//! Baked images, booted in QEMU by `pibake boot`: a Pi alone, a node whose power is cut, one without a
//! network, and a cluster from the first start to the end of first boot; and the oldest and the newest system,
//! where the images for them are kept.
//!
//! Each test happens in a network namespace of its own, in which there is nothing but loopback:
//! its servers are seen by its machines and by nobody else, and the machines see nothing else.

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
mod side_by_side;
mod ssh;
mod state;

use libtest_mimic::{Arguments, Failed, Trial};
use support::standin::{self, Age};

fn main() {
    let mut args = Arguments::from_args();
    if !args.list {
        isolation::enter();
    }
    args.test_threads.get_or_insert_with(side_by_side::at_once);
    let trials = vec![
        // first, since it has all others wait; then by their length, the longest ones first
        pair("two_machines_become_a_cluster", pair::two_machines_become_a_cluster),
        trial("a_node_goes_on_after_power_cuts", cuts::a_node_goes_on_after_power_cuts),
        of_age(&standin::NEWEST, "newest_system", ages::newest_system),
        of_age(&standin::OLDEST, "oldest_system", ages::oldest_system),
        trial("a_pi_alone_waits_for_its_uplink", pi::a_pi_alone_waits_for_its_uplink),
        trial(
            "a_node_without_a_network_lets_its_owner_in",
            offline::a_node_without_a_network_lets_its_owner_in,
        ),
        // by `make test-boot-pair` alone
        pair("pis::two_pis_find_each_other", pis::two_pis_find_each_other).with_ignored_flag(true),
        trial("pis::a_pi_3_starts_by_its_board", pis::a_pi_3_starts_by_its_board).with_ignored_flag(true),
        trial("pis::a_pi_starts_from_the_current_slot", pis::a_pi_starts_from_the_current_slot)
            .with_ignored_flag(true),
    ];
    libtest_mimic::run(&args, trials).exit();
}

/// A test of one machine.
fn trial(name: &'static str, test: fn()) -> Trial {
    trial_in(name, side_by_side::beside_others, test)
}

/// A test of two machines.
fn pair(name: &'static str, test: fn()) -> Trial {
    trial_in(name, side_by_side::alone, test)
}

fn trial_in(name: &'static str, company: fn(fn()), test: fn()) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        machine::name_test(name);
        company(test);
        Ok(())
    })
}

/// One that boots a stand-in which not everybody has made: without it the test is counted as ignored, by its name.
fn of_age(age: &Age, name: &'static str, test: fn()) -> Trial {
    let missing = age.kept().err();
    if let Some(way_out) = &missing {
        eprint!("NOT RUN: {name}: {way_out}");
    }
    trial(name, test).with_ignored_flag(missing.is_some())
}

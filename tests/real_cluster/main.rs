//! Two emulated machines with the cards that pibake bakes, and real Kubernetes: from the first start
//! to a cluster, and through what happens to a cluster at home. Nothing is typed on a machine.
//!
//! There are two clusters, one after the other: one in a closed network, one with a way out. The tests go on where the
//! one before left theirs, and each can be asked for alone: then the cluster is formed first. As in the boot tests everything is in a network namespace of its own.

mod asks;
mod cards;
mod closed;
#[path = "../boot/cluster.rs"]
mod cluster;
mod forming;
#[path = "../boot/isolation.rs"]
mod isolation;
mod laptop;
mod life;
#[path = "../boot/machine.rs"]
mod machine;
#[path = "../boot/ntp.rs"]
mod ntp;
mod outside;
mod power;
mod real;
mod registry;
#[path = "../boot/repository.rs"]
mod repository;
#[path = "../boot/ssh.rs"]
mod ssh;

use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use real::{Real, Way};

/// The cluster that the tests share.
type Shared = Arc<Mutex<Place>>;

#[derive(Default)]
enum Place {
    #[default]
    New,
    Running(Box<Real>),
    /// A test failed with one of this kind, or it never came to be.
    Lost(Way),
}

/// The cluster that a test wants, its name, and itself.
type Test = (Way, &'static str, fn(&mut Real));

fn main() {
    let mut args = Arguments::from_args();
    if !args.list {
        isolation::enter();
    }
    // in their order, and in the thread that machines end with
    args.test_threads = Some(1);
    let shared = Shared::default();
    // Those that move the clock end their cluster's days.
    let tests: [Test; 11] = [
        (Way::Closed, "closed::two_machines_form_a_cluster", closed::two_machines_form_a_cluster),
        (Way::Closed, "closed::a_node_comes_and_goes", life::a_node_comes_and_goes),
        (Way::Closed, "closed::node_1_goes_on_with_a_copy_of_etcd", life::node_1_goes_on_with_a_copy_of_etcd),
        (Way::Closed, "closed::a_year_passes", life::a_year_passes),
        (
            Way::Closed,
            "closed::certificates_that_do_not_serve_are_taken_back",
            life::certificates_that_do_not_serve_are_taken_back,
        ),
        (Way::Uplink, "closed::beside_one_with_a_way_out", closed::beside_one_with_a_way_out),
        (Way::Uplink, "open::two_machines_form_a_cluster", forming::two_machines_form_a_cluster),
        (
            Way::Uplink,
            "open::a_power_cut_after_a_pull_loses_nothing",
            power::a_power_cut_after_a_pull_loses_nothing,
        ),
        (Way::Uplink, "open::pods_go_on_while_node_1_is_off", power::pods_go_on_while_node_1_is_off),
        (Way::Uplink, "open::a_card_that_is_made_again_joins", cards::a_card_that_is_made_again_joins),
        (Way::Uplink, "open::a_join_that_is_cut_off_is_finished", cards::a_join_that_is_cut_off_is_finished),
    ];
    let trials = tests.map(|(way, name, test)| trial(&shared, way, name, test)).into();
    let conclusion = libtest_mimic::run(&args, trials);
    // machines and servers end with it, which `exit` would not see to
    drop(std::mem::take(&mut *shared.lock().unwrap_or_else(|e| e.into_inner())));
    conclusion.exit();
}

fn trial(shared: &Shared, way: Way, name: &str, test: fn(&mut Real)) -> Trial {
    let shared = Arc::clone(shared);
    Trial::test(name, move || -> Result<(), Failed> {
        let mut place = shared.lock().unwrap_or_else(|e| e.into_inner());
        // A test that fails leaves nothing to go on with, and ends the machines.
        let mut real = match std::mem::replace(&mut *place, Place::Lost(way)) {
            Place::Running(real) if real.way() == way => real,
            Place::Lost(lost) if lost == way => {
                return Err("an earlier test lost the cluster; run this one alone".into());
            }
            // one of the other kind ends before this one begins
            other => {
                drop(other);
                Box::new(Real::form(way))
            }
        };
        test(&mut real);
        *place = Place::Running(real);
        Ok(())
    })
}

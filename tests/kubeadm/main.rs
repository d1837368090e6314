//! A real kubeadm reads what pibake bakes for it, makes a cluster of it, and joins that. Not part of
//! `cargo test`: `make test-kubeadm` makes the kubeadm and runs this.
//!
//! It is kubeadm 1.20, which Debian 12 has the source of, and so it reads the oldest of the three
//! forms that pibake writes (v1beta2).

mod certificates;
mod cluster;
mod configuration;
mod descriptions;
mod machine;
mod made;
mod renewal;
mod restore;
mod upgrade;

use descriptions::{DESCRIPTIONS, Description};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let args = Arguments::from_args();
    let mut trials = Vec::new();
    for description in &DESCRIPTIONS {
        let mut add = |name: &str, test: fn(&Description)| {
            trials.push(trial(&format!("{}::{name}", description.name), move || test(description)));
        };
        add("kubeadm_reads_what_was_meant", configuration::read_as_meant);
        add("kubeadm_goes_through_all_of_init_dry", cluster::dry_run);
        add("kubeadm_makes_the_cluster_and_joins_it", cluster::init_and_join);
    }
    trials.push(trial("kubeadm_begins_anew_under_the_same_authority", cluster::anew));
    trials.push(trial("kubeadm_does_not_join_what_is_not_the_cluster", cluster::refusals));
    trials.push(trial(
        "kubeadm_joins_by_a_certificate_where_the_token_was_used",
        cluster::joins_by_certificate,
    ));
    trials.push(trial("kubeadm_renews_what_ends_soon", renewal::renews));
    trials.push(trial("kubeadm_s_new_certificates_are_taken_back", renewal::goes_back));
    trials.push(trial("kubeadm_makes_a_kubelet_that_was_off_another_certificate", renewal::kubelet));
    trials.push(trial("kubeadm_goes_on_with_a_copy_of_etcd", restore::goes_on));
    trials.push(trial("kubeadm_pulls_the_images_of_an_upgrade", upgrade::images));
    trials.push(trial("kubeadm_goes_through_all_of_an_upgrade_dry", upgrade::apply));
    trials.push(trial("kubeadm_upgrades_a_worker", upgrade::worker));
    libtest_mimic::run(&args, trials).exit();
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        test();
        Ok(())
    })
}

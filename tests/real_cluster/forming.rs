//! From the first start to pods that answer.

use std::collections::BTreeSet;

use crate::real::Real;

/// The test is what `Real::form` waits for, and what is true then.
pub fn two_machines_form_a_cluster(real: &mut Real) {
    assert_nothing_was_reset(real);
    real.apply("pods.yaml");
    let pods = real.wait_for_pods(&["answers", "asks"], &BTreeSet::new());
    real.assert_pods_answer(&pods);
}

/// Fresh nodes have nothing that kubeadm could have left.
fn assert_nothing_was_reset(real: &Real) {
    for node in ["node-1", "node-2"] {
        let answers = real.ssh(node).ask(&[("log", "cat /var/log/pibake/first-boot.log")]);
        let log = &answers["log"];
        assert!(
            log.contains("kubeadm") && log.lines().count() > 20,
            "{node} has no log of its first boot: {log}"
        );
        let lines: Vec<_> = log.lines().filter(|line| line.to_lowercase().contains("reset")).collect();
        assert!(lines.is_empty(), "{node} reset itself: {lines:#?}");
    }
    real.note("neither node has reset anything");
}

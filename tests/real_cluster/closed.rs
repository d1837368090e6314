//! A cluster in a closed network: what it needs is on its cards.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use crate::real::{NODES, Real, Way};

/// From the power to both Ready, in the closed network.
static CLOSED: OnceLock<Duration> = OnceLock::new();

/// Two machines with nothing but a cable between them, on which there is nobody but a laptop of their owner's: no name
/// server, no time server, no router.
pub fn two_machines_form_a_cluster(real: &mut Real) {
    for node in NODES {
        let answers = real.ssh(node).ask(&[
            ("routes", "ip route show default"),
            ("log", "cat /var/log/pibake/first-boot.log"),
            ("kept", "ls /var/lib/pibake"),
        ]);
        // a worker's leads to node-1, and node-1 has none
        assert_eq!(answers["routes"].is_empty(), node == "node-1", "{node}: {}", &answers["routes"]);
        assert!(
            answers["log"].contains("preloaded-images"),
            "{node} had nothing to import: {}",
            &answers["log"]
        );
        assert!(!answers["log"].to_lowercase().contains("reset"), "{node} reset itself: {}", &answers["log"]);
        assert!(!answers["kept"].contains("payload"), "{node} keeps what was used up: {}", &answers["kept"]);
    }
    real.apply("pods.yaml");
    let pods = real.wait_for_pods(&["answers", "asks"], &BTreeSet::new());
    real.assert_pods_answer(&pods);
}

/// A cluster that fetches everything, for its time beside the other's; [`compare`] has said that when this begins.
pub fn beside_one_with_a_way_out(real: &mut Real) {
    real.apply("pods.yaml");
    let pods = real.wait_for_pods(&["answers", "asks"], &BTreeSet::new());
    real.assert_pods_answer(&pods);
}

/// Says how the two ways compare, as soon as both were measured in this run.
pub fn compare(way: Way, both_ready: Duration) {
    if way == Way::Closed {
        let _ = CLOSED.set(both_ready);
    } else if let Some(closed) = CLOSED.get() {
        let (closed, open) = (closed.as_secs_f64(), both_ready.as_secs_f64());
        println!(
            "[cluster] from the power to both Ready: {closed:.0} s preloaded with no way out, {open:.0} s online, {:.2} times",
            closed / open
        );
    }
}

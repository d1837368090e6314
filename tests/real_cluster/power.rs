//! Plugs that are pulled.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::outside::Pod;
use crate::real::{LEASE, Real};

/// Both machines are cut off seconds after they pulled an image, and come back by themselves.
pub fn a_power_cut_after_a_pull_loses_nothing(real: &mut Real) {
    have_pods(real);
    real.apply("late.yaml");
    real.wait_for_pods(&["late"], &BTreeSet::new());
    let (before, boots) = (real.containers(), real.boots());
    real.cut(&["node-1", "node-2"]);
    real.switch_on_both();
    real.wait_until_ready(&boots);
    let pods = real.wait_for_pods(&["answers", "asks", "late"], &before);
    real.assert_pods_answer(&pods);
}

/// node-1 is the others' DHCP server, their way out and their control plane: without it, longer than a
/// lease lasts, their pods go on, and it comes back to them.
pub fn pods_go_on_while_node_1_is_off(real: &mut Real) {
    let before = have_pods(real);
    let (containers, boots) = (real.containers(), real.boots());
    real.cut(&["node-1"]);
    real.begin();
    let cut = now();
    std::thread::sleep(Duration::from_secs(LEASE * 3 / 2));
    let back = now();
    real.note("node-1 was off for one and a half leases");
    real.switch_on("node-1");
    let of_first = boots.into_iter().filter(|(name, _)| name == "node-1").collect();
    real.wait_until_ready(&of_first);

    // node-1's own pods are started again, with other addresses
    let after = real.wait_for_pods_on(&["node-1"], &["answers", "asks"], &containers);
    let of_second = |pods: &[Pod]| -> Vec<(String, String, u64)> {
        let mut list: Vec<_> = pods
            .iter()
            .filter(|pod| pod.node == "node-2")
            .map(|pod| (pod.name.clone(), pod.container.clone(), pod.restarts))
            .collect();
        list.sort();
        list
    };
    assert_eq!(of_second(&after), of_second(&before), "node-2's pods should be the same, started once");

    let asks = after.iter().find(|pod| pod.node == "node-2" && pod.app == "asks").unwrap().name.clone();
    let log = real.until("the log of node-2's pod", |real| real.outside.kubectl(&["logs", &asks]));
    let answers: Vec<(u64, &str)> = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        // between the pod's own lines are wget's, of when the neighbour was not there yet
        .filter_map(|(time, answer)| Some((time.parse().ok()?, answer)))
        .filter(|(time, _)| (cut..back).contains(time))
        .collect();
    // one every five seconds, but for what the machine is slow
    assert!(answers.len() as u64 > LEASE / 10, "{answers:?}");
    let others: Vec<_> = answers.iter().filter(|(_, answer)| *answer != "node-2").collect();
    assert!(others.is_empty(), "node-2's pod did not answer at the node's address: {others:?}");
    real.note("node-2's pods answered all the time");
    real.assert_pods_answer(&after);
}

/// Where this test is the first one, there are none yet.
pub fn have_pods(real: &mut Real) -> Vec<Pod> {
    real.apply("pods.yaml");
    real.wait_for_pods(&["answers", "asks"], &BTreeSet::new())
}

/// Seconds since 1970, as the guests have them by NTP.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

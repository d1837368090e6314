//! Cards that die, and are made again.

use std::collections::BTreeMap;

use crate::power::have_pods;
use crate::real::Real;

/// node-2's card is thrown away. A new one of the same image finds its token used; it joins by the certificate that is
/// on it, and takes the old one's place in the cluster, which knows a node of that name.
pub fn a_card_that_is_made_again_joins(real: &mut Real) {
    have_pods(real);
    let (before, boots) = (real.containers(), boot_of_second(real));
    remove_used_tokens(real);
    real.cut(&["node-2"]);
    real.take_a_new_card("node-2");
    real.begin();
    real.switch_on("node-2");
    real.wait_until_ready(&boots);
    real.wait_until_through("node-2");
    let pods = real.wait_for_pods_on(&["node-2"], &["answers", "asks"], &before);
    real.assert_pods_answer(&pods);
}

/// The power of both goes while node-2's new card joins: kubeadm has the cluster's CA and its token
/// for it, and the node is not a member yet.
pub fn a_join_that_is_cut_off_is_finished(real: &mut Real) {
    have_pods(real);
    let before = real.containers();
    real.cut(&["node-2"]);
    real.take_a_new_token("node-2");
    real.take_a_new_card("node-2");
    real.begin();
    real.switch_on("node-2");
    real.machine("node-2").wait_for("] join: working");
    let ssh = real.ssh("node-2");
    real.until("kubeadm join to be at work", |_| {
        let out = ssh.run("until [ -e /etc/kubernetes/bootstrap-kubelet.conf ]; do sleep 0.2; done");
        out.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&out.stderr).into_owned())
    });
    let boots = real.boots();
    real.cut(&["node-1", "node-2"]);
    real.switch_on_both();
    real.wait_until_ready(&boots);
    real.wait_until_through("node-2");
    let pods = real.wait_for_pods(&["answers", "asks"], &before);
    real.assert_pods_answer(&pods);
}

/// What node-1 does every ten minutes.
fn remove_used_tokens(real: &Real) {
    let out = real.ssh("node-1").run("sudo /usr/lib/pibake/tokens once");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn boot_of_second(real: &mut Real) -> BTreeMap<String, String> {
    real.boots().into_iter().filter(|(name, _)| name == "node-2").collect()
}

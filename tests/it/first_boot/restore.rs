//! A control plane whose card has a copy of etcd on it, as `pibake restore` makes them.

use super::cuts::{assert_same, distinct, each, worth_a_cut};
use super::node::{COPIED, Node, Role};

const ARCHIVE: &str = "var/lib/pibake/restore.tar.gz";
const INIT: &str = "kubeadm init --config /run/pibake/kubeadm.yaml --ignore-preflight-errors \
                    DirAvailable--var-lib-etcd --skip-token-print";

fn new() -> Node {
    let node = Node::new(Role::ControlPlane);
    node.put_copy("copy of etcd");
    node
}

fn assert_restored(node: &Node, when: &str) {
    assert_eq!(node.read("var/lib/etcd/member/restored"), "from the copy\n", "{when}\n{}", node.output());
    assert!(!node.has_state("births"), "a new cluster after {when}\n{}", node.output());
    assert_eq!(node.read("etc/kubernetes/pki/ca.key"), "baked key", "{when}");
    for file in COPIED {
        assert_eq!(node.read(&format!("etc/kubernetes/pki/{file}")), format!("{file} of the copy"), "{when}");
    }
    for left in [ARCHIVE, "var/lib/pibake/restore", "run/pibake/etcd-image/usr"] {
        assert!(!node.exists(left), "{left} after {when}");
    }
}

#[test]
fn it_goes_on_with_the_database_of_the_copy() {
    let node = new();
    node.complete(&[]);
    assert_restored(&node, "nothing");
    assert_eq!(node.calls().iter().filter(|call| *call == INIT).count(), 1);
    assert!(node.output().contains("restoring etcd from the copy"));
}

#[test]
fn a_power_cut_at_every_command_loses_nothing() {
    let whole = new();
    whole.complete(&[]);
    let plain = Node::new(Role::ControlPlane);
    plain.complete(&[]);
    let known = plain.trace();
    let mut points = distinct(whole.trace());
    points.retain(|point| worth_a_cut(point) && !known.contains(point));
    assert!(points.iter().any(|point| point.ends_with("@database begun")), "{points:#?}");
    assert!(points.iter().any(|point| point == &format!("{INIT} @API server up")), "{points:#?}");
    each(&points, |point| {
        let node = new();
        node.cut_off(point, &[]);
        node.complete(&[]);
        assert_restored(&node, point);
        assert_same(&node, &whole, point);
    });
}

/// The files are renamed into place one after the other; each may be what the power is cut at.
#[test]
fn a_power_cut_while_keys_are_put_in_place_is_survived() {
    let mut points = vec![
        "mv /var/lib/pibake/restore/data/member /var/lib/etcd/member @start".to_owned(),
        "mv /var/lib/pibake/restore/data/member /var/lib/etcd/member @end".to_owned(),
    ];
    for file in ["sa.key", "etcd/ca.key"] {
        points.push(format!("mv -f /etc/kubernetes/pki/{file}.new /etc/kubernetes/pki/{file} @start"));
        points.push(format!("mv -f /etc/kubernetes/pki/{file}.new /etc/kubernetes/pki/{file} @end"));
    }
    each(&points, |point| {
        let node = new();
        node.stand_in_for("mv");
        node.cut_off(point, &[]);
        node.complete(&[]);
        assert_restored(&node, point);
    });
}

/// A copy that etcd does not take is told, and nothing begins without it.
#[test]
fn a_copy_that_cannot_be_used_is_told_and_no_empty_cluster_begins() {
    let torn = Node::new(Role::ControlPlane);
    torn.put_copy("another text");
    let mut running = torn.start(&[]);
    torn.await_status(&mut running, &["name=control-plane", "state=retrying", "attempt=1"]);
    assert!(
        torn.status().contains("message=etcd cannot restore the copy that is on this card"),
        "{}",
        torn.status()
    );
    assert!(!torn.calls().iter().any(|call| call.starts_with("kubeadm init")), "{:#?}", torn.calls());
    drop(running);

    let cut = new();
    let archive = cut.root().join(ARCHIVE);
    let half = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &half[..half.len() / 2]).unwrap();
    let mut running = cut.start(&[]);
    cut.await_status(&mut running, &["name=control-plane", "state=retrying", "attempt=1"]);
    assert!(
        cut.status().contains("message=the copy of etcd on this card cannot be unpacked"),
        "{}",
        cut.status()
    );
    assert!(!cut.calls().iter().any(|call| call.starts_with("kubeadm init")));
}

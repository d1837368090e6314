//! The user's own manifests, and a pod network that is among them.

use super::node::{Node, Role};

const APPLY: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 30s apply";

fn with_manifests(files: &[(&str, &str)]) -> Node {
    let node = Node::new(Role::ControlPlane);
    for (name, text) in files {
        node.put(&format!("etc/pibake/manifests/{name}"), text);
    }
    node
}

fn applied(node: &Node) -> Vec<String> {
    let begin = format!("{APPLY} --server-side --force-conflicts --filename /etc/pibake/manifests/");
    node.calls().iter().filter_map(|call| call.strip_prefix(&begin)).map(str::to_owned).collect()
}

#[test]
fn they_are_applied_once_in_their_order() {
    let node = with_manifests(&[("001-b.yaml", "kind: Namespace\n"), ("002-a.yaml", "kind: ConfigMap\n")]);
    node.complete(&[]);
    assert_eq!(applied(&node), ["001-b.yaml", "002-a.yaml"]);
    let order = node.calls();
    let place = |text: &str| order.iter().position(|call| call.contains(text)).unwrap();
    assert!(place("apply --filename /etc/pibake/flannel.yaml") < place("001-b.yaml"));
    // Nodes without any have no such stage.
    let plain = Node::new(Role::ControlPlane);
    plain.complete(&[]);
    assert!(
        !plain.status().contains("manifests") && node.status().contains(" manifests done "),
        "{}",
        node.status()
    );
}

/// An object of a kind that a later file defines.
#[test]
fn one_that_needs_a_later_one_gets_its_turn_again() {
    let node = with_manifests(&[
        ("001-object.yaml", "kind: Custom\n"),
        ("002-definition.yaml", "kind: CustomResourceDefinition\n"),
    ]);
    node.complete(&[]);
    let turn = ["001-object.yaml", "002-definition.yaml"];
    assert_eq!(applied(&node), turn.repeat(2));
    assert!(node.output().contains("the API server does not take these of your manifests: 001-object.yaml."));
}

#[test]
fn one_that_is_never_taken_is_named_until_it_is_mended() {
    let node = with_manifests(&[("001-object.yaml", "kind: Custom\n")]);
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=manifests", "state=retrying", "attempt=2"]);
    assert!(status.contains("does not take these of your manifests: 001-object.yaml. See"), "{status}");
    node.put("etc/pibake/manifests/001-object.yaml", "kind: ConfigMap\n");
    assert!(running.end(&node).success());
}

#[test]
fn a_power_cut_while_they_are_applied_is_survived() {
    let files = [("001-b.yaml", "kind: Namespace\n"), ("002-a.yaml", "kind: ConfigMap\n")];
    let whole = with_manifests(&files);
    whole.complete(&[]);
    for point in ["001-b.yaml @start", "001-b.yaml @end", "002-a.yaml @end"] {
        let node = with_manifests(&files);
        node.cut_off(
            &format!("{APPLY} --server-side --force-conflicts --filename /etc/pibake/manifests/{point}"),
            &[],
        );
        node.complete(&[]);
        super::cuts::assert_same(&node, &whole, point);
    }
}

#[test]
fn without_flannel_its_stage_is_left_out() {
    let node = with_manifests(&[("001-cni.yaml", "kind: DaemonSet\n")]);
    std::fs::remove_file(node.root().join("etc/pibake/flannel.yaml")).unwrap();
    node.complete(&[]);
    assert!(!node.status().contains("pod-network"), "{}", node.status());
    assert_eq!(applied(&node), ["001-cni.yaml"]);
}

/// What a restored cluster has made of them since they were applied is not undone.
#[test]
fn a_restored_cluster_is_left_as_it_was() {
    let node = with_manifests(&[("001-b.yaml", "kind: Namespace\n")]);
    node.put_copy("copy of etcd");
    node.complete(&[]);
    assert!(applied(&node).is_empty());
}

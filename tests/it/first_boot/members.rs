//! A node that is new, one whose kubeadm was cut off, and one that is part of a cluster are told apart,
//! and so is what answers where the control plane should be.

use super::node::{Node, Role};
use super::pki;

const JOIN: &str = "kubeadm join --config /etc/pibake/kubeadm.yaml --ignore-preflight-errors DirAvailable--etc-kubernetes-manifests";
const COMPLETE: &str = "kubeadm join phase kubelet-start --config /etc/pibake/kubeadm.yaml";
/// What cluster-info holds beside the CA: a signature by each token that is accepted.
const KNOWN: &str = ",\"jws-kubeconfig-abcdef\":\"eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..a\"";
const RESET: &str = "kubeadm reset --force";
const PEM: &str = "var/lib/kubelet/pki/kubelet-client-current.pem";

/// A worker that was part of the cluster when the power was cut, before that was noted.
fn member() -> Node {
    let node = Node::new(Role::Worker);
    node.cut_off(&format!("{JOIN} @end"), &[]);
    node
}

/// How kubeadm was called since the cut, while the node came to its end.
fn calls_of_kubeadm(node: &Node) -> Vec<String> {
    let before = node.calls().len();
    node.complete(&[]);
    node.calls().split_off(before).into_iter().filter(|call| call.starts_with("kubeadm ")).collect()
}

#[test]
fn a_fresh_node_is_not_reset() {
    for role in [Role::ControlPlane, Role::Worker] {
        let node = Node::new(role);
        node.complete(&[]);
        // as its packages left it
        assert!(node.exists("etc/kubernetes/manifests/.kubelet-keep"));
        assert!(node.exists("var/lib/kubelet/pki/kubelet.crt"));
        assert!(!node.calls().iter().any(|call| call == RESET), "{role:?}");
        assert!(!node.output().contains("starting over"), "{}", node.output());
    }
}

/// kubeadm leaves the CA's certificate when a join fails late, and its preflight refuses that.
#[test]
fn a_left_over_ca_does_not_block_the_join() {
    let node = Node::new(Role::Worker);
    node.put("etc/kubernetes/pki/ca.crt", &pki::cluster().authority);
    assert_eq!(calls_of_kubeadm(&node), [RESET, JOIN]);
    assert!(
        node.output().contains("starting over: the kubelet has no kubelet.conf yet"),
        "{}",
        node.output()
    );
}

/// Reset does not find the data of a database whose manifest is gone, and preflight refuses that.
#[test]
fn a_left_over_database_does_not_block_init() {
    let node = Node::new(Role::ControlPlane);
    node.put("var/lib/etcd/member/snap/db", "old");
    node.complete(&[]);
    assert!(!node.exists("var/lib/etcd/member/snap/db"));
}

#[test]
fn what_is_baked_for_kubeadm_is_no_left_over() {
    let node = Node::new(Role::ControlPlane);
    for file in ["front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "etcd/ca.crt"] {
        node.put(&format!("etc/kubernetes/pki/{file}"), "baked");
    }
    node.put("etc/kubernetes/manifests/own.yaml", "a static pod of the user's");
    node.complete(&[]);
    assert_eq!(node.read("etc/kubernetes/pki/front-proxy-ca.key"), "baked");
    assert_eq!(node.read("etc/kubernetes/manifests/own.yaml"), "a static pod of the user's");
}

#[test]
fn a_member_goes_on_with_its_identity() {
    let node = member();
    let identity = node.read(PEM);
    // the whole cluster was off, and its control plane is the last to come back
    node.unset_state("control-plane-up");
    let mut running = node.start(&[]);
    node.await_status(&mut running, &["name=join", "state=waiting", "attempt=3"]);
    node.state("control-plane-up", "");
    assert!(running.end(&node).success());
    assert_eq!(node.read(PEM), identity);
    let calls = node.calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("kubeadm ")).collect::<Vec<_>>(), [JOIN]);
}

/// node-1 removes a token as soon as its node is Ready; a member has no more need of it.
#[test]
fn a_member_goes_on_without_its_token() {
    let node = member();
    node.state("answers/cluster-info", &cluster_info(pki::cluster(), &KNOWN.replace("abcdef", "bcdefg")));
    node.state("node-deleted", "");
    let mut running = node.start(&[]);
    node.await_status(&mut running, &["name=join", "state=retrying"]);
    assert!(node.calls().iter().any(|call| call == "systemctl restart kubelet"));
    assert!(!node.output().contains("does not accept the token"), "{}", node.output());
    node.unset_state("node-deleted");
    assert!(running.end(&node).success());
}

/// A Node that somebody deleted comes back with the kubelet's start, or the node says why not; its
/// identity is never thrown away for it.
#[test]
fn a_member_that_is_not_registered_says_so() {
    let node = member();
    node.state("node-deleted", "");
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=join", "state=retrying"]);
    assert!(status.contains("its kubelet has not registered it in 1 minutes"), "{status}");
    assert!(node.calls().iter().any(|call| call == "systemctl restart kubelet"));
    node.unset_state("node-deleted");
    assert!(running.end(&node).success());
    assert!(!node.calls().iter().any(|call| call == RESET));
    assert_eq!(node.read_state("joins"), "joined\n");
}

/// Files beside a good identity are made again.
#[test]
fn a_member_with_torn_files_is_completed() {
    for file in
        ["etc/kubernetes/pki/ca.crt", "var/lib/kubelet/config.yaml", "var/lib/kubelet/kubeadm-flags.env"]
    {
        let node = member();
        let identity = node.read(PEM);
        node.put(file, "");
        assert_eq!(calls_of_kubeadm(&node), [COMPLETE], "{file}");
        assert_eq!(node.read(PEM), identity, "{file}");
        assert!(!node.read(file).is_empty(), "{file}");
    }
}

/// kubelet.conf may have the certificate in it, as the one of `kubeadm init` has at first.
#[test]
fn an_identity_inside_of_kubelet_conf_is_one() {
    let node = member();
    let base64 = |pem: &str| {
        let mut encode = support::tool("sh", "dash");
        support::run(encode.args(["-c", "printf %s \"$1\" | base64 -w 0", "sh", pem]))
    };
    let both = base64(&pki::cluster().node);
    let conf = format!("users:\n- user:\n    client-certificate-data: {both}\n    client-key-data: {both}\n");
    node.put("etc/kubernetes/kubelet.conf", &conf);
    assert!(calls_of_kubeadm(&node).is_empty());
    assert_eq!(node.read("etc/kubernetes/kubelet.conf"), conf);
}

#[test]
fn only_an_identity_that_is_of_no_use_leads_to_a_new_join() {
    let (ours, other) = (pki::cluster(), pki::other());
    let cases: [(&str, &str, &str, &str); 5] = [
        ("expired", PEM, &ours.expired, "the kubelet's certificate has expired (notAfter="),
        ("without its key", PEM, &ours.keyless, "the kubelet's certificate does not fit its key"),
        ("torn", PEM, "", "the kubelet's certificate is missing or damaged"),
        ("of another cluster", PEM, &other.node, "the kubelet's certificate is of another cluster"),
        (
            "under another CA",
            "etc/kubernetes/pki/ca.crt",
            &other.authority,
            "the kubelet's certificate is of another cluster",
        ),
    ];
    for (name, file, text, why) in cases {
        let node = member();
        node.put(file, text);
        assert_eq!(calls_of_kubeadm(&node), [RESET, JOIN], "{name}");
        assert!(node.output().contains(&format!("starting over: {why}")), "{name}: {}", node.output());
        assert_eq!(node.read(PEM), ours.node.trim_end(), "{name}");
    }
}

/// What stands in the status while `spoil` is so; afterwards the node must come to its end.
fn waits(spoil: &dyn Fn(&Node), mend: &dyn Fn(&Node)) -> String {
    let node = Node::new(Role::Worker);
    spoil(&node);
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=join", "state=waiting"]);
    let message = status.lines().find_map(|line| line.strip_prefix("message=")).unwrap().to_owned();
    assert!(!node.calls().iter().any(|call| call.starts_with("kubeadm ")), "{message}");
    mend(&node);
    assert!(running.end(&node).success(), "{}", node.output());
    message.rsplit_once("; looking").unwrap().0.to_owned() + "\n"
}

/// What the API server says to a stranger who asks for cluster-info, `signatures` beside the CA.
fn cluster_info(cluster: &pki::Cluster, signatures: &str) -> String {
    let mut encode = support::tool("sh", "dash");
    encode.args(["-c", "printf %s \"$1\" | base64 -w 0", "sh", &cluster.authority]);
    let data = support::run(&mut encode);
    format!(
        "200\n{{\"kind\":\"ConfigMap\",\"data\":{{\"kubeconfig\":\"clusters:\\n- cluster:\\n    certificate-authority-data: {data}\\n    server: https://10.0.0.1:6443\\n\"{signatures}}}}}"
    )
}

#[test]
fn what_answers_in_the_control_planes_place_is_said() {
    let mut said = String::new();
    let mut case = |answer: &str, text: &str| {
        let name = format!("answers/{answer}");
        said += &waits(&|node| node.state(&name, text), &|node| node.unset_state(&name));
    };
    case("livez", "500\n[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nlivez check failed\n");
    case(
        "livez",
        "503\n{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"apiserver is shutting down\"}",
    );
    case("livez", "200\n<!DOCTYPE html><title>Router</title>");
    case("livez", "401\n<html>Sign in</html>");
    case("livez", "404\n404 page not found");
    case("cluster-info", &cluster_info(pki::other(), KNOWN));
    case("cluster-info", &cluster_info(pki::cluster(), ""));
    case("cluster-info", &cluster_info(pki::cluster(), &KNOWN.replace("abcdef", "bcdefg")));
    said += &waits(&|node| node.state("not-tls", ""), &|node| node.unset_state("not-tls"));
    said += &waits(&|node| node.unset_state("control-plane-up"), &|node| node.state("control-plane-up", ""));
    insta::assert_snapshot!(said);

    // these may be joined: strangers are told nothing, or the cluster is the right one
    for (answer, text) in [
        ("livez", "401\n{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Unauthorized\"}".to_owned()),
        ("livez", "403\n{\"kind\": \"Status\", \"reason\": \"Forbidden\"}".to_owned()),
        ("cluster-info", cluster_info(pki::cluster(), KNOWN)),
        (
            "cluster-info",
            cluster_info(pki::cluster(), &format!(",\"jws-kubeconfig-bcdefg\":\"a..b\"{KNOWN}")),
        ),
    ] {
        let node = Node::new(Role::Worker);
        node.state(&format!("answers/{answer}"), &text);
        assert_eq!(calls_of_kubeadm(&node), [JOIN]);
    }
}

/// The kubeconfig that is baked beside the token.
fn join_conf(pem: &str) -> String {
    let mut encode = support::tool("sh", "dash");
    let both = support::run(encode.args(["-c", "printf %s \"$1\" | base64 -w 0", "sh", pem]));
    format!("users:\n- user:\n    client-certificate-data: \"{both}\"\n    client-key-data: \"{both}\"\n")
}

const BLOCK: &str = "  bootstrapToken:\n    apiServerEndpoint: \"kubernetes:6443\"\n    token: abcdef.0123456789abcdef\n    \
                     caCertHashes: [PIN]\n";

/// A new card of a node that was part of the cluster, whose token was therefore used.
fn new_card(certificate: &str, signatures: &str) -> Node {
    let node = Node::new(Role::Worker);
    let block = BLOCK.replace("PIN", &format!("\"{}\"", pki::cluster().pin));
    node.put(
        "etc/pibake/kubeadm.yaml",
        &format!("discovery:\n{block}  timeout: \"1h\"\nnodeRegistration:\n  name: node-2\n"),
    );
    node.put("etc/pibake/join.conf", &join_conf(certificate));
    node.state("answers/cluster-info", &cluster_info(pki::cluster(), signatures));
    node
}

#[test]
fn a_new_card_takes_the_place_of_the_old_one_without_a_token() {
    let again = JOIN.replace("/etc/pibake/kubeadm.yaml", "/run/pibake/kubeadm-join.yaml");
    // Other nodes' tokens are accepted, or nobody's any more.
    for signatures in [KNOWN.replace("abcdef", "bcdefg"), String::new()] {
        let node = new_card(&pki::cluster().node, &signatures);
        assert_eq!(calls_of_kubeadm(&node), [again.as_str()]);
        let given = "discovery:\n  file:\n    kubeConfigPath: \"/etc/pibake/join.conf\"\n  timeout: \"1h\"\nnodeRegistration:\n  name: node-2\n";
        assert_eq!(node.read_state("joined-with"), given);
        assert!(!node.exists("etc/pibake/join.conf"), "it is gone with the other secrets");
    }
    // A token that is accepted comes first.
    let node = new_card(&pki::cluster().node, KNOWN);
    assert_eq!(calls_of_kubeadm(&node), [JOIN]);
    assert!(!node.exists("etc/pibake/join.conf"));
}

#[test]
fn a_new_card_survives_a_power_cut_while_it_joins() {
    let again = JOIN.replace("/etc/pibake/kubeadm.yaml", "/run/pibake/kubeadm-join.yaml");
    for point in
        ["start", "discovered", "bootstrap begun", "certificate requested", "certificate signed", "end"]
    {
        let node = new_card(&pki::cluster().node, "");
        node.cut_off(&format!("{again} @{point}"), &[]);
        node.complete(&[]);
        assert_eq!(node.read_state("joins"), "joined\n", "{point}");
        assert_eq!(node.read(PEM), pki::cluster().node.trim_end(), "{point}");
    }
}

#[test]
fn a_card_whose_certificate_has_ended_says_so() {
    let node = new_card(&pki::cluster().expired, &KNOWN.replace("abcdef", "bcdefg"));
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=join", "state=waiting"]);
    assert!(status.contains("The card's certificate has ended, too"), "{status}");
    assert!(!node.calls().iter().any(|call| call.starts_with("kubeadm join")));
}

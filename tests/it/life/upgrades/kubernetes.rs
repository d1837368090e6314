//! One node becomes another version of Kubernetes.

use super::node::{Cluster, Node, source};
use super::orders::kubernetes;

fn control_plane() -> (Cluster, Node) {
    let cluster = Cluster::new("1.34.2");
    let node = cluster.node(1, "1.34.2");
    (cluster, node)
}

const NEW: [&str; 4] = ["1.35.10-1.1", "1.35.10-1.1", "1.35.10-1.1", "1.35.0-1.1"];
const OLD: [&str; 4] = ["1.34.2-1.1", "1.34.2-1.1", "1.34.2-1.1", "1.34.0-1.1"];

#[test]
fn a_control_plane_takes_each_step_in_its_order() {
    let (cluster, node) = control_plane();
    let ran = node.carry_out(&kubernetes("1.35"));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    insta::assert_snapshot!(node.changes().join("\n"));
    assert_eq!(node.versions(), NEW);
    assert_eq!(cluster.server(), "v1.35.10");
    assert_eq!((node.told("state"), node.told("kubelet")), ("done".to_owned(), "v1.35.10".to_owned()));
    assert_eq!(node.told("runtime"), "containerd://1.7.27");
    // What the login user has is what root has, if it was before.
    assert_eq!(node.read("home/ubuntu/.kube/config"), "admin of v1.35.10\n");
    for package in ["kubeadm", "kubelet", "kubectl", "cri-tools"] {
        assert!(node.has_state(&format!("held/{package}")), "{package}");
    }
    assert_eq!(node.read("etc/apt/sources.list.d/pibake-kubernetes.list"), source("35"));
    assert!(!node.path("root/var/lib/pibake/upgrade").exists(), "nothing of it is left");
    // Nothing that is under way is nothing to do.
    node.forget_trace();
    assert_eq!(node.run().code, Some(0));
    assert_eq!(node.changes(), [""; 0]);
}

#[test]
fn a_worker_gets_the_release_that_the_control_plane_has() {
    let cluster = Cluster::new("1.35.3");
    let node = cluster.node(2, "1.34.2");
    let ran = node.carry_out(&kubernetes("1.35.3"));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    insta::assert_snapshot!(node.changes().join("\n"));
    assert_eq!(node.versions(), ["1.35.3-1.1", "1.35.3-1.1", "1.35.3-1.1", "1.35.0-1.1"]);
    assert_eq!(node.read("var/lib/kubelet/config.yaml"), "config of 35\n");
}

/// The lines of a trace at which a cut or a failure may leave something half done.
fn points(node: &Node) -> Vec<(usize, String)> {
    const CHANGING: [&str; 6] = ["apt-get", "apt-mark", "dpkg ", "kubeadm", "systemctl", "mv "];
    let is_one = |line: &str| {
        CHANGING.iter().any(|begin| line.starts_with(begin)) && !line.contains("version --output")
    };
    let trace = node.trace().into_iter().enumerate();
    trace.filter(|(_, line)| is_one(line)).map(|(number, line)| (number + 1, line)).collect()
}

#[test]
fn a_cut_at_any_point_is_gone_on_with() {
    let (_cluster, node) = control_plane();
    node.begin(&kubernetes("1.35"));
    node.forget_trace();
    node.run();
    let whole = node.disk();
    let points = points(&node);
    assert!(points.len() > 60, "{points:?}");
    for (place, (number, line)) in points.iter().enumerate() {
        // Renames are many, and much alike.
        if line.starts_with("mv ") && place % 3 != 0 {
            continue;
        }
        let (_cluster, node) = control_plane();
        node.begin(&kubernetes("1.35"));
        node.forget_trace();
        node.cut_off(*number);
        let ran = node.run();
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.said);
        assert_eq!(node.told("state"), "done", "{line}");
        let (now, all) = (node.disk(), whole.clone());
        assert_eq!(now, all, "{line}");
    }
}

#[test]
fn a_failure_at_any_point_leaves_a_node_that_serves_and_goes_on() {
    let (_cluster, node) = control_plane();
    node.begin(&kubernetes("1.35"));
    node.forget_trace();
    node.run();
    let whole = node.disk();
    let mut failed = 0;
    for (_, line) in points(&node) {
        let Some(call) = line.strip_suffix(" @start").filter(|call| !call.starts_with("mv ")) else {
            continue;
        };
        let (_cluster, node) = control_plane();
        node.begin(&kubernetes("1.35"));
        let ran = node.run_with(&[("FAIL_AT", call)]);
        // Some are not needed: `apt-get update` where the list is there, a count that is taken back.
        if ran.code == Some(0) {
            assert_eq!(node.disk(), whole, "{call}");
            continue;
        }
        failed += 1;
        assert_eq!(node.told("state"), "failed", "{call}: {}", ran.said);
        assert!(!node.told("message").is_empty(), "{call}");
        assert!(node.serves() || call.starts_with("systemctl restart"), "{call}: {}", ran.said);
        if node.versions() == OLD {
            assert_eq!(node.read("etc/apt/sources.list.d/pibake-kubernetes.list"), source("34"), "{call}");
            assert_eq!(node.read("etc/apt/preferences.d/pibake"), "Pin: version 1.34.*\n", "{call}");
        }
        // The same order once more.
        let ran = node.carry_out(&kubernetes("1.35"));
        assert_eq!((ran.code, node.told("state").as_str()), (Some(0), "done"), "{call}: {}", ran.said);
        assert_eq!(node.disk(), whole, "{call}");
    }
    assert!(failed >= 8, "{failed}");
}

#[test]
fn what_cannot_be_had_changes_nothing() {
    for (state, message) in [
        ("offline", "names cannot be resolved"),
        ("other-repository", "the package servers have no kubeadm 1.35"),
    ] {
        let (cluster, node) = control_plane();
        let before = node.disk();
        node.state(state, "");
        let ran = node.carry_out(&kubernetes("1.35"));
        assert_eq!(ran.code, Some(1), "{}", ran.said);
        assert!(node.told("message").contains(message), "{state}: {}", node.told("message"));
        assert_eq!(node.told("step"), "repository");
        node.unset_state(state);
        let now = node.disk();
        let changed: Vec<_> = now
            .iter()
            .filter(|(name, text)| !name.contains("lib/pibake/upgrade") && before.get(*name) != Some(text))
            .collect();
        assert_eq!(changed, [], "{state}");
        assert!(node.serves());
        assert_eq!(cluster.server(), "v1.34.2");
        assert_eq!(node.carry_out(&kubernetes("1.35")).code, Some(0));
        assert_eq!(node.versions(), NEW);
    }
}

#[test]
fn a_key_that_has_ended_is_fetched_before() {
    let (_cluster, node) = control_plane();
    let mut env = node.read("etc/pibake/node.env");
    env += "KUBERNETES_KEYRING='/etc/apt/keyrings/kubernetes.asc'\nKUBERNETES_KEY_URL='https://old/Release.key'\n\
            KUBERNETES_KEY_FINGERPRINT='DE15B14486CD377B9E876E1A234654DA9A296436'\n";
    node.put("etc/pibake/node.env", &env);
    node.put("etc/apt/keyrings/kubernetes.asc", "a key that has ended\n");
    let ran = node.carry_out(&kubernetes("1.35"));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(node.read("etc/apt/keyrings/kubernetes.asc"), "the key of now\n");
    let asked: Vec<_> = node
        .trace()
        .into_iter()
        .filter(|line| line.starts_with("curl") && line.contains("Release.key"))
        .collect();
    assert!(asked[0].contains("https://pkgs.k8s.io/v1.35/Release.key"), "{asked:?}");
}

#[test]
fn a_kubelet_that_does_not_run_is_told_and_the_control_plane_serves() {
    let (cluster, node) = control_plane();
    node.state("kubelet-broken", "");
    let ran = node.carry_out(&kubernetes("1.35"));
    assert_eq!((ran.code, node.told("step").as_str()), (Some(1), "kubelet"));
    assert_eq!(node.told("message"), "kubelet does not run: see journalctl -u kubelet");
    assert_eq!(cluster.server(), "v1.35.10");
    node.unset_state("kubelet-broken");
    node.forget_trace();
    assert_eq!(node.carry_out(&kubernetes("1.35")).code, Some(0));
    assert!(
        !node.changes().iter().any(|call| call.starts_with("kubeadm upgrade")),
        "it goes on where it stopped"
    );
}

#[test]
fn one_order_at_a_time_and_whole() {
    let (_cluster, node) = control_plane();
    let whole = kubernetes("1.35");
    let ran = node.begin(whole.strip_suffix("end\n").unwrap());
    assert!(ran.code == Some(1) && ran.said.contains("did not come whole"), "{ran:?}");
    assert_eq!(node.begin(&whole).code, Some(0));
    // Somebody carries it out.
    let lock = std::fs::File::create(node.path("root/run/pibake/upgrade.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let other = node.begin(&kubernetes("1.34.3"));
    assert!(
        other.code == Some(1)
            && other.said.contains("another upgrade is at work on this node (kubernetes 1.35)"),
        "{other:?}"
    );
    assert_eq!(node.begin(&whole).code, Some(0), "the same one is that which is at work");
    drop(lock);
    assert_eq!(node.run().code, Some(0));
    let unknown = node.program("upgrade", &["follow", "of-others"], "", &[]);
    assert!(unknown.code == Some(1) && unknown.said.contains("was not told to do that"), "{unknown:?}");
    let known = node.program("upgrade", &["follow", "to-1.35"], "", &[]);
    assert!(
        known.code == Some(0) && known.said.contains("\nstate=done\n") && known.said.ends_with("\n\n"),
        "{known:?}"
    );
    // While the first boot is at work nothing of it is disturbed.
    std::fs::remove_file(node.path("root/var/lib/pibake/first-boot/complete")).unwrap();
    let early = node.begin(&whole);
    assert!(
        early.code == Some(1) && early.said.contains("first boot of this node is not complete"),
        "{early:?}"
    );
}

#[test]
fn what_a_node_runs_is_told() {
    let (_cluster, node) = control_plane();
    node.state("newer", "3\n");
    node.put("run/reboot-required", "");
    let ran = node.program("upgrade", &["state", "packages"], "", &[]);
    insta::assert_snapshot!(
        ran.said.lines().filter(|line| !line.starts_with("boot=")).collect::<Vec<_>>().join("\n")
    );
    node.state("offline", "");
    let ran = node.program("upgrade", &["state", "packages"], "", &[]);
    assert!(!ran.said.contains("newer=") && ran.said.ends_with("\nend\n"), "{}", ran.said);
}

//! Pods are moved away from a node, and come back.

use super::node::{Cluster, Node};

fn cluster() -> (Cluster, Node) {
    let cluster = Cluster::new("1.34.2");
    let first = cluster.node(1, "1.34.2");
    cluster.node(2, "1.34.2");
    (cluster, first)
}

fn state(cluster: &Cluster) -> (String, String) {
    (cluster.member("node-2", "cordoned"), cluster.member("node-2", "mark"))
}

#[test]
fn what_was_cordoned_for_an_upgrade_is_uncordoned_after_it() {
    let (cluster, first) = cluster();
    let ran = first.program("cordon", &["drain", "node-2", "30"], "", &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(state(&cluster), ("true".to_owned(), "cordoned".to_owned()));
    // A second time is no other one.
    assert_eq!(first.program("cordon", &["drain", "node-2", "30"], "", &[]).code, Some(0));
    for _ in 0..2 {
        assert_eq!(first.program("cordon", &["lift", "node-2"], "", &[]).code, Some(0));
        assert_eq!(state(&cluster), (String::new(), String::new()));
    }
}

#[test]
fn what_somebody_else_has_cordoned_stays_so() {
    let (cluster, first) = cluster();
    cluster.set_member("node-2", "cordoned", "true");
    let ran = first.program("cordon", &["drain", "node-2", "30"], "", &[]);
    assert!(ran.code == Some(0) && ran.said.contains("cordoned before, by somebody else"), "{ran:?}");
    assert_eq!(first.program("cordon", &["lift", "node-2"], "", &[]).code, Some(0));
    assert_eq!(state(&cluster), ("true".to_owned(), String::new()));
}

#[test]
fn pods_that_cannot_be_moved_leave_the_node_as_it_was() {
    for (key, why) in [("budget", "global timeout reached"), ("bare", "use --force to override")] {
        let (cluster, first) = cluster();
        cluster.set_member("node-2", key, "yes");
        let ran = first.program("cordon", &["drain", "node-2", "30"], "", &[]);
        assert!(ran.code == Some(1) && ran.said.contains(why), "{ran:?}");
        assert_eq!(state(&cluster), (String::new(), String::new()), "{key}");
    }
    let (cluster, first) = cluster();
    cluster.set_member("node-2", "bare", "yes");
    assert_eq!(first.program("cordon", &["drain", "node-2", "30", "--force"], "", &[]).code, Some(0));
}

#[test]
fn a_node_is_awaited_until_the_cluster_knows_what_it_runs() {
    let (cluster, first) = cluster();
    let runs = |kubelet: &str, boot: &str| {
        let (kubelet, boot) = (format!("kubelet={kubelet}"), format!("boot={boot}"));
        first.program(
            "cordon",
            &["await", "node-2", "15", &kubelet, "runtime=containerd://1.7.27", &boot],
            "",
            &[],
        )
    };
    let boot = cluster.member("node-2", "boot");
    assert_eq!(runs("v1.34.2", &boot).code, Some(0));
    // Ready, and still the one of before.
    assert_eq!(runs("v1.35.0", &boot).code, Some(1));
    assert_eq!(runs("v1.34.2", "another").code, Some(1));
    cluster.set_member("node-2", "runtime", "containerd://v1.7.27");
    assert_eq!(runs("v1.34.2", &boot).code, Some(0), "whether or not its version begins with a v");
    cluster.set_member("node-2", "ready", "False");
    let ran = runs("v1.34.2", &boot);
    assert!(
        ran.code == Some(1) && ran.said.contains("node-2 is not Ready, kubelet is posting nothing"),
        "{ran:?}"
    );
}

#[test]
fn a_silent_api_server_and_an_unknown_node_are_told() {
    let (cluster, first) = cluster();
    let ran = first.program("cordon", &["drain", "node-9", "30"], "", &[]);
    assert!(ran.code == Some(1) && ran.said.contains("node-9 is not part of the cluster"), "{ran:?}");
    let ran = first.program("cordon", &["state"], "", &[]);
    assert_eq!(ran.said, "server=v1.34.2\nmember=node-1|True|||v1.34.2\nmember=node-2|True|||v1.34.2\nend\n");
    std::fs::remove_file(cluster.path("cluster/up")).unwrap();
    for arguments in [&["state"][..], &["lift", "node-2"], &["drain", "node-2", "30"]] {
        let ran = first.program("cordon", arguments, "", &[]);
        assert!(ran.code == Some(1) && ran.said.contains("the API server does not answer"), "{ran:?}");
    }
}

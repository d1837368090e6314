//! One node gets another line of containerd.

use super::node::Cluster;
use super::orders::order;

fn to(version: &str, package: &str) -> String {
    order(
        &format!("containerd-{version}"),
        &format!("what=containerd\nversion={version}\npackages={package}\n"),
        &[
            ("/etc/apt/preferences.d/pibake", &format!("Package: {package}\nPin: version {version}.*\n")),
            ("/etc/containerd/config.toml", "version = 3\n"),
        ],
    )
}

#[test]
fn a_new_line_is_configured_installed_and_started() {
    for (package, installed) in [("containerd.io", "2.2.0-1"), ("containerd", "2.2.1-0ubuntu1~24.04.1")] {
        let cluster = Cluster::new("1.34.2");
        let node = cluster.node(2, "1.34.2");
        let ran = node.carry_out(&to("2.2", package));
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        assert_eq!(node.read_state(&format!("installed/{package}")), installed);
        assert_eq!(node.read("etc/containerd/config.toml"), "version = 3\n");
        assert!(node.told("runtime").starts_with("containerd://2.2."), "{}", node.told("runtime"));
        assert!(node.serves() && node.has_state("active/containerd"));
        assert_eq!(cluster.member("node-2", "runtime"), node.told("runtime"));
        assert_eq!(node.versions()[0], "1.34.2-1.1", "Kubernetes stays what it is");
    }
}

#[test]
fn one_that_does_not_run_gives_way_to_the_one_before() {
    let cluster = Cluster::new("1.34.2");
    let node = cluster.node(2, "1.34.2");
    node.state("containerd-broken", "2.2.0\n");
    let ran = node.carry_out(&to("2.2", "containerd.io"));
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    let message = node.told("message");
    assert!(
        message.starts_with("containerd 2.2 does not run (")
            && message.ends_with("); containerd.io 1.7.27-1 is back"),
        "{message}"
    );
    assert_eq!(node.read_state("installed/containerd.io"), "1.7.27-1");
    assert_eq!(node.read("etc/containerd/config.toml"), "version = 2\n");
    assert!(node.serves() && node.has_state("active/containerd"));
    // And once it does, the same order is carried out from its beginning.
    node.unset_state("containerd-broken");
    assert_eq!(node.carry_out(&to("2.2", "containerd.io")).code, Some(0));
    assert_eq!(node.read_state("installed/containerd.io"), "2.2.0-1");
}

#[test]
fn a_cut_at_any_point_is_gone_on_with() {
    let begin = || {
        let cluster = Cluster::new("1.34.2");
        let node = cluster.node(2, "1.34.2");
        node.begin(&to("2.2", "containerd"));
        node.forget_trace();
        (cluster, node)
    };
    let (_cluster, node) = begin();
    node.run();
    let whole = node.disk();
    for (place, line) in node.trace().into_iter().enumerate() {
        if !["apt-get", "systemctl"].iter().any(|begin| line.starts_with(begin)) {
            continue;
        }
        let (_cluster, node) = begin();
        node.cut_off(place + 1);
        let ran = node.run();
        assert_eq!((ran.code, node.told("state").as_str()), (Some(0), "done"), "{line}: {}", ran.said);
        assert_eq!(node.disk(), whole, "{line}");
        assert!(node.serves(), "{line}");
    }
}

//! What is true of a node whose first boot is complete.

use crate::cluster::Cluster;
use crate::machine::Machine;
use crate::repository::{CONTAINERD, KUBERNETES};
use crate::ssh::Ssh;

/// Every stage of node-1 and of the others, as far as these nodes have them.
const CONTROL_PLANE: [&str; 18] = [
    "cloud-init",
    "disk",
    "network",
    "clock",
    "kernel",
    "packages",
    "nat",
    "dhcp",
    "keyrings",
    "containerd",
    "kubernetes",
    "images",
    "control-plane",
    "pod-network",
    "kubectl",
    "ready",
    "tidy",
    "upgrade",
];
const WORKER: [&str; 11] = [
    "cloud-init",
    "disk",
    "network",
    "clock",
    "kernel",
    "packages",
    "keyrings",
    "containerd",
    "kubernetes",
    "join",
    "ready",
];

/// Looks at a node from inside, once it has said that it is complete. Returns the first boot's calls of kubeadm.
pub fn assert_complete(cluster: &Cluster, machine: &Machine, ssh: &Ssh, node: &str) -> Vec<String> {
    let number = node.rsplit('-').next().unwrap();
    let is_control_plane = number == "1";
    let answers = ssh.ask(&[
        ("result", "cat /run/cloud-init/result.json"),
        ("status", "cat /var/log/pibake/status"),
        ("unit", "systemctl is-enabled pibake-first-boot"),
        ("mirror", "apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages'"),
        ("packages", "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' containerd.io kubeadm kubectl kubelet"),
        ("damage", "dpkg --audit; dpkg --verify containerd.io kubeadm kubectl kubelet runc; true"),
        ("held", "apt-mark showhold"),
        ("containerd", "systemctl is-active containerd && systemctl is-enabled containerd"),
        ("containerd file", "cat /etc/containerd/config.toml"),
        ("containerd view", "containerd config dump | grep -i 'SystemdCgroup\\|sandbox_image'; ctr version | grep -c Version"),
        ("kubelet", "systemctl is-active kubelet && systemctl is-enabled kubelet"),
        ("calls", "cat /var/log/recorder"),
        ("configuration", "cat /var/lib/recorder.yaml"),
        ("secrets", "ls /etc/pibake/kubeadm.yaml /etc/kubernetes/bootstrap-kubelet.conf /var/lib/pibake/first-boot/ca"),
        ("token", &format!("grep -r -l -F '{}' /etc /run /var/log /var/lib/pibake || echo nowhere", cluster.token(number))),
        ("ca key", "ls /etc/kubernetes/pki/ca.key"),
        ("address", "ip -4 -o address show dev eth0"),
        ("clock", "timedatectl show --property NTPSynchronized --value"),
        ("forwarding", "sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables"),
        ("kubectl", "cmp /etc/kubernetes/admin.conf ~ubuntu/.kube/config && stat -c '%U %a' ~ubuntu/.kube/config"),
    ]);

    assert!(answers["result"].contains("\"errors\": []"), "{}", &answers["result"]);
    let status = &answers["status"];
    assert!(status.contains("\nstate=done\n"), "{status}");
    let stages: Vec<_> = status.lines().filter_map(|line| line.strip_prefix("step=")).collect();
    let expected: Vec<&str> = if is_control_plane {
        CONTROL_PLANE.to_vec()
    } else {
        WORKER.into_iter().chain(["tidy", "upgrade"]).collect()
    };
    assert_eq!(stages.len(), expected.len(), "{status}");
    for (stage, name) in stages.iter().zip(expected) {
        assert!(stage.contains(&format!(" {name} done ")), "{name}: {status}");
    }
    assert!(answers["unit"].starts_with("disabled"), "{}", &answers["unit"]);

    let mirror = format!("{}/mirror/ {}", cluster.url(), cluster.age.codename);
    assert!(answers["mirror"].lines().any(|line| line == mirror), "{}", &answers["mirror"]);
    let versions = format!(
        "containerd.io {CONTAINERD} ii \nkubeadm {KUBERNETES} hi \nkubectl {KUBERNETES} hi \nkubelet {KUBERNETES} hi"
    );
    assert_eq!(&answers["packages"], versions);
    // configuration files are marked `c`, and one of them is baked; a reset removes kubelet's empty ones
    let damaged: Vec<_> = answers["damage"]
        .lines()
        .filter(|line| !line.contains(" c /etc/") && !line.contains(".kubelet-keep"))
        .collect();
    assert!(damaged.is_empty(), "{damaged:?}");
    assert_eq!(&answers["held"], "cri-tools\nkubeadm\nkubectl\nkubelet");
    assert_eq!(&answers["containerd"], "active\nenabled");
    cluster.assert_baked(node, "/etc/containerd/config.toml", &answers["containerd file"]);
    // the dump of 1.4 has a runtime's options without what is in them
    let shown = if cluster.age.containerd.0 == "1.4" {
        "sandbox_image = \"registry.k8s.io/pause:3.10.1\""
    } else {
        "SystemdCgroup = true"
    };
    assert!(answers["containerd view"].contains(shown), "{}", &answers["containerd view"]);
    assert!(answers["containerd view"].ends_with("\n2"), "{}", &answers["containerd view"]);
    assert_eq!(&answers["kubelet"], "active\nenabled");

    // the patch release is settled on the node, by what is installed
    let (settled, baked) = ("kubernetesVersion: \"v1.34.2\"", "kubernetesVersion: \"stable-1.34\"");
    let configuration = &answers["configuration"];
    assert_eq!(configuration.contains(settled), is_control_plane, "{configuration}");
    cluster.assert_baked(node, "/etc/pibake/kubeadm.yaml", &configuration.replace(settled, baked));
    assert!(configuration.contains(&cluster.token(number)));

    for secret in ["kubeadm.yaml", "bootstrap-kubelet.conf", "first-boot/ca"] {
        let gone = format!("{secret}': No such file or directory");
        assert!(answers["secrets"].contains(&gone), "{}", &answers["secrets"]);
    }
    assert_eq!(&answers["token"], "nowhere");
    let has_key = !answers["ca key"].contains("No such file");
    assert_eq!(has_key, is_control_plane, "{}", &answers["ca key"]);
    assert!(answers["address"].contains(&format!(" 10.0.0.{number}/24 ")), "{}", &answers["address"]);
    assert_eq!(&answers["clock"], "yes");
    assert_eq!(&answers["forwarding"], "1\n1");
    if is_control_plane {
        assert_eq!(&answers["kubectl"], "ubuntu 600");
    }
    machine.note("all is as it should be");
    let calls = answers["calls"].lines().filter(|call| !is_of_renewal(call));
    calls.map(str::to_owned).collect()
}

/// Five minutes after a start certificates are looked at for the first time, be a slow machine still at these questions.
fn is_of_renewal(call: &str) -> bool {
    call == "kubeadm config print init-defaults" || call.starts_with("kubeadm certs ")
}

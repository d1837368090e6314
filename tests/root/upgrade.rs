//! `pibake upgrade` over the real ssh and sshd, with the nodes' own programs; what those call is stood in for.

use std::fs;

use libtest_mimic::{Failed, Trial};

use crate::ssh::{Lab, said};
use crate::upgraded::{Cluster, Node};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    };
    vec![
        trial("upgrade: two nodes become the next version, over a connection that is cut", next_version),
        trial("upgrade: a node with another host key is told nothing", another_host_key),
    ]
}

/// Two nodes behind the lab's sshd.
fn nodes(lab: &Lab, cluster: &Cluster) -> [Node; 2] {
    [1, 2].map(|number| {
        let node = cluster.node(number, "1.34.2");
        node.switch_on();
        let config = lab.path(&format!("sshd-{number}"));
        let text = fs::read_to_string(&config).unwrap();
        let mut environment = node.environment();
        environment.insert("LAUNCH", node.path("launch").display().to_string());
        environment.insert("PROGRAMS", node.path("programs").display().to_string());
        let set: String = environment.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let lines: Vec<String> = text
            .lines()
            .map(|line| if line.starts_with("SetEnv ") { format!("SetEnv{set}") } else { line.to_owned() })
            .collect();
        fs::write(config, lines.join("\n") + "\n").unwrap();
        node
    })
}

fn next_version() {
    let lab = Lab::new();
    let cluster = Cluster::new("1.34.2");
    let nodes = nodes(&lab, &cluster);
    nodes[1].state("cut", "");
    let (code, out, err) =
        said(&lab.pibake("1 2", &["upgrade", "--kubernetes", "1.35", "--patience", "60s"]));
    assert_eq!(code, Some(0), "{out}{err}");
    for node in ["node-1", "node-2"] {
        assert_eq!(cluster.member(node, "kubelet"), "v1.35.10", "{out}");
        assert_eq!(cluster.member(node, "cordoned") + &cluster.member(node, "mark"), "");
    }
    assert!(!nodes[1].has_state("cut"), "the connection was cut");
    // Over node-1, as any login to the others.
    assert!(lab.log(1).contains("Accepted publickey") && lab.log(2).contains("Accepted publickey"));
    let made = fs::read_to_string(lab.path(".pibake/identity.toml")).unwrap();
    assert!(made.contains("kubernetes = \"1.35\""), "{made}");
}

fn another_host_key() {
    let lab = Lab::new();
    let cluster = Cluster::new("1.34.2");
    let nodes = nodes(&lab, &cluster);
    let other = lab.baked(1, "/etc/ssh/ssh_host_ed25519_key");
    lab.put_key(2, &other);
    let (code, _, err) = said(&lab.pibake("1 2", &["-q", "upgrade", "--kubernetes", "1.35"]));
    assert!(
        code == Some(3)
            && err.contains("node-2 at 10.0.0.2, or what is on the way to it, has another host key"),
        "{code:?} {err}"
    );
    assert_eq!(nodes[0].changes(), [""; 0]);
    assert_eq!(cluster.member("node-1", "kubelet"), "v1.34.2");
}

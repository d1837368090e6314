//! `pibake upgrade` over the real ssh and sshd, with the nodes' own programs; what those call is stood in for.

use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::ssh::{Lab, said, trial};
use crate::upgraded::{Cluster, Node};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("upgrade: two nodes become the next version, over a connection that is cut", next_version),
        trial("upgrade: a node with another host key is told nothing", another_host_key),
        trial("upgrade: a worker has no command run on node-1", hostile_worker),
        trial("upgrade: a node that talks and does nothing is not listened to for ever", talkative_worker),
        trial("upgrade: what is ended while nodes are asked has changed nothing", ended),
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
        said(&lab.pibake("1 2", &["upgrade", "--kubernetes", "1.35", "--patience", "600s"]));
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

/// From now on the node's program does this when it is called with that word, and what it did before otherwise.
fn take_over(node: &Node, word: &str, then: &str) {
    let program = node.path("programs/upgrade");
    let before = node.path(&format!("programs/before-{word}"));
    fs::rename(&program, &before).unwrap();
    let text = format!(
        "#!/bin/sh\ncase $1 in\n{word}) {then} ;;\n*) exec sh '{}' \"$@\" ;;\nesac\n",
        before.display()
    );
    fs::write(program, text).unwrap();
}

/// Somebody has it, and what it says is done on node-1 comes from them.
fn hostile_worker() {
    let lab = Lab::new();
    let cluster = Cluster::new("1.34.2");
    let nodes = nodes(&lab, &cluster);
    let canary = lab.path("canary");
    let hostile = format!("v1.35.0$(touch {})", canary.display());
    let boot = "0b6d1a52-7f53-4c0e-9d4e-0d6a5b2f9c11";
    let lines = format!("id=7\nstate=done\nkubelet={hostile}\nruntime=containerd://1.7.27\nboot={boot}\n");
    take_over(&nodes[1], "follow", &format!("cat <<'E'\n{lines}\nE\n"));
    let (code, out, err) =
        said(&lab.pibake("1 2", &["-q", "upgrade", "--kubernetes", "1.35", "--patience", "30s"]));
    assert!(!canary.exists(), "a worker's words were run on node-1: {out}{err}");
    assert!(code == Some(1) && err.contains("node-2: ") && err.contains("nothing sensible"), "{out}{err}");
    assert_eq!(cluster.member("node-1", "kubelet"), "v1.35.10", "the control plane comes first");
    assert_eq!(cluster.member("node-2", "cordoned") + &cluster.member("node-2", "mark"), "");
}

/// It takes what it is told, does nothing, and says all the time that it is at the same step.
fn talkative_worker() {
    let lab = Lab::new();
    let cluster = Cluster::new("1.34.2");
    let nodes = nodes(&lab, &cluster);
    take_over(&nodes[1], "begin", "cat >/dev/null");
    let talk = format!(
        "touch '{}'; while echo id=7; do printf 'state=working\\nstep=kubelet\\n\\n'; sleep 0.05; done",
        lab.path("begun").display()
    );
    take_over(&nodes[1], "follow", &talk);
    let upgrade = ["-q", "upgrade", "--kubernetes", "1.35", "--patience", "30s"];
    for signal in ["TERM", "INT"] {
        let begun = Instant::now();
        let (code, out, err) = said(&lab.interrupted("1 2", &upgrade, "begun", signal));
        assert!(code == Some(1) && err.contains("node-2: cancelled"), "{signal}: {code:?} {out}{err}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{signal}: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let (code, out, err) = said(&lab.pibake("1 2", &upgrade));
    assert!(code == Some(1) && err.contains("it talks, and gets no further"), "{code:?} {out}{err}");
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    assert_eq!(cluster.member("node-2", "kubelet"), "v1.34.2");
}

fn ended() {
    let lab = Lab::new();
    let cluster = Cluster::new("1.34.2");
    let nodes = nodes(&lab, &cluster);
    take_over(&nodes[1], "state", &format!("touch '{}'; exec sleep 600", lab.path("begun").display()));
    for signal in ["INT", "TERM"] {
        let begun = Instant::now();
        let out = lab.interrupted("1 2", &["-q", "upgrade", "--kubernetes", "1.35"], "begun", signal);
        let (code, _, err) = said(&out);
        assert!(
            code == Some(1) && err.contains("cancelled; nothing was changed"),
            "{signal}: {code:?} {err}"
        );
        assert!(!err.contains("pibake remove"), "{err}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{signal}: {:?}", begun.elapsed());
        assert_eq!(nodes[0].changes(), [""; 0]);
    }
}

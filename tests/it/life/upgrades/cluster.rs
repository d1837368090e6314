//! `pibake upgrade` from node to node: the program itself, and the nodes' own; stood in for are ssh and what the nodes call.

use std::fs;
use std::process::Command;

use support::{pibake, put_program, run};

use super::node::{Cluster, Node};

/// The way to nodes below $LAB, whose connections break where a test wants that:
///   down          the node does not answer
///   other-key     another machine answers
///   breaks        the next command is cut off after its first lines, and goes on on the node
///   dies          the node is gone when it is watched
const SSH: &str = r#"#!/bin/sh
node=
while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	node-*) node=$1 ;;
	esac
	shift
done
base=$LAB/$node
. "$base/env"
lost() {
	echo "$1" >&2
	exit 255
}
[ ! -e "$STATE/other-key" ] || lost "Host key verification failed."
case $* in
*" follow "*)
	if [ -e "$STATE/dies" ]; then
		mv "$STATE/dies" "$STATE/down"
	elif [ -e "$STATE/breaks" ]; then
		rm "$STATE/breaks"
		sh -c "$*" | head -n 12
		lost "client_loop: send disconnect: Broken pipe"
	fi
	;;
esac
[ ! -e "$STATE/down" ] || lost "ssh: connect to host 10.0.0.1 port 22: Connection timed out"
# A session ends with the machine; see goes_down.
mkdir -p "$STATE/sessions"
setsid -w sh -c 'echo $$ >"$STATE/sessions/$$"; eval "$0"; code=$?; rm -f "$STATE/sessions/$$"; exit $code' "$*"
code=$?
[ ! -e "$STATE/down" ] && [ $code -lt 128 ] || lost "client_loop: send disconnect: Connection reset"
exit $code
"#;

const DESCRIPTION: &str = "# ours\nnodes = 2\n[base]\nimage = \"sample\"\nplatform = \"24.04\"\n[kubernetes]\n\
                           version = \"1.34\"   # as of spring\ncontainerd = \"1.7\"\n";

struct Lab {
    cluster: Cluster,
    nodes: [Node; 2],
}

/// How pibake ended, and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Lab {
    fn new() -> Self {
        let cluster = Cluster::new("1.34.2");
        let nodes = [cluster.node(1, "1.34.2"), cluster.node(2, "1.34.2")];
        nodes.iter().for_each(Node::switch_on);
        fs::create_dir_all(cluster.path("desk/bin")).unwrap();
        put_program(&cluster.path("desk/bin/ssh"), SSH);
        fs::write(cluster.path("desk/pibake.toml"), DESCRIPTION).unwrap();
        let lab = Self { cluster, nodes };
        run(lab.command().args(["build", "--quiet", "--offline"]));
        lab
    }

    fn command(&self) -> Command {
        let mut command = Command::new(pibake());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.cluster.path("desk/bin").display()));
        command.current_dir(self.cluster.path("desk")).env("XDG_CACHE_HOME", self.cluster.path("desk/cache"));
        command.env("LAB", self.cluster.path(""));
        command
    }

    /// With more patience than a busy machine needs for anything that comes to an end.
    fn upgrade(&self, arguments: &[&str]) -> Said {
        self.upgrade_within("600s", arguments)
    }

    fn upgrade_within(&self, patience: &str, arguments: &[&str]) -> Said {
        let out = self.command().args(["upgrade", "--patience", patience]).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: out.status.code(), out: text(&out.stdout), err: text(&out.stderr) }
    }

    fn kubelets(&self) -> [String; 2] {
        ["node-1", "node-2"].map(|node| self.cluster.member(node, "kubelet"))
    }

    fn marks(&self) -> [String; 2] {
        ["node-1", "node-2"]
            .map(|node| self.cluster.member(node, "cordoned") + &self.cluster.member(node, "mark"))
    }

    fn description(&self) -> String {
        fs::read_to_string(self.cluster.path("desk/pibake.toml")).unwrap()
    }

    fn unset(&self, node: usize, state: &str) {
        self.nodes[node - 1].unset_state(state);
    }
}

const OLD: [&str; 2] = ["v1.34.2", "v1.34.2"];
const NEW: [&str; 2] = ["v1.35.10", "v1.35.10"];
const NONE: [&str; 2] = ["", ""];

#[test]
fn a_plan_shows_the_steps_and_changes_nothing() {
    let lab = Lab::new();
    let said = lab.upgrade(&["--kubernetes", "1.35", "--plan"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    insta::assert_snapshot!(said.out);
    let said = lab.upgrade(&["--system", "--plan", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&document["planned"], &document["what"]), (&true.into(), &"system".into()));
    assert_eq!(document["nodes"][0]["state"], "done", "there is nothing newer: {}", said.out);
    assert_eq!((lab.kubelets(), lab.marks()), (OLD.map(str::to_owned), NONE.map(str::to_owned)));
    assert_eq!(lab.description(), DESCRIPTION);
}

#[test]
fn a_cluster_becomes_the_next_version_and_its_cards_with_it() {
    let lab = Lab::new();
    let said = lab.upgrade(&["--kubernetes", "1.35"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    insta::assert_snapshot!(said.out);
    assert_eq!((lab.kubelets(), lab.marks()), (NEW.map(str::to_owned), NONE.map(str::to_owned)));
    assert_eq!(fs::read_to_string(lab.cluster.path("cluster/snapshots")).unwrap(), "copied\n");
    assert_eq!(lab.description(), DESCRIPTION.replace("1.34", "1.35"));
    // A card to come has it, a newer one none.
    let pins = run(lab.command().args(["plan", "--quiet", "--node", "2", "/etc/apt/preferences.d/pibake"]));
    assert!(pins.contains("Pin: version 1.35.*"), "{pins}");
    let on_node = lab.nodes[1].read("etc/apt/preferences.d/pibake");
    assert_eq!(pins, on_node, "what is on the nodes is what is on new cards");
    // Once more: nothing is to be done.
    let again = lab.upgrade(&["--kubernetes", "1.35"]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(!again.err.contains("drain") && again.out.contains("Kubernetes 1.35.10"), "{}", again.out);
    assert_eq!(fs::read_to_string(lab.cluster.path("cluster/snapshots")).unwrap(), "copied\n");
}

#[test]
fn it_stops_at_the_first_failure_and_goes_on_there() {
    let lab = Lab::new();
    lab.nodes[1].state("kubelet-broken", "");
    let said = lab.upgrade(&["--kubernetes", "1.35"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("stopped at kubelet"), "{}", said.out);
    insta::assert_snapshot!(said.err.lines().last().unwrap());
    assert_eq!(lab.kubelets(), ["v1.35.10", "v1.34.2"]);
    assert_eq!(lab.marks(), NONE, "it gets pods again");
    assert!(lab.description().contains("1.35"));
    lab.unset(2, "kubelet-broken");
    lab.nodes[0].forget_trace();
    let said = lab.upgrade(&["--kubernetes", "1.35"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!((lab.kubelets(), lab.marks()), (NEW.map(str::to_owned), NONE.map(str::to_owned)));
    assert!(
        !lab.nodes[0]
            .changes()
            .iter()
            .any(|call| call.starts_with("apt-get") || call.contains("drain node-1"))
    );
}

#[test]
fn pods_that_cannot_be_moved_stop_it_before_anything_is_changed() {
    let lab = Lab::new();
    lab.cluster.set_member("node-1", "budget", "yes");
    let said = lab.upgrade(&["--kubernetes", "1.35"]);
    assert!(said.code == Some(1) && said.err.contains("global timeout reached"), "{}", said.err);
    assert_eq!((lab.kubelets(), lab.marks()), (OLD.map(str::to_owned), NONE.map(str::to_owned)));
    assert_eq!(lab.description(), DESCRIPTION);
}

#[test]
fn a_lost_connection_is_made_again() {
    let lab = Lab::new();
    for node in &lab.nodes {
        node.state("breaks", "");
    }
    let said = lab.upgrade(&["--kubernetes", "1.35"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!((lab.kubelets(), lab.marks()), (NEW.map(str::to_owned), NONE.map(str::to_owned)));
}

#[test]
fn a_node_that_is_gone_in_the_middle_is_gone_on_with_later() {
    let lab = Lab::new();
    lab.nodes[1].state("dies", "");
    let said = lab.upgrade_within("30s", &["--kubernetes", "1.35"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    let last = said.err.lines().last().unwrap();
    for words in [
        "node-2: it cannot be reached by SSH any more",
        "Done: node-1; left: node-2",
        "pibake upgrade --kubernetes 1.35",
    ] {
        assert!(last.contains(words), "{last}");
    }
    assert_eq!(lab.marks(), ["", "truecordoned"], "it may still be at work");
    lab.unset(2, "down");
    let said = lab.upgrade(&["--kubernetes", "1.35"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!((lab.kubelets(), lab.marks()), (NEW.map(str::to_owned), NONE.map(str::to_owned)));
}

#[test]
fn what_cannot_begin_changes_nothing() {
    let lab = Lab::new();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let said = lab.upgrade(arguments);
        assert_eq!(said.code, Some(code), "{}", said.err);
        assert!(said.err.contains(words), "{}", said.err);
    };
    refused(&["--kubernetes", "1.36"], 4, "pibake upgrade --kubernetes 1.35 comes first");
    refused(&["--kubernetes", "1.33"], 4, "there is no way back");
    refused(&["--containerd", "1.6"], 4, "does not go back to an older line");
    refused(&[], 2, "--kubernetes");
    lab.nodes[1].state("down", "");
    refused(&["--kubernetes", "1.35"], 1, "node-2 cannot be reached by SSH");
    lab.unset(2, "down");
    lab.nodes[1].state("other-key", "");
    refused(
        &["--kubernetes", "1.35"],
        3,
        "node-2 at 10.0.0.2, or what is on the way to it, has another host key",
    );
    lab.unset(2, "other-key");
    lab.cluster.set_member("node-2", "ready", "False");
    refused(&["--kubernetes", "1.35"], 4, "node-2: it is not Ready");
    lab.cluster.set_member("node-2", "ready", "True");
    fs::rename(lab.nodes[1].path("programs/upgrade"), lab.nodes[1].path("programs/older")).unwrap();
    refused(&["--kubernetes", "1.35"], 1, "node-2: its card was written by a pibake that knew no upgrades");
    assert_eq!((lab.kubelets(), lab.marks()), (OLD.map(str::to_owned), NONE.map(str::to_owned)));
    assert_eq!(lab.description(), DESCRIPTION);
}

#[test]
fn containerd_is_changed_on_all_nodes_and_in_the_description() {
    let lab = Lab::new();
    let said = lab.upgrade(&["--containerd", "2.2"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for node in ["node-1", "node-2"] {
        assert_eq!(lab.cluster.member(node, "runtime"), "containerd://2.2.1");
    }
    assert_eq!(lab.description(), DESCRIPTION.replace("1.7", "2.2"));
    assert!(lab.nodes[1].read("etc/containerd/config.toml").starts_with("# Written by pibake"));
}

#[test]
fn nodes_restart_one_at_a_time() {
    let lab = Lab::new();
    for node in &lab.nodes {
        node.state("newer", "2\n");
        node.state("kernel-comes", "6.8.0-9\n");
    }
    let said = lab.upgrade(&["--system"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for node in &lab.nodes {
        assert_eq!(
            (node.read_state("restarts").as_str(), node.read_state("kernel").as_str()),
            ("1", "6.8.0-9")
        );
    }
    assert_eq!(lab.marks(), NONE);
    let again = lab.upgrade(&["--system"]);
    assert!(again.code == Some(0) && again.out.contains("no newer packages"), "{}{}", again.out, again.err);
}

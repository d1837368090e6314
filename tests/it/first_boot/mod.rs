//! First boot, run for real on a scratch node with stand-ins for the commands that it runs.

mod cuts;
mod keyrings;
mod manifests;
mod members;
pub(crate) mod node;
mod own_disk;
mod pki;
mod preloaded;
mod reasons;
mod restore;
mod scripts;
mod upgrade;

use node::{Node, Role};

const SECRETS: [&str; 3] =
    ["etc/pibake/kubeadm.yaml", "etc/pibake/other-secret", "var/lib/pibake/first-boot/ca"];
const TOKEN: &str = "abcdef.0123456789abcdef";

/// What changes things, with the options of apt's taken out: those are looked at elsewhere.
fn deeds(node: &Node) -> String {
    let looks = ["dpkg-query", "df", "ip", "timedatectl", "getent", "findmnt", "chronyc", "python3"];
    let words = ["is-active", "is-enabled", "showhold", " get ", "sysctl -n"];
    let deeds = node.calls().into_iter().filter(|call| {
        !looks.iter().any(|name| call.split(' ').next() == Some(name))
            && !words.iter().any(|w| call.contains(w))
    });
    let mut text = String::new();
    for deed in deeds {
        let mut skip = false;
        let words: Vec<_> = deed
            .split(' ')
            .filter(|&word| {
                let taken_out = skip || word == "-o";
                skip = word == "-o";
                !taken_out
            })
            .collect();
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    text
}

#[test]
fn a_control_plane_comes_up() {
    let node = Node::new(Role::ControlPlane);
    node.complete(&[]);
    insta::assert_snapshot!("control_plane_deeds", deeds(&node));
    insta::assert_snapshot!("control_plane_status", node.status());
    assert_eq!(node.read_state("births"), "born\n");
    assert_eq!(node.read("etc/kubernetes/pki/ca.key"), "baked key");
    assert_eq!(node.read(&format!("home/{}/.kube/config", node::user())), "admin");
    assert_tidy(&node);
}

#[test]
fn a_worker_joins() {
    let node = Node::new(Role::Worker);
    node.complete(&[]);
    insta::assert_snapshot!("worker_deeds", deeds(&node));
    insta::assert_snapshot!("worker_status", node.status());
    assert_eq!(node.read_state("joins"), "joined\n");
    assert_tidy(&node);
}

fn assert_tidy(node: &Node) {
    for secret in SECRETS {
        assert!(!node.exists(secret), "{secret}");
    }
    assert_eq!(node.read_state("enabled/pibake-first-boot"), "");
    assert!(!node.has_state("enabled/pibake-first-boot"));
}

/// Where it stands is on every console, in the journal and in the log, and no secret is.
#[test]
fn it_says_where_it_stands() {
    let node = Node::new(Role::ControlPlane);
    node.complete(&[]);
    let journal = node.output();
    let said: Vec<_> = journal.lines().filter(|line| line.starts_with("pibake: ")).collect();
    assert!(said.iter().any(|line| line.contains("[12/16] control-plane: working")), "{journal}");
    for console in ["dev/ttyAMA0", "dev/tty1"] {
        assert_eq!(node.read(console).lines().collect::<Vec<_>>(), said, "{console}");
    }
    let log = node.read("var/log/pibake/first-boot.log");
    for line in said {
        assert!(log.contains(line), "{line}");
    }
    assert!(journal.contains("--token (token)"), "kubeadm's words are in the journal: {journal}");
    for text in [journal, log, node.read("var/log/pibake/status"), node.read("dev/tty1")] {
        assert!(!text.contains(TOKEN));
    }
}

/// Days of attempts must not fill the card.
#[test]
fn a_long_log_is_put_aside() {
    let node = Node::new(Role::Worker);
    node.put("var/log/pibake/first-boot.log", &"attempt\n".repeat(1 << 20));
    node.put("var/log/pibake/first-boot.log.1", "older\n");
    node.complete(&[]);
    assert!(node.read("var/log/pibake/first-boot.log").len() < 100_000);
    assert!(node.read("var/log/pibake/first-boot.log.1").starts_with("attempt\n"));
}

/// A card as the recipe makes it: the program, its stages, node.env and all that it reads.
#[test]
fn what_the_recipe_bakes_is_all_that_it_needs() {
    let mut cluster = crate::fixture::book();
    cluster.access.user = node::user();
    for (role, number) in [(Role::ControlPlane, 1), (Role::Worker, 2)] {
        let node = Node::bare(role);
        crate::fixture::lay_out(
            &crate::fixture::of(&cluster, number),
            pibake::recipe::Volume::Root,
            &node.root(),
        );
        // The baked keys run out one day, on which this test shall not.
        let env = node.read("etc/pibake/node.env");
        assert!(env.contains("KUBERNETES_KEYRING="), "{env}");
        node.put("etc/pibake/node.env", &format!("{env}DOCKER_KEYRING=\nKUBERNETES_KEYRING=\n"));
        let config = node.read("etc/pibake/kubeadm.yaml");
        let pin = config.lines().find(|line| line.contains("caCertHashes")).unwrap_or_default();
        let ours = format!("  caCertHashes: [\"{}\"]", pki::cluster().pin);
        if !pin.is_empty() {
            node.put("etc/pibake/kubeadm.yaml", &config.replace(pin, &ours));
        }
        let wanted = "etc/systemd/system/multi-user.target.wants/pibake-first-boot.service";
        assert!(std::fs::symlink_metadata(node.root().join(wanted)).is_ok());
        node.state("baked-key", &node.read("etc/kubernetes/pki/ca.key"));
        node.power_on();
        node.complete(&[]);
        assert!(!node.exists("etc/pibake/kubeadm.yaml"));
        let calls = node.calls().join("\n");
        assert!(calls.contains(" kubelet kubeadm kubectl"), "{calls}");
        assert_eq!(calls.contains(" isc-dhcp-server "), role == Role::ControlPlane, "{calls}");
        if role == Role::ControlPlane {
            assert!(node.read("etc/kubernetes/pki/ca.key").contains("TEST KEY"));
        }
    }
}

#[test]
fn lan_mode_has_neither_nat_nor_dhcp() {
    let node = Node::new(Role::ControlPlane);
    let lan = node.read("etc/pibake/node.env").replace("GATEWAY='yes'", "GATEWAY='no'");
    let lan = lan.replace("UPLINK_INTERFACE='wlan0'\nBASE_PACKAGES='isc-dhcp-server iptables'\n", "");
    node.put("etc/pibake/node.env", &lan);
    node.complete(&[]);
    let steps: Vec<_> =
        node.status().lines().filter(|l| l.starts_with("step=")).map(|l| l.to_owned()).collect();
    assert_eq!(steps.len(), 13, "{steps:?}");
    assert!(!steps.iter().any(|s| s.contains("nat") || s.contains("dhcp") || s.contains(" packages ")));
}

#[test]
fn after_completion_it_does_nothing() {
    let node = Node::new(Role::ControlPlane);
    node.complete(&[]);
    let disk = node.disk();
    let before = node.calls().len();
    node.power_on();
    node.complete(&[]);
    assert_eq!(node.calls()[before..], ["systemctl --quiet disable pibake-first-boot.service"]);
    assert_eq!(node.disk(), disk);
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let node = Node::new(Role::Worker);
    node.unset_state("clock");
    let mut first = node.start(&[]);
    node.await_status(&mut first, &["name=clock", "state=waiting"]);
    assert!(node.run(&[]).success());
    assert!(node.output().contains("at work already"), "{}", node.output());
    node.state("clock", "");
    assert!(first.end(&node).success());
    assert_eq!(node.read_state("joins"), "joined\n");
}

/// cloud-init mostly ends minutes after this program has begun.
#[test]
fn it_goes_on_as_soon_as_cloud_init_is_done() {
    let node = Node::new(Role::Worker);
    std::fs::remove_file(node.root().join("run/cloud-init/result.json")).unwrap();
    let mut running = node.start(&[]);
    node.await_status(&mut running, &["name=cloud-init", "state=waiting"]);
    node.put("run/cloud-init/result.json", "{}");
    assert!(running.end(&node).success());
    assert_eq!(node.read_state("joins"), "joined\n");
}

/// Nothing that speaks TLS or makes certificates runs before the clock is set.
#[test]
fn a_clock_that_is_not_set_holds_it() {
    for role in [Role::ControlPlane, Role::Worker] {
        let node = Node::new(role);
        node.unset_state("clock");
        let mut running = node.start(&[]);
        node.await_status(&mut running, &["name=clock", "state=waiting"]);
        for call in node.calls() {
            let name = call.split(' ').next().unwrap();
            assert!(!["apt-get", "kubeadm", "kubectl"].contains(&name), "{call}");
        }
        node.state("clock", "");
        assert!(running.end(&node).success());
        assert!(node.calls().iter().any(|call| call.starts_with("apt-get")));
    }
}

/// The clock is lost with the power, whatever was marked.
#[test]
fn the_clock_is_waited_for_at_each_start() {
    let node = Node::new(Role::ControlPlane);
    node.cut_off("kubeadm init --config /run/pibake/kubeadm.yaml --skip-token-print @start", &[]);
    node.unset_state("clock");
    let mut running = node.start(&[]);
    node.await_status(&mut running, &["name=clock", "state=waiting", "starts=2"]);
    node.put("run/pibake/clock-set-by-hand", "");
    assert!(running.end(&node).success());
}

#[test]
fn a_worker_waits_for_its_control_plane() {
    let node = Node::new(Role::Worker);
    node.unset_state("control-plane-up");
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=join", "state=waiting"]);
    // How often it has looked already is a matter of time.
    let (counted, said): (Vec<_>, Vec<_>) =
        status.lines().partition(|line| line.starts_with("attempt=") || line.starts_with("message="));
    insta::assert_snapshot!("worker_waits", said.join("\n"));
    let message = "the control plane at 10.0.0.1:6443 does not answer yet; it must be on and past its stage";
    assert!(counted[1].contains(message), "{counted:?}");
    assert!(!node.calls().iter().any(|call| call.starts_with("kubeadm")));
    node.state("control-plane-up", "");
    assert!(running.end(&node).success());
    assert_eq!(node.read_state("joins"), "joined\n");
}

/// A card is often taken out while the node tries once more: it tells why it had to.
#[test]
fn while_it_tries_again_it_says_why() {
    let node = Node::new(Role::ControlPlane);
    let init = "kubeadm init --config /run/pibake/kubeadm.yaml --skip-token-print";
    let (broken, cut) = (format!("{init} @manifests written"), "kubeadm init phase addon all");
    let cut = format!("{cut} --config /run/pibake/kubeadm.yaml @start");
    node.cut_off(&cut, &[("BREAK_AT", &broken)]);
    let status = node.status();
    assert!(status.contains("\nstate=working\n") && status.contains("\nattempt=2\n"), "{status}");
    assert!(status.contains("\nmessage=the last attempt: "), "{status}");
    assert!(status.contains("broken off by the test"), "{status}");
    node.complete(&[]);
    assert!(node.status().contains("\nmessage=node-1 is ready\n"), "{}", node.status());
}

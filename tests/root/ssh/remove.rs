//! `pibake remove`.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::put_program;

use super::{Lab, said};

const DRAIN: &str = "1 kubectl drain node-2 --ignore-daemonsets --delete-emptydir-data --force \
                     --skip-wait-for-delete-timeout=60 --timeout=300s";
const DELETE: &str = "1 kubectl delete node node-2 --ignore-not-found";
const RESET: [&str; 3] = [
    "2 systemctl disable --now pibake-copies.timer pibake-certificates.timer pibake-member.timer",
    "2 kubeadm reset --force",
    "2 systemctl disable --now kubelet",
];
/// What the cluster says of node-2, which is part of it.
const MEMBER: &str = "case $* in *' get node '*) echo node/node-2; exit ;; esac";

/// Two nodes that note what they are told.
struct Desk {
    lab: Lab,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { lab: Lab::new() };
        desk.lab.put_sudo();
        desk.program("kubectl", "");
        desk.program("kubeadm", "");
        desk.program("systemctl", "");
        desk
    }

    /// A program that notes what it is called with, and then does this; kubectl knows node-2 in any case.
    fn program(&self, name: &str, then: &str) {
        let calls = self.lab.path("calls");
        let note = format!("echo \"$NODE ${{0##*/}} $*\" >>'{}'", calls.display());
        let member = if name == "kubectl" { MEMBER } else { "" };
        put_program(&self.lab.path("bin").join(name), format!("#!/bin/sh\n{note}\n{member}\n{then}\n"));
    }

    /// What came of a run: its exit code, what it said, and what was done on the nodes.
    fn deeds(&self, run: impl FnOnce(&Lab) -> Output) -> (Option<i32>, String, Vec<String>) {
        fs::write(self.lab.path("calls"), "").unwrap();
        let (code, out, err) = said(&run(&self.lab));
        let calls = fs::read_to_string(self.lab.path("calls")).unwrap();
        let calls = calls.replace("--kubeconfig /etc/kubernetes/admin.conf ", "");
        let calls = calls.lines().filter(|call| !call.contains(" get ")).map(str::to_owned).collect();
        (code, out + &err, calls)
    }

    fn removed(&self, on: &str, arguments: &[&str]) -> (Option<i32>, String, Vec<String>) {
        self.deeds(|lab| lab.pibake(on, &[&["-q", "remove", "--node"][..], arguments].concat()))
    }

    fn token(&self) -> String {
        let text = fs::read_to_string(self.lab.path(".pibake/token")).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    }
}

fn revoke(token: &str) -> String {
    format!(
        "1 kubectl --namespace kube-system delete secret bootstrap-token-{} --ignore-not-found",
        &token[..6]
    )
}

pub fn remove() {
    let desk = Desk::new();
    let before = desk.token();

    // Pods that cannot be moved keep it where it is.
    desk.program("kubectl", "case $* in *drain*) echo 'error: a disruption budget' >&2; exit 1 ;; esac");
    let (code, text, calls) = desk.removed("1 2", &["2"]);
    assert!(
        code == Some(1) && text.contains("a disruption budget. It is still part of the cluster"),
        "{text}"
    );
    assert_eq!((calls, desk.token()), (vec![DRAIN.to_owned()], before.clone()));
    // The control plane stays, and without it nothing is done.
    let (code, text, calls) = desk.removed("1 2", &["1"]);
    assert!(code == Some(2) && text.contains("is the control plane") && calls.is_empty(), "{text}");
    let (code, text, calls) = desk.removed("2", &["2"]);
    assert!(code == Some(1) && text.contains("nothing was changed") && calls.is_empty(), "{text}");
    // Nor while the API server does not answer, also where pods need not be moved.
    put_program(&desk.lab.path("bin/kubectl"), "#!/bin/sh\necho 'connection refused' >&2\nexit 1\n");
    let (code, text, calls) = desk.removed("1 2", &["2", "--force"]);
    assert!(code == Some(1) && text.contains("connection refused; nothing was changed"), "{text}");
    assert_eq!((calls, desk.token()), (Vec::new(), before.clone()));

    desk.program("kubectl", "");
    let (code, text, calls) = desk.removed("1 2", &["node-2"]);
    assert!(code == Some(0) && text.starts_with("node-2 is no longer part of the cluster\n"), "{text}");
    assert!(text.contains("set nodes = 1"), "{text}");
    let mut expected = vec![DRAIN.to_owned()];
    expected.extend(RESET.map(str::to_owned));
    expected.extend([DELETE.to_owned(), revoke(&before)]);
    assert_eq!(calls, expected);
    assert_ne!(desk.token(), before);

    // One that is dead.
    let before = desk.token();
    let (code, text, calls) = desk.removed("1", &["2", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["drained"], &document["reset"]), (&true.into(), &false.into()));
    assert!(document["advice"][0].as_str().unwrap().contains("could not be reset"), "{document}");
    assert_eq!(calls, [DRAIN.to_owned(), DELETE.to_owned(), revoke(&before)]);

    // One that is no part of it any more: kubectl finds none of its name.
    let gone = format!("#!/bin/sh\necho \"$NODE kubectl $*\" >>'{}'\n", desk.lab.path("calls").display());
    put_program(&desk.lab.path("bin/kubectl"), gone);
    let before = desk.token();
    let (code, text, calls) = desk.removed("1", &["2", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &document["drained"]), (Some(0), &false.into()), "{text}");
    assert_eq!(calls, [DELETE.to_owned(), revoke(&before)]);
}

pub fn ended() {
    let desk = Desk::new();
    let before = desk.token();
    let wait = format!("touch '{}'; exec sleep 600", desk.lab.path("begun").display());
    let ended = |signal: &str| {
        let begun = Instant::now();
        let deeds =
            desk.deeds(|lab| lab.interrupted("1 2", &["-q", "remove", "--node", "2"], "begun", signal));
        assert!(begun.elapsed() < Duration::from_secs(60), "{signal}: {:?}", begun.elapsed());
        assert_eq!(desk.token(), before);
        deeds
    };
    desk.program("kubectl", &format!("case $* in *drain*) {wait} ;; esac"));
    for signal in ["INT", "TERM"] {
        let (code, text, calls) = ended(signal);
        let says = "cancelled; node-2 gets no new pods: kubectl uncordon node-2 takes that back";
        assert!(code == Some(1) && text.contains(says), "{signal}: {text}");
        assert_eq!(calls, [DRAIN], "{signal}");
    }
    // The connection is lost: whoever is above kubectl and has it is killed.
    let lose = "pid=$$; while :; do read -r name </proc/$pid/comm; case $name in sshd*) break ;; esac; \
                pid=$(cut -d ' ' -f 4 /proc/$pid/stat); done; kill -9 $pid; exec sleep 600";
    desk.program("kubectl", &format!("case $* in *drain*) {lose} ;; esac"));
    let (code, text, calls) = desk.removed("1 2", &["2"]);
    let says = "the connection to node-1 was lost while the pods of node-2 were being moved";
    assert!(code == Some(1) && text.contains(says) && !text.contains("nothing was changed"), "{text}");
    assert_eq!((calls, desk.token()), (vec![DRAIN.to_owned()], before.clone()));

    desk.program("kubectl", "");
    desk.program("kubeadm", &wait);
    for signal in ["INT", "TERM"] {
        let (code, text, calls) = ended(signal);
        let says = "cancelled; node-2 was being reset, and is still one of the cluster's nodes";
        assert!(code == Some(1) && text.contains(says), "{signal}: {text}");
        assert_eq!(calls, [DRAIN, RESET[0], RESET[1]], "{signal}");
    }
    // Before anything: kubectl is asked and does not answer.
    put_program(&desk.lab.path("bin/kubectl"), format!("#!/bin/sh\n{wait}\n"));
    let (code, text, calls) = ended("TERM");
    assert!(code == Some(1) && text.contains("cancelled; nothing was changed") && calls.is_empty(), "{text}");
}

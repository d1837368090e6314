//! `pibake kubeconfig`, with the real kubectl as the one who reads and writes it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::{run, tool, tool_path};

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(description: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(desk.path("pibake.toml"), description).unwrap();
        desk.well(&["build", "--base", "sample", "--node", "1"]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pibake(&self, arguments: &[&str]) -> Output {
        let kubectl = tool_path("kubectl", "kubernetes-client");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("PATH", kubectl.parent().unwrap()).args(arguments).output().unwrap()
    }

    fn well(&self, arguments: &[&str]) -> String {
        let out = self.pibake(arguments);
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// What kubectl understands of a file.
    fn view(&self, file: &str) -> Value {
        let mut kubectl = tool("kubectl", "kubernetes-client");
        kubectl.args(["config", "view", "--raw", "--output=json", "--kubeconfig"]).arg(self.path(file));
        serde_json::from_str(&run(&mut kubectl)).unwrap()
    }
}

#[test]
fn it_is_printed_for_where_one_stands() {
    let desk = Desk::new("nodes = 2\n");
    assert_eq!(desk.well(&["kubeconfig"]), fs::read_to_string(desk.path(".pibake/admin.conf")).unwrap());
    fs::write(desk.path("via"), desk.well(&["kubeconfig", "--via", "192.168.1.77"])).unwrap();
    let via = desk.view("via");
    let cluster = &via["clusters"][0]["cluster"];
    assert_eq!(cluster["server"], "https://192.168.1.77:6443");
    assert_eq!(cluster["tls-server-name"], "kubernetes.cluster.home");
    assert_eq!(via["users"], desk.view(".pibake/admin.conf")["users"]);
    fs::write(desk.path("six"), desk.well(&["kubeconfig", "--via", "[fe80::1]:7443"])).unwrap();
    assert_eq!(desk.view("six")["clusters"][0]["cluster"]["server"], "https://[fe80::1]:7443");
    // The API server is closed to the WiFi, unless the description says otherwise; a tunnel is none of it.
    let note = |arguments: &[&str]| String::from_utf8(desk.pibake(arguments).stderr).unwrap();
    assert!(note(&["kubeconfig", "--via", "192.168.1.77"]).contains("allow = [\"api\"]"));
    for open in [&["kubeconfig"][..], &["kubeconfig", "--via", "127.0.0.1"]] {
        assert!(!note(open).contains("allow"), "{open:?}");
    }
    let open = Desk::new("nodes = 2\n[network.uplink]\nallow = [\"api\"]\n");
    assert!(
        !String::from_utf8(open.pibake(&["kubeconfig", "--via", "192.168.1.77"]).stderr)
            .unwrap()
            .contains("allow")
    );
}

#[test]
fn it_is_merged_and_what_is_there_stays() {
    let desk = Desk::new("nodes = 2\nname = \"attic\"\n");
    // Into nothing: it becomes the current one.
    assert_eq!(desk.well(&["kubeconfig", "--merge"]), "merged; kubectl get nodes\n");
    let merged = desk.view(".kube/config");
    let own = desk.view(".pibake/admin.conf");
    assert_eq!(merged["current-context"], "attic");
    assert_eq!(merged["clusters"][0]["cluster"], own["clusters"][0]["cluster"]);
    assert_eq!(merged["users"][0]["user"], own["users"][0]["user"]);
    assert_eq!(merged["contexts"][0]["context"]["user"], "pibake-attic");
    // Beside another one, and again from elsewhere.
    let other = "apiVersion: v1\nkind: Config\ncurrent-context: work\nclusters:\n- name: work\n  cluster: {server: \"https://work:6443\"}\n\
                 contexts:\n- name: work\n  context: {cluster: work, user: me}\nusers:\n- name: me\n  user: {token: x}\n";
    fs::write(desk.path(".kube/config"), other).unwrap();
    let before = desk.view(".kube/config");
    for _ in 0..2 {
        let said = desk.well(&["kubeconfig", "--merge", "--via", "127.0.0.1"]);
        assert_eq!(said, "merged; kubectl --context attic get nodes\n");
    }
    let merged = desk.view(".kube/config");
    let named = |list: &str, name: &str| {
        merged[list].as_array().unwrap().iter().find(|entry| entry["name"] == name).cloned().unwrap()
    };
    assert_eq!(merged["current-context"], "work");
    for list in ["clusters", "contexts", "users"] {
        assert_eq!(merged[list].as_array().unwrap().len(), 2, "{list}");
    }
    assert_eq!(named("clusters", "work"), before["clusters"][0]);
    assert_eq!(named("users", "me"), before["users"][0]);
    assert_eq!(named("clusters", "attic")["cluster"]["tls-server-name"], "kubernetes.cluster.home");
    // From home again, no other name is expected.
    desk.well(&["kubeconfig", "--merge"]);
    let again = desk.view(".kube/config");
    let entry = again["clusters"].as_array().unwrap().iter().find(|entry| entry["name"] == "attic").unwrap();
    assert_eq!(entry["cluster"], own["clusters"][0]["cluster"]);
}

#[test]
fn another_cluster_of_the_same_name_is_not_overwritten() {
    let first = Desk::new("nodes = 2\n");
    first.well(&["kubeconfig", "--merge"]);
    let second = Desk::new("nodes = 2\n");
    fs::create_dir(second.path(".kube")).unwrap();
    fs::copy(first.path(".kube/config"), second.path(".kube/config")).unwrap();
    let refused = second.pibake(&["kubeconfig", "--merge"]);
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("--merge --context cluster.home-kubernetes"), "{said}");
    assert_eq!(second.view(".kube/config"), first.view(".kube/config"));
    second.well(&["kubeconfig", "--merge", "--context", "second"]);
    assert_eq!(second.view(".kube/config")["clusters"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_is_said() {
    let empty = Desk { dir: tempfile::tempdir().unwrap() };
    fs::write(empty.path("pibake.toml"), "nodes = 2\n").unwrap();
    for command in [&["kubeconfig"][..], &["ssh", "1"], &["status"]] {
        let refused = empty.pibake(command);
        assert_eq!(refused.status.code(), Some(2), "{command:?}");
        assert!(String::from_utf8(refused.stderr).unwrap().contains("no cluster yet"));
        assert!(!empty.path(".pibake").exists());
    }
    let desk = Desk::new("nodes = 2\n");
    for (command, words) in [
        (&["ssh", "7"][..], "there is no node 7"),
        (&["ssh", "1", "--json"], "has no --json"),
        (&["ssh", "1", "--via=-oProxyCommand=x"], "must be a host"),
        (&["kubeconfig", "--merge", "--context=-x"], "may have letters"),
        (&["kubeconfig", "--context", "x"], "--merge"),
    ] {
        let refused = desk.pibake(command);
        assert_eq!(refused.status.code(), Some(2), "{command:?}");
        let said = String::from_utf8([refused.stderr, refused.stdout].concat()).unwrap();
        assert!(said.contains(words), "{command:?}: {said}");
    }
}

/// The real ssh tells what it makes of the file.
#[test]
fn ssh_reads_the_file() {
    for (description, jump) in [
        ("nodes = 2\n", Some("node-1")),
        (
            "nodes = 2\n[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.201\"\n",
            None,
        ),
    ] {
        let desk = Desk::new(description);
        let odd = desk.path("a \"b\" %h\\c");
        fs::create_dir(&odd).unwrap();
        fs::copy(desk.path("pibake.toml"), odd.join("pibake.toml")).unwrap();
        let desk = Desk { dir: desk.dir };
        desk.well(&[
            "-C",
            odd.join("pibake.toml").to_str().unwrap(),
            "build",
            "--base",
            "sample",
            "--node",
            "1",
            "-o",
            "x",
        ]);
        for state in [desk.path(".pibake"), odd.join(".pibake")] {
            let asked = |node: &str| {
                let mut ssh = tool("ssh", "openssh-client");
                run(ssh.arg("-F").arg(state.join("ssh_config")).args(["-G", node]))
            };
            let (first, second) = (asked("node-1"), asked("node-2"));
            let line = |text: &str, name: &str| {
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
            };
            assert_eq!(line(&second, "proxyjump").as_deref(), jump);
            assert_eq!(line(&first, "proxyjump"), None);
            assert_eq!(line(&first, "user").as_deref(), Some("ubuntu"));
            assert_eq!(line(&second, "hostkeyalias").as_deref(), Some("node-2.cluster.home"));
            let known = line(&first, "userknownhostsfile").unwrap();
            assert!(known.contains("/.pibake/known_hosts"), "{known}");
        }
    }
}

/// A kubectl that notes what it is told and keeps the kubeconfig that it gets; in the cluster are the bindings in `bindings`.
const KUBECTL: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
echo "$*" >>said
cp "$2" "given-$(wc -l <said)"
case $* in
*" create clusterrolebinding "*) [ ! -e refuses ] || { echo "Unable to connect to the server" >&2; exit 1; } ;;
*" get clusterrolebindings "*) cat bindings ;;
esac
"#;

#[test]
fn it_is_made_again_for_a_user_that_can_be_taken_away() {
    let desk = Desk::new("nodes = 2\n[access]\nadmin-ttl = \"30d\"\n");
    fs::create_dir(desk.path("bin")).unwrap();
    support::put_program(&desk.path("bin/kubectl"), KUBECTL);
    let renew = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command
            .current_dir(desk.dir.path())
            .env_clear()
            .env("HOME", desk.dir.path())
            .env("PATH", desk.path("bin"));
        command.args(["kubeconfig", "--renew"]).args(arguments).output().unwrap()
    };
    let subject_and_days = |file: &str| {
        use base64::Engine;
        let config = desk.view(file);
        let data = config["users"][0]["user"]["client-certificate-data"].as_str().unwrap().to_owned();
        fs::write(desk.path("pem"), base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap();
        let mut verify = tool("openssl", "openssl");
        verify.args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"]);
        run(verify.arg(desk.path(".pibake/ca.crt")).arg(desk.path("pem")));
        let asked = |words: &[&str]| {
            run(tool("openssl", "openssl").arg("x509").args(words).arg("-in").arg(desk.path("pem")))
        };
        let ends_within = |days: u32| {
            let mut openssl = tool("openssl", "openssl");
            openssl
                .args(["x509", "-noout", "-checkend", &(days * 86400).to_string(), "-in"])
                .arg(desk.path("pem"));
            !openssl.output().unwrap().status.success()
        };
        (
            asked(&["-noout", "-subject", "-nameopt", "RFC2253"]).trim().to_owned(),
            ends_within(29),
            ends_within(31),
        )
    };
    // The first one has admin-ttl, too, and is of the group that always has all rights.
    let first = subject_and_days(".pibake/admin.conf");
    assert_eq!(first, ("subject=O=system:masters,CN=kubernetes-admin".to_owned(), false, true));

    // The cluster does not answer: nothing is changed.
    let before = fs::read(desk.path(".pibake/admin.key")).unwrap();
    fs::write(desk.path("refuses"), "").unwrap();
    let refused = renew(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("nothing was changed"));
    assert_eq!(fs::read(desk.path(".pibake/admin.key")).unwrap(), before);
    assert!(!desk.path(".pibake/lent.conf").exists(), "it would be good for some minutes");
    fs::remove_file(desk.path("refuses")).unwrap();
    fs::remove_file(desk.path("said")).unwrap();

    fs::write(
        desk.path("bindings"),
        "clusterrolebinding.rbac.authorization.k8s.io/cluster-admin\nclusterrolebinding.rbac.authorization.k8s.io/pibake-admin-0a0b0c0d\n",
    )
    .unwrap();
    let renewed = renew(&[]);
    assert!(renewed.status.success(), "{}", String::from_utf8_lossy(&renewed.stderr));
    assert_eq!(fs::read(desk.path(".pibake/admin.conf")).unwrap(), renewed.stdout);
    let (subject, soon, later) = subject_and_days(".pibake/admin.conf");
    let user = subject.strip_prefix("subject=CN=").unwrap();
    assert!(user.starts_with("pibake-admin-") && user.len() == 21 && !soon && later, "{subject}");
    let said = fs::read_to_string(desk.path("said")).unwrap();
    let said: Vec<&str> =
        said.lines().map(|line| line.split_once("--request-timeout=10s ").unwrap().1).collect();
    assert_eq!(
        said,
        [
            format!("create clusterrolebinding {user} --clusterrole=cluster-admin --user={user}"),
            "get clusterrolebindings --output=name".to_owned(),
            "delete clusterrolebinding pibake-admin-0a0b0c0d --ignore-not-found".to_owned(),
        ]
    );
    // What asked had all rights, for minutes.
    let (asker, ends, _) = subject_and_days("given-1");
    assert_eq!((asker.as_str(), ends), ("subject=O=system:masters,CN=kubernetes-admin", true));
    assert!(!desk.path(".pibake/lent.conf").exists() && !desk.path(".pibake/admin.pem").exists());
    // A build goes on with it, and so does one after a crash between the two files.
    desk.well(&["build", "--base", "sample", "--node", "2"]);
    assert_eq!(subject_and_days(".pibake/admin.conf").0, subject);
    let pair =
        ["admin.crt", "admin.key"].map(|name| fs::read_to_string(desk.path(".pibake").join(name)).unwrap());
    let pem = desk.path(".pibake/admin.pem");
    fs::write(&pem, pair.concat()).unwrap();
    fs::set_permissions(&pem, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(desk.path(".pibake/admin.key"), &before).unwrap();
    desk.well(&["plan"]);
    assert!(pem.exists(), "plan changes nothing");
    desk.well(&["kubeconfig"]);
    assert!(!pem.exists());
    assert_eq!(fs::read_to_string(desk.path(".pibake/admin.key")).unwrap(), pair[1]);
}

//! Bootstrap tokens: what node-1 removes by itself, with the real kubectl and openssl, and `pibake token`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A control plane with an API server, as far as /usr/lib/pibake/tokens sees it.
struct ControlPlane {
    dir: tempfile::TempDir,
    server: Child,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl ControlPlane {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["nodes", "csrs", "secrets", "etc/kubernetes"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let mut python = support::tool("python3", "python3");
        let api = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/commands/tokens/api.py");
        let mut server = python.arg(api).arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let config = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {{server: \"http://127.0.0.1:{}\"}}\n\
             contexts:\n- name: c\n  context: {{cluster: c, user: c}}\ncurrent-context: c\nusers:\n- name: c\n  user: {{}}\n",
            port.trim()
        );
        fs::write(dir.path().join("etc/kubernetes/admin.conf"), config).unwrap();
        Self { dir, server }
    }

    fn put(&self, folder: &str, name: &str, value: &serde_json::Value) {
        fs::write(self.dir.path().join(folder).join(format!("{name}.json")), value.to_string()).unwrap();
    }

    fn node(&self, name: &str, ready: &str) {
        self.node_of(name, ready, "2026-11-26T12:00:00Z");
    }

    /// A node that was registered at this time.
    fn node_of(&self, name: &str, ready: &str, at: &str) {
        let conditions =
            json!([{ "type": "MemoryPressure", "status": "False" }, { "type": "Ready", "status": ready }]);
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name,
            "creationTimestamp": at }, "status": { "conditions": conditions } });
        self.put("nodes", name, &node);
    }

    fn token(&self, id: &str, description: &str) {
        self.token_of(id, description, "2026-11-26T11:59:59Z");
    }

    /// A token that was made at this time.
    fn token_of(&self, id: &str, description: &str, at: &str) {
        let name = format!("bootstrap-token-{id}");
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": { "name": name, "namespace": "kube-system", "creationTimestamp": at },
            "data": { "token-id": STANDARD.encode(id), "description": STANDARD.encode(description) } });
        self.put("secrets", &name, &secret);
    }

    /// A kubelet's request, made by the real openssl, as a node with this token makes it.
    fn request(&self, id: &str, node: &str, issued: bool) {
        let key = self.dir.path().join("key");
        let mut openssl = support::tool("openssl", "openssl");
        openssl.args([
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
        ]);
        openssl.arg(format!("/O=system:nodes/CN=system:node:{node}")).arg("-keyout").arg(key);
        let pem = support::run(openssl.stderr(Stdio::null()));
        let name = format!("csr-{id}-{node}");
        let mut csr = json!({ "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": { "name": name }, "status": {},
            "spec": { "username": format!("system:bootstrap:{id}"), "request": STANDARD.encode(pem) } });
        if issued {
            csr["status"]["certificate"] = json!(STANDARD.encode("a certificate"));
        }
        self.put("csrs", &name, &csr);
    }

    /// Runs the baked program once; the IDs of the tokens that are left.
    fn look(&self) -> Vec<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/overlays/control-plane/usr/lib/pibake/tokens");
        support::tool_path("kubectl", "kubernetes-client");
        let out = Command::new("sh")
            .args([script, "once"])
            .env("PIBAKE_ROOT", self.dir.path())
            .env("HOME", self.dir.path())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && err.is_empty(), "{err}");
        let names = fs::read_dir(self.dir.path().join("secrets")).unwrap();
        let mut left: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.trim_start_matches("bootstrap-token-").trim_end_matches(".json").to_owned())
            .collect();
        left.sort();
        left
    }
}

#[test]
fn node_1_removes_the_tokens_of_nodes_that_are_ready() {
    let control_plane = ControlPlane::new();
    assert_eq!(control_plane.look(), [""; 0], "a cluster that has none");
    control_plane.node("node-1", "True");
    for (id, node) in [("aaaaaa", "node-2"), ("bbbbbb", "node-3"), ("cccccc", "node-4"), ("dddddd", "node-5")]
    {
        control_plane.token(id, &format!("pibake: {node}"));
    }
    control_plane.token("eeeeee", "pibake: every node");
    control_plane.token("ffffff", "The default bootstrap token generated by 'kubeadm init'.");
    assert_eq!(control_plane.look().len(), 6, "nobody has joined");

    control_plane.node("node-2", "True");
    control_plane.node("node-3", "False");
    control_plane.node("node-33", "True");
    // One that was to be node-5 has a name of its own.
    control_plane.node("attic", "True");
    control_plane.request("dddddd", "attic", true);
    // Not Ready yet, not issued, or not pibake's to remove.
    control_plane.request("bbbbbb", "node-3", true);
    control_plane.request("cccccc", "attic", false);
    control_plane.request("eeeeee", "node-2", true);
    control_plane.request("ffffff", "node-2", true);
    assert_eq!(control_plane.look(), ["bbbbbb", "cccccc", "eeeeee", "ffffff"]);

    control_plane.node("node-3", "True");
    assert_eq!(control_plane.look(), ["cccccc", "eeeeee", "ffffff"]);
    // A token for a node that is written again is not taken for used while the old node is gone.
    fs::remove_file(control_plane.dir.path().join("nodes/node-3.json")).unwrap();
    control_plane.token("gggggg", "pibake: node-3");
    assert_eq!(control_plane.look(), ["cccccc", "eeeeee", "ffffff", "gggggg"]);
}

/// The former self of a card may be Ready when the card's new token is made, and is a member for as long as nobody
/// deletes it.
#[test]
fn a_token_for_a_node_that_is_there_already_stays_until_a_card_comes_with_it() {
    let control_plane = ControlPlane::new();
    control_plane.node_of("node-2", "True", "2026-11-26T12:00:00Z");
    control_plane.token_of("aaaaaa", "pibake: node-2", "2026-11-26T12:00:01Z");
    control_plane.token_of("bbbbbb", "pibake: node-3", "2027-01-01T00:00:00Z");
    control_plane.node_of("node-3", "True", "2026-12-31T23:59:59Z");
    assert_eq!(control_plane.look(), ["aaaaaa", "bbbbbb"]);
    // it takes the former one's place in the list of nodes
    control_plane.request("aaaaaa", "node-2", true);
    assert_eq!(control_plane.look(), ["bbbbbb"]);
    // or is registered as a new one, where the former one was deleted
    control_plane.node_of("node-3", "True", "2027-01-01T00:00:00Z");
    assert_eq!(control_plane.look(), [""; 0]);
}

#[test]
fn an_api_server_that_does_not_answer_changes_nothing() {
    let control_plane = ControlPlane::new();
    control_plane.node("node-2", "True");
    control_plane.token("aaaaaa", "pibake: node-2");
    fs::remove_file(control_plane.dir.path().join("etc/kubernetes/admin.conf")).unwrap();
    assert_eq!(control_plane.look(), ["aaaaaa"]);
}

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(desk.dir.path().join("pibake.toml"), "nodes = 4\n").unwrap();
        desk
    }

    fn pibake(&self, path: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).env_clear().env("PATH", path).env("HOME", self.dir.path());
        command.args(arguments).output().unwrap()
    }

    /// A folder with a kubectl that answers `answer` and notes what it is told.
    fn kubectl(&self, answer: &str, code: i32) -> PathBuf {
        let path = self.dir.path().join("bin");
        fs::create_dir_all(&path).unwrap();
        let said = self.dir.path().join("said");
        let script = format!(
            "#!/bin/sh\nPATH=/usr/bin:/bin\necho \"$*\" >>{said}\ncase $* in *filename=-*) cat >>{said};; esac\n\
             cat <<'E'\n{answer}\nE\n[ {code} = 0 ] || echo 'Unable to connect to the server' >&2\nexit {code}\n",
            said = said.display()
        );
        support::put_program(&path.join("kubectl"), script);
        path
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }

    fn tokens(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join(".pibake/token")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn tokens_are_listed_renewed_and_taken_back() {
    let desk = Desk::new();
    let nowhere = desk.dir.path().join("nowhere");
    let none = desk.pibake(&nowhere, &["token"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(!desk.dir.path().join(".pibake").exists());
    out(&desk.pibake(&nowhere, &["build", "--base", "sample", "--node", "1"]));
    let first = desk.tokens();
    assert_eq!(first.len(), 250);

    // Without kubectl it is said what to run.
    let listed = desk.pibake(&nowhere, &["token", "list"]);
    assert!(out(&listed).contains(&format!("node-2  {}  not known", &first[1][..6])), "{}", out(&listed));
    for token in &first {
        assert!(!out(&listed).contains(&token[7..]), "only the public part is shown");
    }
    assert!(String::from_utf8_lossy(&listed.stderr).contains("running kubectl"));
    let renewed = out(&desk.pibake(&nowhere, &["token", "new", "3"]));
    let second = desk.tokens();
    assert_ne!(second[2], first[2]);
    assert_eq!((&second[..2], &second[3..]), (&first[..2], &first[3..]));
    assert!(renewed.contains(&format!("sudo kubeadm token delete {}\n", &first[2][..6])), "{renewed}");
    let create =
        format!("sudo kubeadm token create {} --ttl 2160h --description 'pibake: node-3'\n", second[2]);
    assert!(renewed.contains(&create) && renewed.contains("ssh ubuntu@10.0.0.1"), "{renewed}");

    // With one that reaches the cluster it is done.
    let listing = json!({ "items": [{ "data": {
        "token-id": STANDARD.encode(&second[1][..6]), "expiration": STANDARD.encode("2027-01-01T00:00:00Z") } }] });
    let path = desk.kubectl(&listing.to_string(), 0);
    let listed = out(&desk.pibake(&path, &["token"]));
    assert!(listed.contains("until 2027-01-01T00:00:00Z") && listed.contains("no: it was used"), "{listed}");
    let renewed = out(&desk.pibake(&path, &["token", "new", "node-3"]));
    assert!(!renewed.contains("kubeadm"), "{renewed}");
    let (said, third) = (desk.said(), desk.tokens());
    assert!(
        said.contains(&format!("delete --ignore-not-found secret/bootstrap-token-{}\n", &second[2][..6])),
        "{said}"
    );
    let manifest = said.lines().find(|line| line.starts_with('{')).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    assert_eq!(manifest["stringData"]["token-secret"], third[2][7..]);
    assert_eq!(manifest["metadata"]["name"], format!("bootstrap-token-{}", &third[2][..6]));
    let end = manifest["stringData"]["expiration"].as_str().unwrap();
    assert!(end.ends_with('Z') && end.len() == 20, "{end}");
    for line in said.lines().filter(|line| !line.starts_with('{')) {
        assert!(!line.contains(&third[2][7..]), "a list of processes shows it: {line}");
    }

    let revoked = out(&desk.pibake(&path, &["token", "revoke", "2"]));
    assert!(revoked.contains("is taken back") && !revoked.contains("kubeadm"), "{revoked}");
    assert!(desk.said().contains(&format!("secret/bootstrap-token-{}\n", &first[1][..6])));
    assert_ne!(desk.tokens()[1], first[1], "and a card of it is made with another");

    // A cluster that does not answer.
    let path = desk.kubectl("", 1);
    let renewed = out(&desk.pibake(&path, &["token", "new", "4", "--json"]));
    let value: serde_json::Value = serde_json::from_str(&renewed).unwrap();
    assert_eq!((&value["done"], value["commands"].as_array().unwrap().len()), (&json!(false), 2));
    for (node, words) in [("1", "control plane"), ("9", "there is no node 9")] {
        let refused = desk.pibake(&path, &["token", "new", node]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(words));
    }
}

/// What it prints may come from whoever answers in the API server's place.
#[test]
fn what_kubectl_says_is_shown_and_not_obeyed() {
    let desk = Desk::new();
    out(&desk.pibake(&desk.dir.path().join("nowhere"), &["build", "--base", "sample", "--node", "1"]));
    let bin = desk.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let says = "#!/bin/sh\nprintf 'error: \\033]0;owned\\007\\n' >&2\nexit 1\n";
    support::put_program(&bin.join("kubectl"), says);
    for action in ["new", "revoke"] {
        let said = out(&desk.pibake(&bin, &["token", action, "2"]));
        assert!(said.contains(r"kubectl: error: \x1b]0;owned\x07") && !said.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn one_token_for_all_is_still_read() {
    let desk = Desk::new();
    let nowhere = desk.dir.path().join("nowhere");
    out(&desk.pibake(&nowhere, &["build", "--base", "sample", "--node", "1"]));
    // As pibake 0.1 wrote it before.
    let state = desk.dir.path().join(".pibake");
    fs::write(state.join("token"), "abcdef.0123456789abcdef\n").unwrap();
    let label = fs::read_to_string(state.join("identity.toml")).unwrap();
    let old: String = label
        .lines()
        .take_while(|line| !line.starts_with("[made]"))
        .filter(|line| !line.starts_with("description"))
        .map(|line| format!("{}\n", line.replace("format = 2", "format = 1")))
        .collect();
    fs::write(state.join("identity.toml"), old).unwrap();
    out(&desk.pibake(&nowhere, &["build", "--base", "sample", "--nodes", "5"]));
    let baked = |node: &str| {
        out(&desk.pibake(&nowhere, &["inspect", &format!("images/{node}.img"), "/etc/pibake/kubeadm.yaml"]))
    };
    for node in ["node-2", "node-5"] {
        assert!(baked(node).contains("token: \"abcdef.0123456789abcdef\""), "{}", baked(node));
    }
    assert_eq!(baked("node-1").matches("token: \"").count(), 1);
    assert!(baked("node-1").contains("pibake: every node"), "it must outlive the first who joins");
    assert!(fs::read_to_string(state.join("identity.toml")).unwrap().contains("format = 2"));
    assert!(out(&desk.pibake(&nowhere, &["token"])).contains("share one token"));
    let renewed = out(&desk.pibake(&nowhere, &["token", "--nodes", "5", "new", "5"]));
    assert!(renewed.contains("token create") && !renewed.contains("token delete"), "{renewed}");
    let tokens = desk.tokens();
    assert!(tokens[4] != tokens[3] && tokens[3] == "abcdef.0123456789abcdef");
}

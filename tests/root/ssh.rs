//! `pibake ssh` and `pibake status` against the real sshd, with the host keys that are on the cards: each run has a
//! network of its own, in which loopback has the nodes' addresses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use support::{put_program, run, tool, tool_path};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    };
    vec![
        trial("ssh: the first login asks nothing", first_login),
        trial("ssh: another host key is refused", another_host_key),
        trial("ssh: status tells of each node", status),
        trial("ssh: a copy of etcd is fetched and verified", backup),
        trial("ssh: a node is removed, or stays what it was", remove),
        trial(
            "ssh: a copy of etcd is fetched from another node than node-1, and decrypted",
            backup_from_worker,
        ),
    ]
}

/// Two nodes: node-1 is also reached at 192.168.1.77:2222, as from the WiFi.
const SCRIPT: &str = r#"set -eu
ip link set lo up
for address in 10.0.0.1 10.0.0.2 192.168.1.77; do ip address add $address/32 dev lo; done
mount --bind passwd /etc/passwd
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount -t tmpfs tmpfs /var/log
mkdir /var/log/pibake
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/pibake/snapshots /var/lib/pibake/copies
[ ! -d copies ] || cp copies/* /var/lib/pibake/copies/
for node in $ON; do
    unshare --mount sh -euc '
        mount --bind "logs-$1" /var/log/pibake
        [ "$1" = 1 ] || mount -t tmpfs tmpfs home/.kube
        exec "$SSHD" -f "$PWD/sshd-$1" -E "$PWD/log-$1"
    ' sh $node
done
"$@"
"#;

pub struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(lab.path("pibake.toml"), "nodes = 2\n").unwrap();
        run(Command::new(support::pibake())
            .current_dir(lab.dir.path())
            .env("XDG_CACHE_HOME", lab.path("cache"))
            .args(["build", "--base", "sample", "--quiet"]));
        let home = lab.path("home");
        for folder in ["home/.kube", "client", "bin", "logs-1", "logs-2"] {
            fs::create_dir_all(lab.path(folder)).unwrap();
        }
        fs::write(home.join(".kube/config"), "kind: Config\n").unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        // Whom node-1's cloud-init makes; with root's number, as sshd has nobody else's rights here.
        fs::write(lab.path("passwd"), format!("{passwd}ubuntu:x:0:0::{}:/bin/sh\n", home.display())).unwrap();
        fs::copy(lab.path(".pibake/ssh_key.pub"), lab.path("authorized")).unwrap();
        for node in [1, 2] {
            let key = lab.baked(node, "/etc/ssh/ssh_host_ed25519_key");
            lab.put_key(node, &key);
            let also = if node == 1 { "ListenAddress 192.168.1.77:2222\n" } else { "" };
            let config = format!(
                "ListenAddress 10.0.0.{node}:22\n{also}HostKey {host}\nPidFile none\nAuthorizedKeysFile {keys}\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nLogLevel VERBOSE\n\
                 SetEnv PATH={bin}:/usr/bin:/bin NODE={node}\n",
                host = lab.path(&format!("host-{node}")).display(),
                keys = lab.path("authorized").display(),
                bin = lab.path("bin").display(),
            );
            fs::write(lab.path(&format!("sshd-{node}")), config).unwrap();
        }
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn baked(&self, node: u16, path: &str) -> String {
        run(Command::new(support::pibake())
            .arg("inspect")
            .arg(self.path(&format!("images/node-{node}.img")))
            .arg(path))
    }

    pub fn put_key(&self, node: u16, key: &str) {
        let file = self.path(&format!("host-{node}"));
        fs::write(&file, key).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs pibake while these nodes are on.
    pub fn pibake(&self, on: &str, arguments: &[&str]) -> Output {
        self.run(on, &support::pibake(), arguments)
    }

    /// Runs a program while these nodes are on.
    fn run(&self, on: &str, program: &Path, arguments: &[&str]) -> Output {
        tool_path("ip", "iproute2");
        let sshd = tool_path("sshd", "openssh-server");
        tool_path("ssh", "openssh-client");
        let mut command = tool("unshare", "util-linux");
        command.args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            SCRIPT,
            "sh",
        ]);
        command.arg(program).args(arguments).current_dir(self.dir.path());
        command.env("ON", on).env("SSHD", sshd).env("HOME", self.path("client")).env_remove("SSH_AUTH_SOCK");
        command.stdin(Stdio::null()).output().unwrap()
    }

    pub fn log(&self, node: u16) -> String {
        fs::read_to_string(self.path(&format!("log-{node}"))).unwrap_or_default()
    }
}

pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn first_login() {
    let lab = Lab::new();
    // What sshd has is what is known.
    let public = lab.baked(1, "/etc/ssh/ssh_host_ed25519_key.pub");
    let of_private = run(tool("ssh-keygen", "openssh-client").arg("-yf").arg(lab.path("host-1")));
    assert_eq!(
        of_private.split(' ').take(2).collect::<Vec<_>>(),
        public.split(' ').take(2).collect::<Vec<_>>()
    );
    assert_ne!(public, lab.baked(2, "/etc/ssh/ssh_host_ed25519_key.pub"));

    let direct = said(&lab.pibake("1 2", &["-q", "ssh", "node-1", "--", "echo", "on $NODE"]));
    assert_eq!(direct, (Some(0), "on 1\n".into(), String::new()));
    let code = said(&lab.pibake("1", &["-q", "ssh", "1", "--", "exit 7"]));
    assert_eq!(code.0, Some(7), "{code:?}");
    assert_eq!(lab.log(1).matches("Accepted publickey").count(), 2);

    let jumped = said(&lab.pibake("1 2", &["-q", "ssh", "2", "--", "echo", "on $NODE"]));
    assert_eq!(jumped, (Some(0), "on 2\n".into(), String::new()));
    assert_eq!(lab.log(1).matches("Accepted publickey").count(), 3, "by way of node-1: {}", lab.log(1));

    for (node, answer) in [("1", "on 1\n"), ("2", "on 2\n")] {
        let via = ["-q", "ssh", node, "--via", "192.168.1.77:2222", "--", "echo", "on $NODE"];
        assert_eq!(said(&lab.pibake("1 2", &via)), (Some(0), answer.into(), String::new()));
    }
    // Without pibake, by the file alone.
    let plain = "ssh -F .pibake/ssh_config node-2 'echo on $NODE'";
    let out = lab.pibake("1 2", &["-q", "ssh", "1", "--", "true"]);
    assert!(out.status.success());
    let out = lab.run("1 2", Path::new("sh"), &["-c", plain]);
    assert_eq!(said(&out), (Some(0), "on 2\n".into(), String::new()));
}

fn another_host_key() {
    let lab = Lab::new();
    let keys = [lab.baked(1, "/etc/ssh/ssh_host_ed25519_key"), lab.baked(2, "/etc/ssh/ssh_host_ed25519_key")];
    // Each other's: known, and not for this one.
    lab.put_key(1, &keys[1]);
    let (code, out, err) = said(&lab.pibake("1", &["-q", "ssh", "1", "--", "echo", "in"]));
    assert_eq!((code, out.as_str()), (Some(255), ""), "{err}");
    assert!(err.contains("Host key verification failed"), "{err}");
    // A card that is made again has the key that it had.
    lab.put_key(1, &keys[0]);
    run(Command::new(support::pibake())
        .current_dir(lab.dir.path())
        .env("XDG_CACHE_HOME", lab.path("cache"))
        .args(["build", "--base", "sample", "--quiet", "--node", "2"]));
    assert_eq!(lab.baked(2, "/etc/ssh/ssh_host_ed25519_key"), keys[1]);
}

fn status() {
    let lab = Lab::new();
    for node in [1, 2] {
        fs::write(
            lab.path(&format!("logs-{node}/status")),
            format!("format=1\nnode=node-{node}\nstate=done\nname=tidy\nmessage=node-{node} is ready\n"),
        )
        .unwrap();
        fs::write(
            lab.path(&format!("logs-{node}/certificates")),
            "format=1\nstate=ok\nmessage=\ncertificate=/a 2029-01-02T03:04:05Z\ncertificate=/b 2028-01-02T03:04:05Z\n",
        )
        .unwrap();
    }
    let nodes = |second: &str| {
        let node = |name: &str, ready: &str| {
            serde_json::json!({ "metadata": { "name": name }, "status": {
                "nodeInfo": { "kubeletVersion": "v1.37.1" }, "conditions": [{ "type": "Ready", "status": ready }] } })
        };
        let list = serde_json::json!({ "items": [node("node-1", "True"), node("node-2", second)] });
        put_program(&lab.path("bin/kubectl"), format!("#!/bin/sh\ncat <<'E'\n{list}\nE\n"));
    };
    nodes("True");
    let (code, out, err) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert_eq!(code, Some(0), "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    for (line, name) in lines[1..].iter().zip(["node-1", "node-2"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..6], [name, "done", "yes", "v1.37.1", "until", "2028-01-02"], "{out}");
        assert!(line.ends_with("GiB") && !line.contains('?'), "{line}");
    }

    // A card that is about to die.
    fs::write(
        lab.path("logs-1/card"),
        "format=1\nnode=node-1\nstate=failing\nerrors=3\nmessage=the kernel had 3 errors with mmcblk0\n",
    )
    .unwrap();
    let (code, out, _) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert!(code == Some(1) && out.contains("node-1: card: the kernel had 3 errors with mmcblk0\n"), "{out}");
    fs::remove_file(lab.path("logs-1/card")).unwrap();

    nodes("False");
    fs::write(
        lab.path("logs-2/certificates"),
        "format=1\nstate=failed\nmessage=nothing was changed: \u{1b}[31mno room\ncertificate=/a 2028-01-02T03:04:05Z\n",
    )
    .unwrap();
    let (code, out, _) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("node-2: it is not Ready: kubectl describe node node-2\n"), "{out}");
    assert!(out.contains("node-2: certificates: nothing was changed: ") && !out.contains('\u{1b}'), "{out}");

    // One is off.
    let (code, out, _) = said(&lab.pibake("1", &["-q", "status", "--json"]));
    assert_eq!(code, Some(1));
    let document: Value = serde_json::from_str(&out).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    assert_eq!((&nodes[0]["reached"], &nodes[1]["reached"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(nodes[1]["ready"], false, "the cluster knows of it");
    let advice = nodes[1]["advice"][0].as_str().unwrap();
    assert!(advice.starts_with("it cannot be reached by SSH: "), "{advice}");
    assert!(nodes[0]["disk_bytes"].as_u64().unwrap() > nodes[0]["disk_free_bytes"].as_u64().unwrap());
    assert!(
        nodes[0]["memory_bytes"].as_u64().unwrap() > nodes[0]["memory_available_bytes"].as_u64().unwrap()
    );
}

fn backup() {
    let lab = Lab::new();
    put_program(&lab.path("bin/sudo"), "#!/bin/sh\n[ \"$1\" = -n ] && shift && exec \"$@\"\n");
    let snapshots = |script: &str| {
        put_program(
            &lab.path("bin/systemctl"),
            format!("#!/bin/sh\ncd /var/lib/pibake/snapshots\n{script}\n"),
        )
    };
    snapshots(
        "echo older >20261125T000000Z.tar; head -c 3000000 /dev/zero | tr '\\0' x >20261126T000000Z.tar",
    );
    let run = |arguments: &[&str]| said(&lab.pibake("1", arguments));
    let (code, out, err) = run(&["-q", "backup"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "backups/20261126T000000Z has a copy of etcd (3000000 bytes) and of .pibake\n"),
        "{err}"
    );
    let copy = lab.path("backups/20261126T000000Z");
    assert_eq!(fs::read(copy.join("etcd.tar")).unwrap(), vec![b'x'; 3_000_000]);
    for name in ["ca.key", "identity.toml", "host_keys"] {
        let [kept, copied] =
            [lab.path(".pibake"), copy.join("pibake")].map(|dir| fs::read(dir.join(name)).unwrap());
        assert_eq!(kept, copied, "{name}");
        assert_eq!(fs::metadata(copy.join("pibake").join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
    // Elsewhere, and once more in the same second.
    for _ in 0..2 {
        let (code, out, err) = run(&["-q", "backup", "--to", "safe/place", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&document["path"], &document["etcd_bytes"]),
            (&"safe/place/20261126T000000Z".into(), &3_000_000.into())
        );
    }
    // What does not come whole is not there.
    put_program(&lab.path("bin/cat"), "#!/bin/sh\nexec head -c 1000000 \"$1\"\n");
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(code == Some(3) && err.contains("ended in the middle"), "{code:?} {err}");
    put_program(&lab.path("bin/cat"), "#!/bin/sh\ntr x y <\"$1\"\n");
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(code == Some(3) && err.contains("is not what node-1 has"), "{code:?} {err}");
    assert_eq!(fs::read_dir(lab.path("half")).unwrap().count(), 0);
    // No copy, and why.
    snapshots("echo 'Job for pibake-snapshot.service failed' >&2; exit 1");
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(
        code == Some(1) && err.contains("node-1: Job for pibake-snapshot.service failed"),
        "{code:?} {err}"
    );
    put_program(&lab.path("bin/sudo"), "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n");
    let (code, _, err) = run(&["-q", "backup"]);
    assert!(code == Some(1) && err.contains("sudo: a password is required"), "{code:?} {err}");
}

/// Encrypted under the key that is on node-1's card, by gpg.
fn backup_from_worker() {
    let lab = Lab::new();
    put_program(&lab.path("bin/sudo"), "#!/bin/sh\n[ \"$1\" = -n ] && shift && exec \"$@\"\n");
    fs::create_dir(lab.path("copies")).unwrap();
    fs::write(lab.path("key"), lab.baked(1, "/etc/pibake/backup.key")).unwrap();
    fs::write(lab.path("etcd.tar"), vec![b'x'; 3_000_000]).unwrap();
    let sealed = lab.path("copies/20261126T000000Z.tar.gpg");
    let mut gpg = tool("gpg", "gpg");
    gpg.args(["--batch", "--quiet", "--no-autostart", "--pinentry-mode", "loopback", "--homedir"]);
    gpg.arg(lab.path("client")).args(["--s2k-count", "65536", "--passphrase-file"]).arg(lab.path("key"));
    run(gpg.arg("--output").arg(&sealed).arg("--symmetric").arg(lab.path("etcd.tar")));
    // node-1, the way to the others, is dead.
    let run = |arguments: &[&str]| said(&lab.pibake("2", arguments));
    let (code, out, err) = run(&["-q", "backup", "--from", "2"]);
    assert!(code == Some(1) && out.is_empty(), "{code:?} {out} {err}");
    let (code, out, err) = run(&["-q", "backup", "--from", "2", "--direct"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "backups/20261126T000000Z has a copy of etcd (3000000 bytes) and of .pibake\n"),
        "{err}"
    );
    let copy = lab.path("backups/20261126T000000Z");
    assert_eq!(fs::read(copy.join("etcd.tar")).unwrap(), vec![b'x'; 3_000_000]);
    let mut names: Vec<_> = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["etcd.tar", "pibake"]);
    // Changed on the way to the card, and so not what .pibake's key has encrypted.
    let mut bytes = fs::read(&sealed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    let (code, _, err) = run(&["-q", "backup", "--from", "node-2", "--direct", "--to", "other"]);
    assert!(code == Some(3) && err.contains("is not a whole copy of etcd"), "{code:?} {err}");
    assert_eq!(fs::read_dir(lab.path("other")).unwrap().count(), 0);
}

fn remove() {
    let lab = Lab::new();
    put_program(&lab.path("bin/sudo"), "#!/bin/sh\n[ \"$1\" = -n ] && shift && exec \"$@\"\n");
    let record = |then: &str| {
        format!("#!/bin/sh\necho \"$NODE ${{0##*/}} $*\" >>'{}'\n{then}\n", lab.path("calls").display())
    };
    let program = |name: &str, then: &str| put_program(&lab.path("bin").join(name), record(then));
    program("kubectl", "");
    program("kubeadm", "");
    program("systemctl", "");
    let deeds = |on: &str, arguments: &[&str]| {
        fs::write(lab.path("calls"), "").unwrap();
        let (code, out, err) = said(&lab.pibake(on, arguments));
        let calls = fs::read_to_string(lab.path("calls")).unwrap();
        let calls = calls.replace("--kubeconfig /etc/kubernetes/admin.conf ", "");
        let calls: Vec<String> =
            calls.lines().filter(|call| !call.contains(" get ")).map(str::to_owned).collect();
        (code, out + &err, calls)
    };
    let token = || fs::read_to_string(lab.path(".pibake/token")).unwrap().lines().nth(1).unwrap().to_owned();
    let before = token();
    let drain = "1 kubectl drain node-2 --ignore-daemonsets --delete-emptydir-data --force \
                 --skip-wait-for-delete-timeout=60 --timeout=300s";
    let delete = "1 kubectl delete node node-2 --ignore-not-found";
    let revoke = |token: &str| {
        format!(
            "1 kubectl --namespace kube-system delete secret bootstrap-token-{} --ignore-not-found",
            &token[..6]
        )
    };

    // Pods that cannot be moved keep it where it is.
    program("kubectl", "case $* in *drain*) echo 'error: a disruption budget' >&2; exit 1 ;; esac");
    let (code, text, calls) = deeds("1 2", &["-q", "remove", "--node", "2"]);
    assert!(
        code == Some(1) && text.contains("a disruption budget. It is still part of the cluster"),
        "{text}"
    );
    assert_eq!((calls, token()), (vec![drain.to_owned()], before.clone()));
    // The control plane stays, and without it nothing is done.
    let (code, text, calls) = deeds("1 2", &["-q", "remove", "--node", "1"]);
    assert!(code == Some(2) && text.contains("is the control plane") && calls.is_empty(), "{text}");
    let (code, text, calls) = deeds("2", &["-q", "remove", "--node", "2"]);
    assert!(code == Some(1) && text.contains("nothing was changed") && calls.is_empty(), "{text}");

    program("kubectl", "");
    let (code, text, calls) = deeds("1 2", &["-q", "remove", "--node", "node-2"]);
    assert!(code == Some(0) && text.starts_with("node-2 is no longer part of the cluster\n"), "{text}");
    assert!(text.contains("set nodes = 1"), "{text}");
    let reset = [
        "2 systemctl disable --now pibake-copies.timer pibake-certificates.timer pibake-member.timer",
        "2 kubeadm reset --force",
        "2 systemctl disable --now kubelet",
    ];
    let mut expected = vec![drain.to_owned()];
    expected.extend(reset.map(str::to_owned));
    expected.extend([delete.to_owned(), revoke(&before)]);
    assert_eq!(calls, expected);
    assert_ne!(token(), before);

    // One that is dead.
    let before = token();
    let (code, text, calls) = deeds("1", &["-q", "remove", "--node", "2", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["drained"], &document["reset"]), (&true.into(), &false.into()));
    assert!(document["advice"][0].as_str().unwrap().contains("could not be reset"), "{document}");
    assert_eq!(calls, [drain.to_owned(), delete.to_owned(), revoke(&before)]);
}

//! `pibake ssh`, and what else talks to nodes, against the real sshd, with the host keys that are on the cards: each run has a
//! network of its own, in which loopback has the nodes' addresses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use support::{put_program, run, tool, tool_path};

mod backup;
mod remove;
mod status;

/// A test that fails by its panic alone.
pub fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        test();
        Ok(())
    })
}

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ssh: the first login asks nothing", first_login),
        trial("ssh: another host key is refused", another_host_key),
        trial("ssh: status tells of each node", status::status),
        trial("ssh: status waits for no node that does not answer", status::silent),
        trial("ssh: status asks node-1 alone for the cluster", status::forged),
        trial("ssh: a copy of etcd is fetched and verified", backup::backup),
        trial(
            "ssh: a copy of etcd is fetched from another node than node-1, and decrypted",
            backup::from_worker,
        ),
        trial("ssh: a backup takes nothing away, whatever the node calls it", backup::names),
        trial("ssh: of a backup that is ended nothing stays", backup::ended),
        trial("ssh: a node is removed, or stays what it was", remove::remove),
        trial("ssh: a removal that is ended says what stands", remove::ended),
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

    /// Root's rights are there for the asking, as pibake's login user has them.
    fn put_sudo(&self) {
        put_program(&self.path("bin/sudo"), "#!/bin/sh\n[ \"$1\" = -n ] && shift && exec \"$@\"\n");
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

    /// Runs pibake while these nodes are on, until the file `begun` is there: then it gets this signal. INT comes as from
    /// a terminal, to every ssh of its as well; TERM to pibake alone.
    pub fn interrupted(&self, on: &str, arguments: &[&str], begun: &str, signal: &str) -> Output {
        const WAIT: &str = r#"pibake=$1 begun=$2 signal=$3
shift 3
env --default-signal=INT setsid "$pibake" "$@" &
pid=$!
count=0
until [ -e "$begun" ] || [ "$count" = 1200 ]; do
    sleep 0.05
    count=$((count + 1))
done
case $signal in
INT) kill -INT "-$pid" ;;
TERM) kill -TERM "$pid" ;;
esac
wait "$pid"
"#;
        let (pibake, begun) = (support::pibake(), self.path(begun));
        let _ = fs::remove_file(&begun);
        let own = ["-c", WAIT, "sh", pibake.to_str().unwrap(), begun.to_str().unwrap(), signal];
        self.run(on, Path::new("sh"), &[&own[..], arguments].concat())
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

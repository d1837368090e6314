//! Copies of etcd: the baked program with a real etcd and its own etcdctl.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use support::{put_program, run, tool, tool_path};

use super::machine::{Machine, Ran};

/// Stands in for crictl with etcd's container: what is executed in it sees the node's folders, and nothing but etcd's
/// own programs, of which this version has no etcdutl.
const CRICTL: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
case $* in
"ps -q --label io.kubernetes.pod.name=etcd-node-1 --label io.kubernetes.pod.namespace=kube-system")
	[ -e "$STATE/off" ] || echo 0123456789abcdef
	;;
"exec 0123456789abcdef etcdctl "*)
	shift 3
	[ ! -e "$STATE/torn" ] || case "$1 $2" in "snapshot status") printf x | dd of="$PIBAKE_ROOT$3" bs=1 seek=9000 conv=notrunc 2>/dev/null ;; esac
	for word; do
		shift
		case $word in
		https://127.0.0.1:2379 | --endpoints=https://127.0.0.1:2379) word=--endpoints=https://127.0.0.1:$(cat "$STATE/port") ;;
		/var/lib/etcd/*) word=$PIBAKE_ROOT$word ;;
		--*=/etc/*) word=${word%%=*}=$PIBAKE_ROOT${word#*=} ;;
		esac
		set -- "$@" "$word"
	done
	exec etcdctl "$@"
	;;
"exec 0123456789abcdef "*)
	echo "exec failed: $3: executable file not found in \$PATH" >&2
	exit 1
	;;
esac
"#;

struct Etcd {
    machine: Machine,
    server: Child,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Etcd {
    fn new() -> Self {
        let machine = Machine::control_plane(3650, 365);
        machine.shell("openssl genrsa -out $K/pki/sa.key 2048 2>/dev/null; openssl rsa -in $K/pki/sa.key -pubout -out $K/pki/sa.pub 2>/dev/null");
        for real in ["cp", "mv", "rm"] {
            fs::remove_file(machine.path("bin").join(real)).unwrap();
        }
        fs::remove_file(machine.path("bin/crictl")).unwrap();
        put_program(&machine.path("bin/crictl"), CRICTL);
        // The program and its library as they lie on a node.
        let copy = "mkdir -p $D/program; cp -r overlays/common/usr/lib/pibake/. overlays/control-plane/usr/lib/pibake/. $D/program/";
        machine.shell(&format!("cd '{}'; {copy}", env!("CARGO_MANIFEST_DIR")));
        let ports = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
        let [client, peer] = ports.map(|listener| listener.local_addr().unwrap().port());
        machine.state("port", &client.to_string());
        let pki = machine.path("root/etc/kubernetes/pki/etcd");
        let (client, peer) = (format!("https://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut etcd = tool("etcd", "etcd-server");
        etcd.arg("--data-dir").arg(machine.path("root/var/lib/etcd")).args([
            "--name",
            "node-1",
            "--client-cert-auth",
        ]);
        for (flag, file) in
            [("--cert-file", "server.crt"), ("--key-file", "server.key"), ("--trusted-ca-file", "ca.crt")]
        {
            etcd.arg(flag).arg(pki.join(file));
        }
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("node-1={peer}")]);
        let log = fs::File::create(machine.path("etcd.log")).unwrap();
        etcd.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let server = etcd.spawn().unwrap();
        let etcd = Self { machine, server };
        let begun = std::time::Instant::now();
        while !etcd.etcdctl(&["put", "/registry/x", "in the cluster"]).output().unwrap().status.success() {
            let log = fs::read_to_string(etcd.machine.path("etcd.log")).unwrap();
            assert!(begun.elapsed().as_secs() < 120, "{log}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        etcd
    }

    fn etcdctl(&self, arguments: &[&str]) -> Command {
        let pki = self.machine.path("root/etc/kubernetes/pki/etcd");
        let mut command = tool("etcdctl", "etcd-client");
        command
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints=https://127.0.0.1:{}", self.machine.read_state("port")));
        for (flag, file) in [("--cert", "server.crt"), ("--key", "server.key"), ("--cacert", "ca.crt")] {
            command.arg(flag).arg(pki.join(file));
        }
        command.args(arguments);
        command
    }

    fn copy(&self) -> Ran {
        tool_path("etcdctl", "etcd-client");
        self.machine.run_program(&self.machine.path("program/snapshot"))
    }

    fn copies(&self) -> Vec<PathBuf> {
        self.files("snapshots")
    }

    fn sealed(&self) -> Vec<PathBuf> {
        self.files("sealed")
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let dir = self.machine.path("root/var/lib/pibake").join(folder);
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_copy_is_whole_and_the_newest_are_kept() {
    let etcd = Etcd::new();
    etcd.machine.put("etc/pibake/backup.key", &format!("{}\n", "5e".repeat(32)));
    let ran = etcd.copy();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let copies = etcd.copies();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&copies[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // etcd makes a database of it again, with what was in it.
    let into = etcd.machine.path("unpacked");
    fs::create_dir(&into).unwrap();
    run(tool("tar", "tar").arg("-C").arg(&into).arg("-xf").arg(&copies[0]));
    for file in ["pki/sa.key", "pki/etcd/ca.key", "pki/front-proxy-ca.key"] {
        assert_eq!(
            fs::read_to_string(into.join(file)).unwrap(),
            etcd.machine.read(&format!("etc/kubernetes/{file}"))
        );
    }
    assert!(!into.join("pki/ca.key").exists(), "that one is in .pibake");
    let about = fs::read_to_string(into.join("about")).unwrap();
    assert!(about.contains("node=node-1\n") && about.contains("\nrevision=2\n"), "{about}");
    run(tool("etcdctl", "etcd-client")
        .env("ETCDCTL_API", "3")
        .arg("--data-dir")
        .arg(into.join("data"))
        .args(["snapshot", "restore"])
        .arg(into.join("etcd.db")));
    assert!(into.join("data/member/snap/db").exists());
    assert!(!etcd.machine.exists("var/lib/etcd/pibake-snapshot.db"));
    // The same, encrypted.
    let sealed = etcd.sealed();
    assert_eq!(sealed.len(), 1, "{sealed:?}");
    let name = format!("{}.gpg", copies[0].file_name().unwrap().to_str().unwrap());
    assert_eq!(sealed[0].file_name().unwrap().to_str(), Some(name.as_str()));
    let mut gpg = tool("gpg", "gpg");
    gpg.args(["--batch", "--quiet", "--no-autostart", "--pinentry-mode", "loopback", "--homedir"]).arg(&into);
    gpg.arg("--passphrase-file").arg(etcd.machine.path("root/etc/pibake/backup.key")).arg("--decrypt");
    let out = gpg.arg(&sealed[0]).output().unwrap();
    assert!(out.stdout == fs::read(&copies[0]).unwrap(), "{}", String::from_utf8_lossy(&out.stderr));
    // A week of them. A copy is named by its second: the first one is of another than the next.
    let first = copies[0].with_file_name("20200120T000000Z.tar");
    fs::rename(&copies[0], &first).unwrap();
    for day in 10..20 {
        fs::write(first.with_file_name(format!("202001{day}T000000Z.tar")), "old").unwrap();
    }
    assert_eq!(etcd.copy().code, Some(0));
    let kept = etcd.copies();
    assert_eq!(kept.len(), 7, "{kept:?}");
    let newest = etcd.sealed();
    assert!(
        newest.len() == 1
            && newest[0].to_str().unwrap().contains(kept[6].file_name().unwrap().to_str().unwrap())
    );
    assert!(kept.contains(&first) && kept[0].ends_with("20200115T000000Z.tar"), "{kept:?}");
}

#[test]
fn what_is_not_whole_is_not_kept() {
    let etcd = Etcd::new();
    assert_eq!(etcd.copy().code, Some(0));
    let good = etcd.copies();
    for (state, why) in [
        ("torn", "what etcd handed out is not whole"),
        ("off", "etcd does not run"),
        ("full", "not enough free space"),
    ] {
        etcd.machine.state(state, "");
        if state == "full" {
            put_program(
                &etcd.machine.path("bin/df"),
                "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available'\necho '/dev/x 100 90 10'\n",
            );
        }
        let ran = etcd.copy();
        assert!(ran.code == Some(1) && ran.said.contains(why), "{state}: {}", ran.said);
        assert_eq!(etcd.copies(), good, "{state}");
        assert!(!etcd.machine.exists("var/lib/etcd/pibake-snapshot.db"), "{state}");
        etcd.machine.unset_state(state);
    }
    fs::remove_file(etcd.machine.path("bin/df")).unwrap();
    // What cannot be encrypted is kept here, and told.
    etcd.machine.put("etc/pibake/backup.key", "key\n");
    put_program(&etcd.machine.path("bin/gpg"), "#!/bin/sh\nexit 2\n");
    let ran = etcd.copy();
    assert!(ran.code == Some(1) && ran.said.contains("it cannot be encrypted"), "{}", ran.said);
    assert!(etcd.sealed().is_empty());
    let good = etcd.copies();
    // etcd that hands nothing out.
    fs::write(etcd.machine.path("root/etc/kubernetes/pki/etcd/server.key"), "torn").unwrap();
    let ran = etcd.copy();
    assert!(ran.code == Some(1) && ran.said.contains("etcd does not hand one out"), "{}", ran.said);
    assert_eq!(etcd.copies(), good);
}

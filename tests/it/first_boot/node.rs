//! A scratch node: a folder that holds what a card would hold, and stand-ins for the commands
//! that first boot runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::pki;
use support::{NO_TRUSTED_CAS, walk};

const RECORDER: &str = include_str!("recorder.sh");

/// All that this machine has to write is no business of the scratch node's. Without a trace, since it
/// is called all the time.
const SYNC: &str = r#"#!/bin/sh
unsynced=$STATE/unsynced
if [ $# = 0 ]; then
	rm -f "$unsynced"
	exit
fi
/bin/sync "$@" || exit
[ -e "$unsynced" ] || exit 0
for file; do
	while read -r line; do
		[ "$line" = "$file" ] || continue
		grep -vxF "$file" "$unsynced" >"$unsynced.$$" || :
		/bin/mv "$unsynced.$$" "$unsynced"
		break
	done <"$unsynced"
done
"#;

/// What first boot finds in PATH before anything of this machine's.
const COMMANDS: &[&str] = &[
    "apt-get",
    "apt-mark",
    "chronyc",
    "cloud-init",
    "ctr",
    "curl",
    "df",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "findmnt",
    "getent",
    "growpart",
    "ip",
    "kubeadm",
    "kubectl",
    "modprobe",
    "python3",
    "resize2fs",
    "sysctl",
    "systemctl",
    "timedatectl",
    "unattended-upgrade",
];

/// What a copy of etcd brings to the control plane's folder of certificates.
pub const COPIED: [&str; 6] =
    ["sa.pub", "sa.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"];

/// Longer than any run on the busiest machine: a run that takes it hangs.
const HANGS: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    ControlPlane,
    Worker,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }
}

pub struct Node {
    pub role: Role,
    dir: tempfile::TempDir,
}

impl Node {
    /// A node as it is when a new card is first started, and all it needs from outside is there.
    pub fn new(role: Role) -> Self {
        let node = Self::bare(role);
        let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays");
        for overlay in ["common", role.name()] {
            copy_tree(&overlays.join(overlay).join("usr/lib/pibake"), &node.root().join("usr/lib/pibake"));
        }
        node.put(
            "etc/pibake/kubeadm.yaml",
            &format!(
                "token: abcdef.0123456789abcdef\ncaCertHashes: [\"{}\"]\nkubernetesVersion: \"stable-1.34\"\n",
                pki::cluster().pin
            ),
        );
        node.put("etc/pibake/node.env", &node.node_env());
        if role == Role::ControlPlane {
            node.put("etc/pibake/flannel.yaml", "kind: Namespace\n");
            node.put("etc/kubernetes/pki/ca.crt", "baked CA");
            node.put("etc/kubernetes/pki/ca.key", "baked key");
            node.state("baked-key", "baked key");
            let key = node.root().join("etc/kubernetes/pki/ca.key");
            fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        }
        node.power_on();
        node
    }

    /// The same without anything that is baked.
    pub fn bare(role: Role) -> Self {
        // Memory where there is some: the program syncs all the time.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let node = Self { role, dir };
        fs::create_dir(node.path("bin")).unwrap();
        node.program("recorder", RECORDER);
        for command in COMMANDS {
            node.stand_in_for(command);
        }
        node.put("sys/class/tty/console/active", "ttyAMA0 tty1\n");
        node.put("dev/ttyAMA0", "");
        node.put("dev/tty1", "");
        node.put("proc/uptime", "60.00 100.00\n");
        node.put("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t9\t80\t1\n");
        node.put("sys/class/net/eth0/carrier", "1\n");
        node.put("var/lib/dpkg/status", "ok\n");
        node.put("var/lib/dpkg/updates/.keep", "x");
        node.put("var/lib/dpkg/info/.keep", "x");
        node.put("etc/kubernetes/manifests/.keep", "");
        fs::remove_file(node.root().join("etc/kubernetes/manifests/.keep")).unwrap();
        node.state("role", role.name());
        node.state("free", "8000");
        node.state("enabled/pibake-first-boot", "");
        for present in ["clock", "link", "uplink", "control-plane-up"] {
            node.state(present, "");
        }
        let cluster = pki::cluster();
        node.state("cluster/ca.crt", &cluster.authority);
        node.state("cluster/node.pem", &cluster.node);
        node.program("sync", SYNC);
        match role {
            Role::ControlPlane => {
                node.state("address", "10.0.0.1");
                node.put("sys/class/net/wlan0/carrier", "1\n");
                node.put("sys/class/net/wlan0/phy80211/name", "phy0\n");
            }
            Role::Worker => node.state("address", "10.0.0.2"),
        }
        node
    }

    fn program(&self, name: &str, text: &str) {
        support::put_program(&self.path("bin").join(name), text);
    }

    /// The copy of etcd that `pibake restore` bakes, of a database that is `database`.
    pub fn put_copy(&self, database: &str) {
        let copy = self.path("copy");
        put(&copy.join("about"), "format=1\n");
        put(&copy.join("etcd.db"), database);
        for file in COPIED {
            put(&copy.join("pki").join(file), &format!("{file} of the copy"));
        }
        let archive = self.root().join("var/lib/pibake/restore.tar.gz");
        fs::create_dir_all(archive.parent().unwrap()).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&copy).arg("-czf").arg(archive).args(["about", "etcd.db", "pki"]);
        assert!(tar.status().unwrap().success());
        fs::remove_dir_all(copy).unwrap();
    }

    /// From now on this command is the recorder, too.
    pub fn stand_in_for(&self, command: &str) {
        _ = fs::remove_file(self.path("bin").join(command));
        symlink("recorder", self.path("bin").join(command)).unwrap();
    }

    fn node_env(&self) -> String {
        let common = format!(
            "LOGIN_USER='{}'\nCLUSTER_INTERFACE='eth0'\nCONTROL_PLANE='10.0.0.1:6443'\n\
             CONTAINERD_PACKAGES='containerd.io'\nKUBERNETES_PACKAGES='kubelet=1.34.2-1.1 kubeadm kubectl'\n\
             SECRETS='/etc/pibake/other-secret'\nCERTIFICATES_FROM='1000000000'\n\
             CLUSTER_NETWORK='10.0.0.0/24'\nPOD_NETWORK='10.244.0.0/16'\nSERVICE_NETWORK='10.96.0.0/12'\n",
            user()
        );
        let own = match self.role {
            Role::ControlPlane => {
                "NODE_NAME='node-1'\nROLE='control-plane'\nNODE_ADDRESS='10.0.0.1'\n\
                 GATEWAY='yes'\nUPLINK_INTERFACE='wlan0'\nBASE_PACKAGES='isc-dhcp-server iptables'\n"
            }
            Role::Worker => "NODE_NAME='node-2'\nROLE='worker'\nNODE_ADDRESS='10.0.0.2'\n",
        };
        self.put("etc/pibake/other-secret", "secret");
        format!("{own}{common}")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// Writes a file of the node's.
    pub fn put(&self, path: &str, text: &str) {
        put(&self.root().join(path), text);
    }

    pub fn exists(&self, path: &str) -> bool {
        self.root().join(path).exists()
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_default()
    }

    /// Sets something that the stand-ins know.
    pub fn state(&self, name: &str, text: &str) {
        put(&self.path("state").join(name), text);
    }

    pub fn unset_state(&self, name: &str) {
        fs::remove_file(self.path("state").join(name)).unwrap();
    }

    pub fn has_state(&self, name: &str) -> bool {
        self.path("state").join(name).exists()
    }

    pub fn read_state(&self, name: &str) -> String {
        fs::read_to_string(self.path("state").join(name)).unwrap_or_default()
    }

    /// What is only in memory is gone; units that are enabled run, and cloud-init has been.
    pub fn power_on(&self) {
        _ = fs::remove_dir_all(self.root().join("run"));
        _ = fs::remove_dir_all(self.path("state/active"));
        fs::create_dir_all(self.path("state/active")).unwrap();
        for unit in fs::read_dir(self.path("state/enabled")).unwrap() {
            self.state(&format!("active/{}", unit.unwrap().file_name().to_str().unwrap()), "");
        }
        self.put("run/cloud-init/result.json", "{}");
    }

    /// Starts the program, with these variables for the stand-ins.
    pub fn start(&self, variables: &[(&str, &str)]) -> Running {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display());
        let output = fs::File::options().create(true).append(true).open(self.path("output")).unwrap();
        let child = Command::new("sh")
            .arg(self.root().join("usr/lib/pibake/first-boot"))
            .env_clear()
            .envs([
                ("PATH", path.as_str()),
                ("PIBAKE_SLEEP", "0.02"),
                ("PIBAKE_PATIENCE", "60"),
                NO_TRUSTED_CAS,
            ])
            .env("PIBAKE_ROOT", self.root())
            .env("STATE", self.path("state"))
            .env("TRACE", self.path("trace"))
            .envs(variables.iter().copied())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Running { child }
    }

    /// What systemd runs before cloud-init (`start`) and when the machine is shut down (`stop`).
    pub fn guard_cloud_init(&self, action: &str) {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display());
        let mut guard = Command::new("sh");
        guard.arg(self.root().join("usr/lib/pibake/cloud-init-guard")).arg(action).env_clear();
        guard.env("PATH", path).env("PIBAKE_ROOT", self.root()).env("STATE", self.path("state"));
        let status = guard.env("TRACE", self.path("trace")).status().unwrap();
        assert!(status.success(), "{action}: {status}");
    }

    /// Runs the program to its end.
    pub fn run(&self, variables: &[(&str, &str)]) -> ExitStatus {
        self.start(variables).end(self)
    }

    /// Runs the program, which has to succeed.
    pub fn complete(&self, variables: &[(&str, &str)]) {
        let status = self.run(variables);
        assert!(status.success(), "{status}\n{}", self.output());
        assert!(self.exists("var/lib/pibake/first-boot/complete"), "{}", self.output());
    }

    /// Runs the program until the stand-ins kill it at `point`; the power comes back.
    pub fn cut_off(&self, point: &str, more: &[(&str, &str)]) {
        let mut variables = vec![("KILL_AT", point)];
        variables.extend(more);
        let status = self.run(&variables);
        assert_eq!(status.signal(), Some(9), "{point}: {status}\n{}", self.output());
        self.power_on();
    }

    /// The same, and what was not synced is lost: of such files only the names are left.
    pub fn cut_off_losing(&self, point: &str, more: &[(&str, &str)]) {
        self.cut_off(point, more);
        for file in self.read_state("unsynced").lines() {
            if fs::metadata(file).is_ok() {
                fs::write(file, "").unwrap();
            }
        }
        _ = fs::remove_file(self.path("state/unsynced"));
    }

    /// What the journal would hold.
    pub fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }

    /// The points that commands reached, in order.
    pub fn trace(&self) -> Vec<String> {
        let trace = fs::read_to_string(self.path("trace")).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    /// The commands that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.trace().iter().filter_map(|line| line.strip_suffix(" @start")).map(str::to_owned).collect()
    }

    /// The status file, with the times taken out.
    pub fn status(&self) -> String {
        without_times(&self.read("var/log/pibake/status"))
    }

    /// Waits until a line of the status file is each of `lines`.
    pub fn await_status(&self, running: &mut Running, lines: &[&str]) -> String {
        let begin = Instant::now();
        loop {
            let status = self.status();
            if lines.iter().all(|line| status.lines().any(|l| l == *line)) {
                return status;
            }
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < HANGS, "{ended:?}\n{status}\n{}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All that is on the disk but logs, how often the program was started, and times.
    pub fn disk(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for tree in ["root", "state"] {
            walk(&self.path(tree), &mut |path| {
                let name = path.strip_prefix(self.dir.path()).unwrap().to_str().unwrap().to_owned();
                // the recorder's own list, and what it leaves where it is killed over it
                let passing = ["root/var/log/", "root/run/", "root/dev/", "state/active/", "state/unsynced"]
                    .iter()
                    .any(|skipped| name.starts_with(skipped));
                let counted = [
                    "/starts",
                    ".started",
                    "first-boot/growth-tried",
                    // of a package, which are gone after a reset
                    ".kubelet-keep",
                    "kubelet/pki/kubelet.crt",
                    "kubelet/pki/kubelet.key",
                    "state/failures",
                    "state/broken",
                    "dpkg/status-old",
                ]
                .iter()
                .any(|skipped| name.ends_with(skipped));
                if !passing && !counted {
                    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
                    let text = fs::read_to_string(path).unwrap();
                    files.insert(name, format!("{mode:o} {}", without_times(&text)));
                }
            });
        }
        files
    }
}

pub struct Running {
    child: Child,
}

impl Running {
    pub fn end(mut self, node: &Node) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < HANGS, "first boot hangs\n{}", node.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let group = rustix::process::Pid::from_child(&self.child);
            _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            _ = self.child.wait();
        }
    }
}

/// The user that the tests run as, who owns what the program makes.
pub fn user() -> String {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn copy_tree(from: &Path, to: &Path) {
    walk(from, &mut |file| {
        put(&to.join(file.strip_prefix(from).unwrap()), &fs::read_to_string(file).unwrap())
    });
}

/// 2026-11-23T10:00:00Z becomes TIME.
fn without_times(text: &str) -> String {
    const LOOK: &[u8] = b"0000-00-00T00:00:00Z";
    let is_time = |text: &str| {
        let alike =
            |(byte, like): (u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == *like };
        text.bytes().zip(LOOK).all(alike)
    };
    let mut out = String::new();
    // Not byte by byte: these are megabytes, thousands of times.
    for piece in text.split_inclusive('Z') {
        let before = piece.len().checked_sub(LOOK.len());
        match before.and_then(|at| piece.split_at_checked(at)).filter(|(_, time)| is_time(time)) {
            Some((before, _)) => {
                out += before;
                out += "TIME";
            }
            None => out += piece,
        }
    }
    out
}

//! Scratch nodes of a cluster that runs, with stand-ins for what an upgrade calls.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::tool_path;

/// What the programs find in PATH before anything of this machine's.
const COMMANDS: [&str; 23] = [
    "apt-cache",
    "apt-get",
    "apt-mark",
    "chown",
    "containerd",
    "crictl",
    "ctr",
    "curl",
    "df",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "getent",
    "gpg",
    "kubeadm",
    "kubectl",
    "kubelet",
    "mv",
    "power-on",
    "sync",
    "systemctl",
    "trial",
    "uname",
];

/// Root's rights, which a node's programs are run with.
const SUDO: &str = r#"#!/bin/sh
[ "$1" = -n ] || { echo "sudo: a terminal is required to read the password" >&2; exit 1; }
shift
case $1 in
/usr/lib/pibake/*)
	program=$PROGRAMS/${1#/usr/lib/pibake/}
	[ -e "$program" ] || { echo "sudo: $1: command not found" >&2; exit 1; }
	shift
	# The connection is cut while it is watched: the shell of the session is gone.
	if [ "$1" = follow ] && [ -e "$STATE/cut" ]; then
		rm "$STATE/cut"
		sh "$program" "$@" | head -n 12
		kill -9 $PPID
	fi
	exec sh "$program" "$@"
	;;
*) exec "$@" ;;
esac
"#;

/// What the nodes of a test share.
pub struct Cluster {
    pub dir: tempfile::TempDir,
}

impl Cluster {
    /// An API server that runs this release.
    pub fn new(server: &str) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let cluster = Self { dir };
        put(&cluster.path("cluster/server"), &format!("v{server}\n"));
        put(&cluster.path("cluster/up"), "");
        cluster
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the cluster knows of a node.
    pub fn member(&self, node: &str, key: &str) -> String {
        let text = fs::read_to_string(self.path("cluster/nodes").join(node).join(key)).unwrap_or_default();
        text.trim().to_owned()
    }

    pub fn set_member(&self, node: &str, key: &str, value: &str) {
        put(&self.path("cluster/nodes").join(node).join(key), value);
    }

    pub fn server(&self) -> String {
        fs::read_to_string(self.path("cluster/server")).unwrap().trim().to_owned()
    }

    /// node-1, the control plane, or a worker, with this release of Kubernetes and Docker's containerd 1.7.
    pub fn node(&self, number: u16, kubernetes: &str) -> Node {
        let node = Node { base: self.path(&format!("node-{number}")), number, cluster: self.path("cluster") };
        let role = if number == 1 { "control-plane" } else { "worker" };
        for folder in
            ["bin", "state/installed", "state/held", "state/active", "root/run", "root/boot/firmware"]
        {
            fs::create_dir_all(node.path(folder)).unwrap();
        }
        support::put_program(&node.path("bin/stand-in"), include_str!("stand-in.sh"));
        for command in COMMANDS {
            symlink("stand-in", node.path("bin").join(command)).unwrap();
        }
        let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays");
        for overlay in ["common", role] {
            let from = overlays.join(overlay).join("usr/lib/pibake");
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(from.join(".")).arg(node.path("programs"));
            fs::create_dir_all(node.path("programs")).unwrap();
            assert!(copy.status().unwrap().success());
        }
        node.put(
            "etc/pibake/node.env",
            &format!(
                "NODE_NAME='node-{number}'\nROLE='{role}'\nNODE_ADDRESS='10.0.0.{number}'\nCLUSTER_INTERFACE='eth0'\n\
                 CONTROL_PLANE='10.0.0.1:6443'\nLOGIN_USER='ubuntu'\nCONTAINERD_PACKAGES='containerd.io'\n\
                 KUBERNETES_PACKAGES='kubelet kubeadm kubectl cri-tools'\nCERTIFICATES_FROM='1000000000'\n"
            ),
        );
        node.put("etc/kubernetes/kubelet.conf", "kubelet\n");
        node.put("var/lib/pibake/first-boot/complete", "done");
        node.put("etc/os-release", "NAME=\"Ubuntu\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n");
        node.put("proc/sys/kernel/random/boot_id", "0b6d1a52-7f53-4c0e-9d4e-0d6a5b2f9c11\n");
        node.put("var/lib/dpkg/status", "ok\n");
        let minor = kubernetes.split('.').nth(1).unwrap();
        node.put("etc/apt/sources.list.d/pibake-kubernetes.list", &source(minor));
        node.put(
            "etc/apt/sources.list.d/pibake-docker.list",
            "deb https://download.docker.com/linux/ubuntu noble stable\n",
        );
        node.put("etc/apt/preferences.d/pibake", &format!("Pin: version 1.{minor}.*\n"));
        node.put("etc/containerd/config.toml", "version = 2\n");
        node.put("var/lib/kubelet/config.yaml", &format!("config of {minor}\n"));
        for package in ["kubeadm", "kubelet", "kubectl"] {
            node.state(&format!("installed/{package}"), &format!("{kubernetes}-1.1\n"));
            node.state(&format!("held/{package}"), "");
        }
        node.state("installed/cri-tools", &format!("1.{minor}.0-1.1\n"));
        node.state("installed/containerd.io", "1.7.27-1\n");
        node.state("newer", "0\n");
        node.state("kernel", "6.8.0-1\n");
        symlink("vmlinuz-6.8.0-1", node.path("root/boot/vmlinuz")).unwrap();
        if number == 1 {
            for pod in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
                node.put(&format!("etc/kubernetes/manifests/{pod}.yaml"), &format!("{pod} v{kubernetes}\n"));
            }
            node.put("etc/kubernetes/admin.conf", "admin\n");
            node.put("home/ubuntu/.kube/config", "admin\n");
        }
        node.command("apt-get", &["update"]);
        node.command("power-on", &[]);
        node.forget_trace();
        node
    }
}

/// The list of a minor version's repository.
pub fn source(minor: &str) -> String {
    format!("deb https://pkgs.k8s.io/core:/stable:/v1.{minor}/deb/ /\n")
}

pub struct Node {
    base: PathBuf,
    number: u16,
    cluster: PathBuf,
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub killed: bool,
    pub said: String,
}

impl Node {
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub fn put(&self, path: &str, text: &str) {
        put(&self.path("root").join(path), text);
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path("root").join(path)).unwrap_or_default()
    }

    pub fn state(&self, name: &str, text: &str) {
        put(&self.path("state").join(name), text);
    }

    pub fn read_state(&self, name: &str) -> String {
        fs::read_to_string(self.path("state").join(name)).unwrap_or_default().trim().to_owned()
    }

    pub fn unset_state(&self, name: &str) {
        fs::remove_file(self.path("state").join(name)).unwrap();
    }

    pub fn has_state(&self, name: &str) -> bool {
        self.path("state").join(name).exists()
    }

    /// From now on this command is stood in for, too.
    pub fn stand_in_for(&self, command: &str) {
        symlink("stand-in", self.path("bin").join(command)).unwrap();
    }

    /// The variables that the programs and the stand-ins run with.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let show = |path: PathBuf| path.display().to_string();
        BTreeMap::from([
            ("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display())),
            ("STATE", show(self.path("state"))),
            ("CLUSTER", show(self.cluster.clone())),
            ("NODE", format!("node-{}", self.number)),
            ("TRACE", show(self.path("trace"))),
            ("PIBAKE_ROOT", show(self.path("root"))),
            ("PIBAKE_SLEEP", "0.02".to_owned()),
            ("PIBAKE_PATIENCE", "15".to_owned()),
            ("HOME", "/root".to_owned()),
        ])
    }

    fn execute(&self, mut command: Command, input: &str, more: &[(&str, &str)]) -> Ran {
        put(&self.path("input"), input);
        let output = fs::File::create(self.path("output")).unwrap();
        command.env_clear().envs(self.environment()).envs(more.iter().copied()).process_group(0);
        command.stdin(fs::File::open(self.path("input")).unwrap());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.status().unwrap();
        let said = fs::read_to_string(self.path("output")).unwrap();
        Ran { code: status.code(), killed: status.signal() == Some(9), said }
    }

    /// From now on it is reached by SSH, and its units are started.
    pub fn switch_on(&self) {
        let mut environment = self.environment();
        // Units start in their own time: whoever waits for one gives it some seconds, as on a real node.
        environment.insert("PIBAKE_SLEEP", "0.1".to_owned());
        environment.insert("LAUNCH", self.path("launch").display().to_string());
        environment.insert("PROGRAMS", self.path("programs").display().to_string());
        let exports: String =
            environment.iter().map(|(key, value)| format!("export {key}='{value}'\n")).collect();
        put(&self.path("env"), &exports);
        let launch = format!(
            "#!/bin/sh\n. '{}'\nexec sh \"$PROGRAMS/upgrade\" run >>\"$STATE/journal\" 2>&1\n",
            self.path("env").display()
        );
        support::put_program(&self.path("launch"), launch);
        support::put_program(&self.path("bin/sudo"), SUDO);
    }

    /// A stand-in by itself.
    fn command(&self, name: &str, arguments: &[&str]) {
        let mut command = Command::new(self.path("bin").join(name));
        command.args(arguments).stdin(Stdio::null());
        let ran = self.execute(command, "", &[]);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.said);
    }

    /// One of the node's programs.
    pub fn program(&self, name: &str, arguments: &[&str], input: &str, more: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(tool_path("dash", "dash"));
        command.arg(self.path("programs").join(name)).args(arguments);
        self.execute(command, input, more)
    }

    pub fn begin(&self, order: &str) -> Ran {
        self.program("upgrade", &["begin"], order, &[])
    }

    /// What systemd does once it was told to.
    pub fn run(&self) -> Ran {
        self.run_with(&[])
    }

    pub fn run_with(&self, more: &[(&str, &str)]) -> Ran {
        self.program("upgrade", &["run"], "", more)
    }

    /// Gives the order and has it carried out.
    pub fn carry_out(&self, order: &str) -> Ran {
        let begun = self.begin(order);
        assert_eq!(begun.code, Some(0), "{}", begun.said);
        assert!(self.has_state("started"));
        self.run()
    }

    /// The power is cut at that line of the trace, and comes back; systemd starts what is to be started.
    pub fn cut_off(&self, line: usize) {
        let ran = self.run_with(&[("KILL_AT", &line.to_string())]);
        assert!(ran.killed, "line {line}: {ran:?}");
        self.power_on();
    }

    pub fn power_on(&self) {
        let how =
            if self.has_state("goes-down") { self.read_state("goes-down") } else { "power-on".to_owned() };
        _ = fs::remove_file(self.path("state/goes-down"));
        let trace = self.trace();
        self.command(&how, &[]);
        fs::write(self.path("trace"), trace.iter().map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
    }

    pub fn trace(&self) -> Vec<String> {
        let trace = fs::read_to_string(self.path("trace")).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    /// The commands that changed something, in order, in short.
    pub fn changes(&self) -> Vec<String> {
        const CHANGING: [&str; 8] = [
            "apt-get",
            "apt-mark",
            "kubeadm upgrade",
            "kubeadm config images",
            "systemctl restart",
            "systemctl reboot",
            "piboot-try --reboot",
            "kubectl",
        ];
        let calls = self.trace();
        let calls = calls.iter().filter_map(|line| line.strip_suffix(" @start"));
        let short = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let mut kept: Vec<&str> = Vec::new();
            let mut skip = false;
            for word in words {
                match word {
                    _ if skip => skip = false,
                    "-o" => skip = true,
                    "--yes" if kept.first() == Some(&"apt-get") => {}
                    "--quiet" | "--no-install-recommends" | "--allow-downgrades" => {}
                    _ => kept.push(word),
                }
            }
            kept.join(" ")
        };
        calls
            .filter(|line| CHANGING.iter().any(|begin| line.starts_with(begin)) && !line.contains(" get "))
            .map(short)
            .filter(|line| !line.contains("--fix-broken"))
            .collect()
    }

    pub fn forget_trace(&self) {
        fs::write(self.path("trace"), "").unwrap();
    }

    /// A value of the report.
    pub fn told(&self, key: &str) -> String {
        let text = self.read("var/log/pibake/upgrade");
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().to_owned()
    }

    /// Kubernetes' packages, and what runs.
    pub fn versions(&self) -> Vec<String> {
        ["kubeadm", "kubelet", "kubectl", "cri-tools"]
            .iter()
            .map(|package| self.read_state(&format!("installed/{package}")))
            .collect()
    }

    /// Its kubelet runs, and on a control plane all four pods can.
    pub fn serves(&self) -> bool {
        let pods = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let whole = |pod: &&str| !self.read(&format!("etc/kubernetes/manifests/{pod}.yaml")).is_empty();
        self.has_state("active/kubelet") && (self.number != 1 || pods.iter().all(whole))
    }

    /// All that is on the disk but logs and times.
    pub fn disk(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for tree in ["root", "state"] {
            support::walk(&self.path(tree), &mut |path| {
                let name = path.strip_prefix(&self.base).unwrap().to_str().unwrap().to_owned();
                let passing = [
                    "root/var/log/",
                    "root/run/",
                    "root/proc/",
                    "state/started",
                    "state/lists",
                    "root/etc/kubernetes/tmp",
                ];
                if !passing.iter().any(|skipped| name.starts_with(skipped)) {
                    // A link to a kernel leads nowhere here.
                    files.insert(name, fs::read_to_string(path).unwrap_or_default());
                }
            });
        }
        files
    }
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

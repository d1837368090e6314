//! Nodes to run kubeadm on: what pibake baked for them, in namespaces that have nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::descriptions::{Description, REPOSITORY};
use pibake::cluster::{Cluster, KubeadmImages, Overrides, Platform};
use support::{run, tool};

/// Programs of this machine that kubeadm, and what stands beside it, may find in PATH.
const PROGRAMS: [(&str, &str); 41] = [
    ("awk", "mawk"),
    ("base64", "coreutils"),
    ("cat", "coreutils"),
    ("chmod", "coreutils"),
    ("cmp", "diffutils"),
    ("conntrack", "conntrack"),
    ("cp", "coreutils"),
    ("curl", "curl"),
    ("cut", "coreutils"),
    ("date", "coreutils"),
    ("dirname", "coreutils"),
    ("etcdctl", "etcd-client"),
    ("find", "findutils"),
    ("flock", "util-linux"),
    ("grep", "grep"),
    ("gzip", "gzip"),
    ("head", "coreutils"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("kubectl", "kubernetes-client"),
    ("ln", "coreutils"),
    ("mkdir", "coreutils"),
    ("mktemp", "coreutils"),
    ("mount", "mount"),
    ("mv", "coreutils"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("rm", "coreutils"),
    ("sed", "sed"),
    ("sha256sum", "coreutils"),
    ("sleep", "coreutils"),
    ("sort", "coreutils"),
    ("stat", "coreutils"),
    ("sync", "coreutils"),
    ("tail", "coreutils"),
    ("tar", "tar"),
    ("tc", "iproute2"),
    ("touch", "coreutils"),
    ("tr", "coreutils"),
    ("uname", "coreutils"),
];

/// And those that stand in for what no test has.
const STANDINS: [&str; 7] = ["api.py", "crictl", "ctr", "kubeadm", "kubelet", "systemctl", "timedatectl"];

/// The pieces of first boot, and of what comes after, that call kubeadm.
const PIECES: [&str; 13] = [
    "stage",
    "certificates",
    "lib/attempt",
    "lib/base",
    "lib/clock",
    "lib/diagnose",
    "lib/kubernetes",
    "lib/node-env",
    "lib/order",
    "lib/packages",
    "lib/renewal",
    "lib/services",
    "lib/upgrade",
];

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubeadm")
}

/// Where a program is on a machine that has this one's /usr, but not its /etc/alternatives.
fn in_usr(program: &str, package: &str) -> PathBuf {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .find_map(|dir| Path::new(dir).join(program).canonicalize().ok())
        .unwrap_or_else(|| {
            panic!("this test needs `{program}` below /usr: install the Debian package {package}")
        })
}

/// The real kubeadm. `make test-kubeadm` makes it.
pub fn kubeadm() -> PathBuf {
    let out = Command::new(here().join("build.sh")).arg("--if-cached").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim_end()).join("kubeadm")
}

/// A description with the images that pibake built for it.
pub struct Project {
    pub dir: tempfile::TempDir,
}

impl Project {
    /// What pibake takes kubeadm of this patch release to ask for.
    pub fn kubeadm_images(&self, patch: u16) -> KubeadmImages {
        let file = self.dir.path().join("pibake.toml");
        let cluster = Cluster::read(Some(&file), &Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
        // the sample's
        let software = cluster.software(&Platform::named("20.04").unwrap()).unwrap();
        cluster.kubeadm_images(&software, patch)
    }

    pub fn new(description: &Description) -> Self {
        let project = Self { dir: tempfile::tempdir().unwrap() };
        let text = format!("{}\n{REPOSITORY}", description.text);
        fs::write(project.dir.path().join("pibake.toml"), text).unwrap();
        let mut build = project.pibake();
        build.args(["build", "--base", "sample", "-o", "images", "--node", description.control_plane.0]);
        if let Some((worker, _)) = description.worker {
            build.args(["--node", worker]);
        }
        run(&mut build);
        project
    }

    /// The place of a node in the cluster, from 1.
    pub fn number(&self, name: &str) -> usize {
        self.planned().iter().position(|node| node["node"] == name).unwrap() + 1
    }

    /// How many nodes the cluster has.
    pub fn nodes(&self) -> usize {
        self.planned().len()
    }

    fn planned(&self) -> Vec<serde_json::Value> {
        let plan: serde_json::Value =
            serde_json::from_str(&run(self.pibake().args(["plan", "--json"]))).unwrap();
        plan["nodes"].as_array().unwrap().clone()
    }

    pub fn pibake(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache"));
        command
    }

    /// What is baked for `node` at `path`.
    pub fn baked(&self, node: &str, path: &str) -> String {
        run(self.pibake().arg("inspect").arg(format!("images/{node}.img")).arg(path))
    }

    /// The file system of a machine with what is baked for `node` and concerns kubeadm.
    pub fn machine(&self, node: &str) -> Machine {
        let root = self.dir.path().join("machines").join(node);
        let machine = Machine { root };
        let mut files =
            vec!["/etc/pibake/kubeadm.yaml", "/etc/pibake/node.env", "/etc/hosts", "/etc/hostname"];
        let mut stage = "stages/65-join";
        let config = self.baked(node, "/etc/pibake/kubeadm.yaml");
        if config.contains("InitConfiguration") {
            files.extend(["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"]);
            stage = "stages/65-control-plane";
            let library = self.baked(node, "/usr/lib/pibake/lib/restore");
            machine.put("/pibake/lib/restore", &library, 0o755);
        } else {
            files.push("/etc/pibake/join.conf");
        }
        for path in files {
            machine.put(path, &self.baked(node, path), 0o600);
        }
        // Elsewhere than on a node, since /usr is this machine's.
        for piece in PIECES.into_iter().chain([stage]) {
            let text = self.baked(node, &format!("/usr/lib/pibake/{piece}"));
            machine.put(&format!("/pibake/{piece}"), &text, 0o755);
        }
        machine.put("/var/log/pulled", "", 0o644);
        fs::create_dir_all(machine.path("/var/lib/etcd")).unwrap();
        fs::create_dir_all(machine.path("/run")).unwrap();
        for name in STANDINS {
            let text = fs::read_to_string(here().join("programs").join(name)).unwrap();
            machine.put(&format!("/programs/{name}"), &text, 0o755);
        }
        for (name, package) in PROGRAMS {
            symlink(in_usr(name, package), machine.path("/programs").join(name)).unwrap();
        }
        fs::copy(kubeadm(), machine.path("/programs/kubeadm-itself")).unwrap();
        machine
    }
}

/// A machine's files.
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, text: &str, mode: u32) {
        let place = self.path(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, text).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

/// What a command said and how it ended.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The output of a command that ended well, and had nothing to say against its configuration:
    /// kubeadm only warns of a field that it does not know, and goes on without it.
    pub fn well(self) -> String {
        assert_eq!(self.status, 0, "{}\n{}", self.out, self.err);
        for bad in ["unmarshal", "unknown field", "strict", "deprecated"] {
            assert!(!self.err.contains(bad), "{}", self.err);
        }
        self.out
    }
}

/// The network that machines are on, each by its own address; with all that was started on it, it is
/// gone when the test ends, also when the test is killed.
pub struct Segment {
    shell: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Segment {
    pub fn new() -> Self {
        // A test that is killed cannot clean up.
        let mut command = tool("setpriv", "util-linux");
        command.args(["--pdeathsig", "KILL", "unshare"]);
        command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin")).arg("sh");
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (shell.stdin.take().unwrap(), BufReader::new(shell.stdout.take().unwrap()));
        let mut segment = Self { shell, stdin, stdout };
        assert_eq!(segment.ask("ip link set lo up; echo $?"), "0", "a network of its own");
        segment
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.stdin, "{line}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Gives `address` to one of the machines.
    pub fn address(&mut self, address: &str) {
        let answer = self.ask(&format!("ip address add {address}/32 dev lo; echo $?"));
        assert_eq!(answer, "0", "giving {address}");
    }

    /// Runs a shell script on `machine`.
    pub fn run(&mut self, machine: &Machine, script: &str) -> Ran {
        machine.put("/script", script, 0o644);
        let (program, root) = (here().join("machine.sh"), machine.root.display());
        let program = program.display();
        let status = self.ask(&format!(
            "unshare --mount --uts '{program}' '{root}' /bin/sh -eu /script </dev/null >'{root}/out' 2>'{root}/err'; echo $?"
        ));
        let status = status.parse().unwrap_or_else(|_| panic!("the machines' shell said {status:?}"));
        let mut err = machine.read("/err");
        if status != 0 {
            for log in ["/var/log/kubelet", "/var/log/unknown"] {
                err += &fs::read_to_string(machine.path(log)).unwrap_or_default();
            }
        }
        Ran { status, out: machine.read("/out"), err }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        _ = self.shell.kill();
        _ = self.shell.wait();
    }
}

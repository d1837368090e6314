//! A scratch node that was set up long ago, with stand-ins for what its programs call.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{NO_TRUSTED_CAS, run, tool, tool_path, with_clock};

/// What `certificates` finds in PATH before anything of this machine's.
const COMMANDS: [&str; 13] = [
    "chronyc",
    "cp",
    "crictl",
    "curl",
    "getent",
    "kubeadm",
    "kubectl",
    "kubelet-starts",
    "ln",
    "mv",
    "rm",
    "systemctl",
    "timedatectl",
];

pub struct Machine {
    dir: tempfile::TempDir,
}

/// How a run ended, and what it said.
pub struct Ran {
    pub code: Option<i32>,
    pub killed: bool,
    pub said: String,
}

impl Machine {
    /// A control plane whose CAs and certificates are good for so many days from now on, and which runs.
    pub fn control_plane(authorities: i32, leaves: i32) -> Self {
        let machine = Self::bare("control-plane", "node-1");
        machine.shell(&format!(
            "authorities $K {authorities}\nleaves $K {leaves}\nkubelet_of node-1 365\nmkdir -p $H\ncp $K/admin.conf $H/config"
        ));
        machine.state(
            "cluster-configuration",
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
             certificateValidityPeriod: 26280h0m0s\nkubernetesVersion: v1.31.4\n",
        );
        machine.power_on();
        machine
    }

    /// Another one that is the same to the last byte: making certificates takes longer than most of what is done with
    /// them.
    pub fn copy(&self) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        run(Command::new("cp").arg("-a").arg(self.path(".")).arg(dir.path()));
        Self { dir }
    }

    /// A worker whose kubelet has a certificate for so many days.
    pub fn worker(days: i32) -> Self {
        let machine = Self::bare("worker", "node-2");
        machine.shell(&format!(
            "authority $D/ca 3650\nmkdir -p $K/pki\ncp $D/ca.crt $K/pki/\nmkdir -p $D/k/pki\ncp $D/ca.* $D/k/pki/\n\
             K_CA=$D/k/pki/ca\nkubelet_of node-2 {days}"
        ));
        machine
    }

    fn bare(role: &str, name: &str) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let machine = Self { dir };
        for folder in
            ["bin", "state/containers", "root/run", "root/etc/kubernetes", "root/var/lib/kubelet/pki"]
        {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.state("pki.sh", include_str!("pki.sh"));
        machine.state("clock", "");
        support::put_program(&machine.path("bin/stand-in"), include_str!("control-plane.sh"));
        for command in COMMANDS {
            symlink("stand-in", machine.path("bin").join(command)).unwrap();
        }
        symlink("/bin/true", machine.path("bin/sync")).unwrap();
        let env = format!(
            "NODE_NAME='{name}'\nROLE='{role}'\nNODE_ADDRESS='10.0.0.1'\nCLUSTER_INTERFACE='eth0'\n\
             CONTROL_PLANE='10.0.0.1:6443'\nLOGIN_USER='{}'\nCONTAINERD_PACKAGES='c'\nKUBERNETES_PACKAGES='k'\n\
             CERTIFICATES_FROM='1000000000'\n",
            user()
        );
        machine.put("etc/pibake/node.env", &env);
        machine.put("var/lib/pibake/first-boot/complete", "done");
        machine.put("proc/uptime", "300.00 500.00\n");
        machine
    }

    /// Runs a script that knows pki.sh; $K is /etc/kubernetes, $H the login user's ~/.kube, $D a folder.
    /// `kubelet_of NODE DAYS` makes the kubelet's certificates.
    pub fn shell(&self, script: &str) {
        tool_path("openssl", "openssl");
        let text = format!(
            r#"set -eu
D={dir} K=$D/root/etc/kubernetes H=$D/root/home/{user}/.kube K_CA=$D/root/etc/kubernetes/pki/ca
. $D/state/pki.sh
kubelet_of() {{
    P=$D/root/var/lib/kubelet/pki
    leaf $D/kubelet $K_CA $2 /O=system:nodes/CN=system:node:$1 clientAuth
    cat $D/kubelet.crt $D/kubelet.key >$P/kubelet-client-made.pem
    ln -s kubelet-client-made.pem $P/kubelet-client-current.pem
    at=/var/lib/kubelet/pki/kubelet-client-current.pem
    printf 'users:\n- name: x\n  user:\n    client-certificate: %s\n    client-key: %s\n' $at $at >$K/kubelet.conf
    leaf $P/kubelet $K_CA $2 /CN=$1 serverAuth
}}
{script}
"#,
            dir = self.dir.path().display(),
            user = user()
        );
        run(tool("bash", "bash").envs([NO_TRUSTED_CAS]).arg("-c").arg(text));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn put(&self, path: &str, text: &str) {
        let file = self.path("root").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path("root").join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path("root").join(path)).is_ok()
    }

    /// Sets something that the stand-ins know.
    pub fn state(&self, name: &str, text: &str) {
        fs::write(self.path("state").join(name), text).unwrap();
    }

    pub fn unset_state(&self, name: &str) {
        fs::remove_file(self.path("state").join(name)).unwrap();
    }

    pub fn read_state(&self, name: &str) -> String {
        fs::read_to_string(self.path("state").join(name)).unwrap_or_default()
    }

    fn command(&self, program: &Path, later: Option<&str>) -> Command {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display());
        let mut command = match later {
            Some(days) => {
                let mut faked = with_clock(days);
                faked.arg(program);
                faked
            }
            None => Command::new(program),
        };
        command.env_clear().env("PATH", path).env("STATE", self.path("state"));
        command.env("TRACE", self.path("trace")).env("PIBAKE_ROOT", self.path("root"));
        command.envs([
            ("PIBAKE_SLEEP", "0.02"),
            ("PIBAKE_PATIENCE", "15"),
            ("HOME", "/root"),
            NO_TRUSTED_CAS,
        ]);
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    fn program(&self, later: Option<&str>, arguments: &[&str], kill_at: Option<usize>) -> Ran {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/overlays/common/usr/lib/pibake/certificates");
        self.run_with(later, Path::new(program), arguments, kill_at)
    }

    /// Runs a program of the node's.
    pub fn run_program(&self, program: &Path) -> Ran {
        self.run_with(None, program, &[], None)
    }

    fn run_with(
        &self,
        later: Option<&str>,
        program: &Path,
        arguments: &[&str],
        kill_at: Option<usize>,
    ) -> Ran {
        let mut command = self.command(&tool_path("dash", "dash"), later);
        if let Some(line) = kill_at {
            fs::write(self.path("trace"), "").unwrap();
            command.env("KILL_AT", line.to_string());
        }
        // A file, since what is killed leaves children that hold a pipe open.
        let output = fs::File::create(self.path("output")).unwrap();
        command.arg(program).args(arguments).stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.status().unwrap();
        let said = fs::read_to_string(self.path("output")).unwrap();
        Ran { code: status.code(), killed: status.signal() == Some(9), said }
    }

    pub fn renew(&self) -> Ran {
        self.program(None, &["renew"], None)
    }

    /// On a later day, `+335d`.
    pub fn renew_later(&self, later: &str) -> Ran {
        self.program(Some(later), &["renew"], None)
    }

    /// The power is cut at that line of the trace.
    pub fn renew_until(&self, line: usize) -> Ran {
        self.program(None, &["renew"], Some(line))
    }

    /// systemd starts kubelet, and that all pods.
    pub fn power_on(&self) {
        _ = fs::remove_dir_all(self.path("root/run"));
        fs::create_dir_all(self.path("root/run")).unwrap();
        let settled = self.program(None, &["settle"], None);
        assert_eq!(settled.code, Some(0), "{}", settled.said);
        let started = self.command(&self.path("bin/kubelet-starts"), None).status().unwrap();
        assert!(started.success());
    }

    /// The API server serves, with what it read when it was started, and administrators are let in.
    pub fn serves(&self) -> bool {
        self.serves_on(None)
    }

    /// The same on a later day, `+8d`: what was signed then is not valid before.
    pub fn serves_later(&self, later: &str) -> bool {
        self.serves_on(Some(later))
    }

    fn serves_on(&self, later: Option<&str>) -> bool {
        let admin = self.path("root/etc/kubernetes/admin.conf");
        let mut kubectl = self.command(&self.path("bin/kubectl"), later);
        kubectl.arg("--kubeconfig").arg(admin).args(["get", "--raw", "/readyz"]);
        kubectl.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    pub fn trace(&self) -> Vec<String> {
        let trace = fs::read_to_string(self.path("trace")).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    pub fn forget_trace(&self) {
        fs::write(self.path("trace"), "").unwrap();
    }

    /// The pods that were restarted, in order.
    pub fn restarted(&self) -> Vec<String> {
        let stopped = |line: &String| Some(line.split_once("@stopped ")?.1.to_owned());
        self.trace().iter().filter_map(stopped).collect()
    }

    /// The files of kubeadm's folder.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        support::walk(&self.path("root/etc/kubernetes"), &mut |file| {
            files.push((file.to_owned(), fs::read_to_string(file).unwrap()));
        });
        files.sort();
        files
    }

    /// Whole days until a certificate ends, by openssl.
    pub fn days(&self, path: &str) -> i64 {
        let text = self.read(path);
        let pem = match text.split_once("client-certificate-data: ") {
            Some((_, rest)) => {
                use base64::Engine;
                let data = base64::engine::general_purpose::STANDARD;
                String::from_utf8(data.decode(rest.lines().next().unwrap()).unwrap()).unwrap()
            }
            None => text,
        };
        let file = self.path("asked.pem");
        fs::write(&file, pem).unwrap();
        let mut openssl = tool("openssl", "openssl");
        let end = run(openssl.envs([NO_TRUSTED_CAS]).args(["x509", "-noout", "-enddate", "-in"]).arg(file));
        let seconds = run(tool("date", "coreutils")
            .arg("-d")
            .arg(end.trim().trim_start_matches("notAfter="))
            .arg("+%s"));
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        (seconds.trim().parse::<i64>().unwrap() - now + 3600).div_euclid(86400)
    }

    /// The status file, without the times.
    pub fn status(&self) -> Vec<String> {
        let text = self.read("var/log/pibake/certificates");
        text.lines().filter(|line| !line.starts_with("updated=")).map(str::to_owned).collect()
    }
}

fn user() -> String {
    run(tool("id", "coreutils").arg("-un")).trim().to_owned()
}

//! The cluster as its owner sees it, from a machine that is none of its own: by kubectl with pibake's
//! own `admin.conf`, as it was written.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::ssh::Ssh;
use support::{run, tool};

pub struct Outside {
    admin: PathBuf,
    /// Where the API server is, as `admin.conf` says: address and port.
    server: (String, String),
    /// The way in, where that address is not on a network that this machine is on.
    ssh: Option<Ssh>,
    tunnel: Option<Child>,
    home: tempfile::TempDir,
}

/// A node as the API server has it.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub ready: bool,
    /// Another one after each start of the machine.
    pub boot: String,
}

/// A pod as the API server has it.
#[derive(Debug)]
pub struct Pod {
    pub name: String,
    pub app: String,
    pub node: String,
    pub address: String,
    pub ready: bool,
    /// Of its one container: another one after each start.
    pub container: String,
    pub restarts: u64,
}

impl Outside {
    /// `admin` is the kubeconfig; the way in, where there is one, is by node-1's SSH server, since QEMU's network lets
    /// nothing else in. Then its address is here, too, in the tests' own network namespace.
    pub fn new(admin: &Path, ssh: Option<Ssh>) -> Self {
        let text = std::fs::read_to_string(admin).unwrap();
        let (_, server) = text.split_once("https://").expect("admin.conf names a server");
        let server = server.lines().next().unwrap().trim_end_matches('"');
        let (host, port) = server.split_once(':').unwrap();
        if ssh.is_some() {
            run(tool("ip", "iproute2").args(["address", "replace", &format!("{host}/32"), "dev", "lo"]));
        }
        Self {
            admin: admin.to_owned(),
            server: (host.to_owned(), port.to_owned()),
            ssh,
            tunnel: None,
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// What kubectl prints, or what it complains of.
    pub fn kubectl(&mut self, arguments: &[&str]) -> Result<String, String> {
        self.connect();
        let out = tool("kubectl", "kubernetes-client")
            .env("HOME", self.home.path())
            .arg("--kubeconfig")
            .arg(&self.admin)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        match out.status.success() {
            true => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }

    /// Where the machine was off meanwhile, SSH has ended.
    fn connect(&mut self) {
        if let Some(tunnel) = &mut self.tunnel
            && tunnel.try_wait().unwrap().is_none()
        {
            return;
        }
        let Some(ssh) = &self.ssh else { return };
        let (host, port) = &self.server;
        let lead = format!("{host}:{port}:{host}:{port}");
        let mut command = ssh.command(&["-N", "-L", &lead, "-o", "ExitOnForwardFailure=yes"]);
        let mut guarded = tool("setpriv", "util-linux");
        guarded.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        command = guarded;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.tunnel = Some(command.spawn().unwrap());
        // until it is open, kubectl is refused, and asked again
    }

    fn json(&mut self, what: &[&str]) -> Result<Value, String> {
        let arguments = [&["--request-timeout", "60s", "get", "--output", "json"], what].concat();
        let text = self.kubectl(&arguments)?;
        serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))
    }

    pub fn nodes(&mut self) -> Result<Vec<Node>, String> {
        let list = self.json(&["nodes"])?;
        Ok(items(&list)
            .map(|node| {
                let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
                let mut ready = conditions.filter(|c| c["type"] == "Ready");
                Node {
                    name: text(&node["metadata"]["name"]),
                    ready: ready.next().is_some_and(|c| c["status"] == "True"),
                    boot: text(&node["status"]["nodeInfo"]["bootID"]),
                }
            })
            .collect())
    }

    /// The pods of the tests' own.
    pub fn pods(&mut self) -> Result<Vec<Pod>, String> {
        let list = self.json(&["pods"])?;
        Ok(items(&list)
            .map(|pod| {
                let container = &pod["status"]["containerStatuses"][0];
                Pod {
                    name: text(&pod["metadata"]["name"]),
                    app: text(&pod["metadata"]["labels"]["app"]),
                    node: text(&pod["spec"]["nodeName"]),
                    address: text(&pod["status"]["podIP"]),
                    ready: container["ready"] == true,
                    container: text(&container["containerID"]),
                    restarts: container["restartCount"].as_u64().unwrap_or_default(),
                }
            })
            .collect())
    }

    /// Everything that may tell why something is not as it should be.
    pub fn explain(&mut self) -> String {
        let questions: [&[&str]; 3] = [
            &["get", "nodes,pods", "--all-namespaces", "--output", "wide"],
            &["get", "events", "--all-namespaces", "--sort-by", ".lastTimestamp"],
            &["describe", "nodes"],
        ];
        let answers = questions.map(|question| self.kubectl(question).unwrap_or_else(|complaint| complaint));
        answers.join("\n")
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(tunnel) = &mut self.tunnel {
            let _ = tunnel.kill();
            let _ = tunnel.wait();
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

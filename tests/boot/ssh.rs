//! Logging in to a machine, as its owner does.
#![allow(dead_code)] // each test binary uses its own part

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::tool;

/// A way into a machine.
#[derive(Clone)]
pub struct Ssh {
    key: PathBuf,
    address: String,
    port: u16,
    /// The machine's address, where it is reached by way of the one behind the port.
    beyond: Option<String>,
}

impl Ssh {
    pub fn new(key: &Path, port: u16) -> Self {
        Self { key: key.to_owned(), address: "127.0.0.1".to_owned(), port, beyond: None }
    }

    /// The same at another address than this machine's loopback.
    pub fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    /// The same by way of this machine to another.
    pub fn beyond(&self, address: &str) -> Self {
        Self { beyond: Some(address.to_owned()), ..self.clone() }
    }

    /// `ssh` with everything but the remote command; `options` come first, and so win.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut ssh = tool("ssh", "openssh-client");
        let first = format!("ubuntu@{}", self.address);
        ssh.args(options).args(self.options());
        match &self.beyond {
            None => ssh.args(["-p", &self.port.to_string(), &first]),
            Some(address) => {
                let mut way = vec!["ssh".to_owned()];
                way.extend(self.options());
                way.extend(["-p".into(), self.port.to_string(), "-W".into(), "%h:%p".into()]);
                way.push(first);
                ssh.args(["-o", &format!("ProxyCommand={}", way.join(" "))]).arg(format!("ubuntu@{address}"))
            }
        };
        ssh.stdin(Stdio::null());
        ssh
    }

    fn options(&self) -> Vec<String> {
        let options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "LogLevel=ERROR",
            "ConnectTimeout=60",
            "ServerAliveInterval=30",
        ];
        let mut words = vec!["-F".into(), "/dev/null".into(), "-i".into(), self.key.display().to_string()];
        words.extend(options.iter().flat_map(|o| ["-o".to_owned(), (*o).to_owned()]));
        words
    }

    /// Runs a script with `sudo sh`.
    pub fn run(&self, script: &str) -> Output {
        let mut command = self.command(&[]);
        command
            .args(["sudo", "sh", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // where the machine does not answer, the output says so
        let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Asks several questions at once, as one connection is slow enough: what each command printed,
    /// and `=N` where it failed.
    pub fn ask(&self, questions: &[(&'static str, &str)]) -> Answers {
        let script = questions
            .iter()
            .map(|(name, command)| {
                format!("printf '\\036{name}\\037'\n( {command}\n) 2>&1 </dev/null || printf '=%s' $?\n")
            })
            .collect::<String>();
        let out = self.run(&script);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let answers = text.split('\u{1e}').filter_map(|part| {
            let (name, answer) = part.split_once('\u{1f}')?;
            Some((name.to_owned(), answer.trim_end().to_owned()))
        });
        let answers: BTreeMap<String, String> = answers.collect();
        let complete = out.status.success() && answers.len() == questions.len();
        assert!(complete, "{}: {text}{}", out.status, String::from_utf8_lossy(&out.stderr));
        Answers(answers)
    }
}

/// What a machine answered, by the names of the questions.
pub struct Answers(BTreeMap<String, String>);

impl std::ops::Index<&str> for Answers {
    type Output = str;
    fn index(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("nothing was asked about {name}"))
    }
}

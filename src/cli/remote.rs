//! Reaching nodes by SSH, as `.pibake/ssh_config` says: by the `ssh` of this machine, so that the user's agent, keys
//! and habits count.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::description::ClusterFlags;
use super::session::Session;
use crate::cluster::Node;
use crate::error::{Doing, ErrorClass, Failure};
use crate::identity::Identity;
use crate::io::{CancelToken, shell_word};
use crate::project::Project;

/// No node has as much to say, in bytes.
const MOST: u64 = 4 << 20;
/// What every command on a node is run with.
const COMMON: [&str; 5] = ["-T", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"];
/// What ssh says of a host key that is not the one that it knows.
const OTHER_KEY: &str = "Host key verification failed";
/// How often whoever waits for a node looks whether that is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// By what way the control plane is reached where that is not its address in the cluster's network.
#[derive(Debug, Args)]
pub(super) struct Route {
    /// Where to reach the control plane: its address or name on the WiFi's side, or a forwarded port
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) via: Option<Via>,
}

/// By what way all nodes are reached.
#[derive(Debug, Args)]
pub(super) struct Way {
    #[command(flatten)]
    route: Route,
    /// Reach each node at its own address, from the cluster's switch: not by way of the control plane
    #[arg(long, conflicts_with = "via")]
    direct: bool,
}

impl Way {
    /// As [`Reached::open`].
    pub(super) fn open(&self, cluster: &ClusterFlags, session: &Session) -> Result<Reached, Failure> {
        let reached = Reached::open(cluster, &self.route, session)?;
        Ok(Reached { direct: self.direct, ..reached })
    }
}

/// A host and, where it is not the usual one, a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Via {
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl FromStr for Via {
    type Err = &'static str;

    /// Takes `host`, `host:22`, `fe80::1` and `[fe80::1]:22`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a host or HOST:PORT, as in 192.168.1.77 or [fe80::1]:22";
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(FORM)?;
                match rest {
                    "" => (host, None),
                    _ => (host, Some(rest.strip_prefix(':').ok_or(FORM)?)),
                }
            }
            // Of an IPv6 address without brackets all is the host.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port != 0).ok_or(FORM)?)
            }
            Some(_) => return Err(FORM),
            None => None,
        };
        // What ssh and shells would take for something else than a host.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
        if address.is_empty()
            || address.starts_with('-')
            || zone.is_empty()
            || !(address.chars().chain(zone.chars())).all(is_plain)
        {
            return Err(FORM);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A cluster that was built, with what reaches its nodes.
pub(super) struct Reached {
    pub(super) project: Project,
    pub(super) identity: Identity,
    via: Option<Via>,
    direct: bool,
}

impl Reached {
    /// Opens the description and the secrets beside it, which must be there.
    pub(super) fn open(cluster: &ClusterFlags, route: &Route, session: &Session) -> Result<Self, Failure> {
        let project = cluster.open(session)?;
        if project.is_new()? {
            let state = project.store().dir().display();
            return Err(Failure::usage(format!(
                "there is no {state}, and so no cluster yet: pibake build or pibake flash makes one"
            )));
        }
        // Brings ssh_config, known_hosts and admin.conf up to date with the description.
        let identity = project.identity()?;
        Ok(Self { project, identity, via: route.via.clone(), direct: false })
    }

    /// The node that the control plane is on.
    pub(super) fn first(&self) -> Result<&Node, Failure> {
        self.project.cluster.control_plane().ok_or_else(|| Failure::usage("the cluster has no control plane"))
    }

    /// `ssh` to that node, with these words after `ssh`, before the node's name.
    pub(super) fn ssh(&self, node: &Node, options: &[&str]) -> Command {
        let config = self.project.store().ssh_config();
        let config = std::path::absolute(&config).unwrap_or(config);
        let mut command = Command::new("ssh");
        command.arg("-F").arg(&config);
        let first = self.project.cluster.control_plane();
        match (&self.via, first) {
            (Some(via), _) if node.is_control_plane() => {
                command.args(overrides(via));
            }
            (Some(via), Some(first)) => {
                // ssh reads `%` in it as the beginning of a word of its own.
                let begin = format!("ssh -F {} {}", shell_word(&config), overrides(via).join(" "));
                let jump = format!("{} -W [%h]:%p {}", begin.replace('%', "%%"), first.name);
                command.arg("-o").arg(format!("ProxyCommand={jump}"));
            }
            _ => {}
        }
        if self.direct {
            command.args(["-o", "ProxyJump=none"]);
        }
        command.args(options).arg(node.name.as_str());
        command
    }

    /// Runs a command on that node, with more options of ssh's.
    pub(super) fn run(&self, node: &Node, options: &[&str], script: &str) -> Answer {
        let out = match self.output(node, options, script) {
            Ok(out) => out,
            Err(failure) => return Answer::Unreachable(failure.to_string()),
        };
        Answer::of(out.status.code(), &out.stdout, &out.stderr)
    }

    /// Runs a command on that node, gives it `input`, and hands on what it prints line by line, as it comes. Ends early
    /// when it is not wanted any more; the answer says nothing then.
    pub(super) fn follow(
        &self,
        node: &Node,
        options: &[&str],
        script: &str,
        input: &[u8],
        cancel: &CancelToken,
        mut line: impl FnMut(&str),
    ) -> Result<Answer, Failure> {
        let mut ssh = self.ssh(node, &[&COMMON[..], options].concat());
        ssh.arg("--").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn().doing(running)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = input.to_owned();
        let given = thread::spawn(move || {
            // Whoever does not read it says why.
            stdin.map(|mut stdin| stdin.write_all(&input).and_then(|()| stdin.flush()))
        });
        let errors = thread::spawn(move || all_of(stderr, MOST));
        let (lines, read) = mpsc::channel();
        thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout.take(MOST)).split(b'\n').map_while(Result::ok) {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        loop {
            match read.recv_timeout(LOOK) {
                Ok(text) => line(&text),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    // One that has ended meanwhile is none to be ended.
                    let _ = child.kill();
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let status = child.wait().doing(running)?;
        let _ = given.join();
        Ok(Answer::of(status.code(), b"", &errors.join().unwrap_or_default()))
    }

    /// What a command on that node prints, up to [`MOST`] bytes of each kind, with more options of ssh's.
    pub(super) fn output(&self, node: &Node, options: &[&str], script: &str) -> Result<Output, Failure> {
        let mut ssh = self.ssh(node, &[&COMMON[..], options].concat());
        ssh.arg("--").arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn().doing(running)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let errors = thread::spawn(move || all_of(stderr, MOST));
        let stdout = all_of(stdout, MOST);
        let status = child.wait().doing(running)?;
        Ok(Output { status, stdout, stderr: errors.join().unwrap_or_default() })
    }
}

/// How a command on a node went.
pub(super) enum Answer {
    /// It succeeded, and said this.
    Said(String),
    /// It failed, and said this last.
    Failed(String),
    /// The node was not reached, for this reason.
    Unreachable(String),
}

impl Answer {
    fn of(code: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Self {
        if code == Some(0) {
            return Self::Said(String::from_utf8_lossy(stdout).into_owned());
        }
        let said = String::from_utf8_lossy(stderr);
        // What comes after it only tells that the connection ended.
        let key = said.lines().find(|line| line.contains(OTHER_KEY));
        let last = key.or(said.trim().lines().last()).unwrap_or("it failed and said nothing").to_owned();
        // ssh(1), EXIT STATUS: 255 is its own. One that was ended by a signal reaches nobody, either.
        if matches!(code, Some(255) | None) { Self::Unreachable(last) } else { Self::Failed(last) }
    }
}

/// Why a node is not talked to, where ssh says that its host key is not the one that pibake made.
pub(super) fn other_key(node: &Node, why: &str) -> Option<Failure> {
    why.contains(OTHER_KEY).then(|| {
        Failure::new(
            ErrorClass::Verification,
            format!(
                "{name} at {address}, or what is on the way to it, has another host key than pibake made for it: another \
                 machine answers there, or its card was written elsewhere. Nothing is told to it",
                name = node.name,
                address = node.address
            ),
        )
    })
}

fn running() -> String {
    "running ssh, which is in the package openssh-client".to_owned()
}

/// What a program prints, up to so many bytes. What cannot be read is missing: whoever asks sees whether it is whole.
pub(super) fn all_of(source: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(source) = source {
        let _ = source.take(most).read_to_end(&mut bytes);
    }
    bytes
}

fn overrides(via: &Via) -> Vec<String> {
    let mut options = vec!["-o".to_owned(), format!("HostName={}", via.host)];
    if let Some(port) = via.port {
        options.extend(["-o".to_owned(), format!("Port={port}")]);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("192.168.1.77", "192.168.1.77", None),
            ("pi.example:2222", "pi.example", Some(2222)),
            ("fe80::1", "fe80::1", None),
            ("[fe80::1]", "fe80::1", None),
            ("[fe80::1%eth0]:22", "fe80::1%eth0", Some(22)),
        ] {
            assert_eq!(text.parse(), Ok(Via { host: host.to_owned(), port }), "{text}");
        }
        for bad in [
            "",
            ":22",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:x",
            "[fe80::1",
            "[a]b",
            "-oProxyCommand=x",
            "a b",
            "a;b",
            "user@a",
            "a%",
            "a$(b)",
            "a\n",
        ] {
            assert!(bad.parse::<Via>().is_err(), "{bad}");
        }
    }
}

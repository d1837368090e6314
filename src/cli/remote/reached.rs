//! The nodes of a cluster that was built, and the way to each.

use std::process::Command;

use clap::Args;

use super::answer::Answer;
use super::via::Via;
use crate::cli::description::ClusterFlags;
use crate::cli::session::Session;
use crate::cli::talk::{Ended, Until, talk};
use crate::cluster::Node;
use crate::error::Failure;
use crate::identity::Identity;
use crate::io::shell_word;
use crate::project::Project;

/// No node has as much to say, in bytes.
const MOST: usize = 4 << 20;
/// What every command on a node is run with. A connection that carries nothing any more ends within a minute.
const COMMON: [&str; 9] = [
    "-T",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ServerAliveCountMax=4",
];

/// By what way the control plane is reached where that is not its address in the cluster's network.
#[derive(Debug, Args)]
pub(in crate::cli) struct Route {
    /// Where to reach the control plane: its address or name on the WiFi's side, or a forwarded port
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(in crate::cli) via: Option<Via>,
}

/// By what way all nodes are reached.
#[derive(Debug, Args)]
pub(in crate::cli) struct Way {
    #[command(flatten)]
    route: Route,
    /// Reach each node at its own address, from the cluster's switch: not by way of the control plane
    #[arg(long, conflicts_with = "via")]
    direct: bool,
}

impl Way {
    /// As [`Reached::open`].
    pub(in crate::cli) fn open(&self, cluster: &ClusterFlags, session: &Session) -> Result<Reached, Failure> {
        let reached = Reached::open(cluster, &self.route, session)?;
        Ok(Reached { direct: self.direct, ..reached })
    }
}

/// A cluster that was built, with what reaches its nodes.
pub(in crate::cli) struct Reached {
    pub(in crate::cli) project: Project,
    pub(in crate::cli) identity: Identity,
    via: Option<Via>,
    direct: bool,
}

impl Reached {
    /// Opens the description and the secrets beside it, which must be there.
    pub(in crate::cli) fn open(
        cluster: &ClusterFlags,
        route: &Route,
        session: &Session,
    ) -> Result<Self, Failure> {
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
    pub(in crate::cli) fn first(&self) -> Result<&Node, Failure> {
        self.project.cluster.control_plane().ok_or_else(|| Failure::usage("the cluster has no control plane"))
    }

    /// `ssh` to that node, with these words after `ssh`, before the node's name.
    pub(in crate::cli) fn ssh(&self, node: &Node, options: &[&str]) -> Command {
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

    /// `ssh` that runs a command on that node, with more options of ssh's.
    pub(in crate::cli) fn command(&self, node: &Node, options: &[&str], script: &str) -> Command {
        let mut ssh = self.ssh(node, &[&COMMON[..], options].concat());
        ssh.arg("--").arg(script);
        ssh
    }

    /// Runs a command on that node, with more options of ssh's.
    pub(in crate::cli) fn run(
        &self,
        node: &Node,
        options: &[&str],
        script: &str,
        until: Until<'_>,
    ) -> Answer {
        let mut said = Vec::new();
        let ended = talk(self.command(node, options, script), b"", until, |bytes| {
            said.extend_from_slice(bytes);
            Ok(said.len() <= MOST)
        });
        match ended {
            Ok(ended) => Answer::of(ended, &said),
            Err(failure) => Answer::Unreachable(failure.to_string()),
        }
    }

    /// Runs a command on that node, gives it `input`, and hands on what it prints line by line, as it comes, until `line`
    /// says that it is enough.
    pub(in crate::cli) fn follow(
        &self,
        node: &Node,
        options: &[&str],
        script: &str,
        input: &[u8],
        until: Until<'_>,
        mut line: impl FnMut(&str) -> bool,
    ) -> Result<Answer, Failure> {
        let (mut rest, mut count, mut is_enough) = (Vec::new(), 0, false);
        let ended = talk(self.command(node, options, script), input, until, |bytes| {
            rest.extend_from_slice(bytes);
            count += bytes.len();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let text: Vec<u8> = rest.drain(..=end).collect();
                if !line(&String::from_utf8_lossy(&text[..end])) {
                    is_enough = true;
                    return Ok(false);
                }
            }
            Ok(count <= MOST)
        })?;
        if is_enough {
            return Ok(Answer::Said(String::new()));
        }
        if matches!(ended, Ended::ByItself { .. }) && !rest.is_empty() {
            line(&String::from_utf8_lossy(&rest));
        }
        Ok(Answer::of(ended, b""))
    }
}

fn overrides(via: &Via) -> Vec<String> {
    let mut options = vec!["-o".to_owned(), format!("HostName={}", via.host)];
    if let Some(port) = via.port {
        options.extend(["-o".to_owned(), format!("Port={port}")]);
    }
    options
}

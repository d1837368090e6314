//! `pibake ssh`: a shell or a command on a node.

use std::os::unix::process::CommandExt;

use clap::Args;

use super::description::ClusterFlags;
use super::remote::Way;
use super::session::Session;
use crate::error::Failure;
use crate::workflow::NodeSelector;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake ssh node-2                      a shell on node-2\n  pibake ssh 1 -- sudo crictl ps         one command on node-1\n\nThe nodes' host keys are known, since pibake made them. The same without pibake: ssh -F .pibake/ssh_config node-2"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    way: Way,
    /// The node, by number or name
    #[arg(value_name = "NODE")]
    node: NodeSelector,
    /// The command to run instead of a shell; pibake exits with its exit code
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<std::ffi::OsString>,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    if session.is_json() {
        return Err(Failure::usage("pibake ssh prints what the node prints, and so has no --json"));
    }
    let reached = arguments.way.open(&arguments.cluster, session)?;
    let node = arguments.node.find(&reached.project.cluster)?;
    let mut ssh = reached.ssh(node, &[]);
    if !arguments.command.is_empty() {
        ssh.arg("--").args(&arguments.command);
    }
    // In pibake's place, so that signals and the exit code are ssh's own.
    let error = ssh.exec();
    Err(Failure::of_io(error, "running ssh, which is in the package openssh-client,"))
}

//! `pibake remove`: takes a worker out of the cluster.

use std::fmt::Display;

use clap::Args;

use super::description::ClusterFlags;
use super::json::Removed;
use super::remote::{Answer, Reached, Way, other_key};
use super::session::Session;
use super::talk::Until;
use crate::cluster::Node;
use crate::error::{Doing, ErrorClass, Failure};
use crate::identity::token::id;
use crate::io::CancelToken;
use crate::workflow::NodeSelector;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake remove --node 3          its pods go to other nodes first\n  pibake remove --node 3 --force  also where a pod cannot be moved\n\nThe node's pods are moved to other nodes, it is reset and deleted, and its token is revoked. Its entry in \
                        pibake.toml stays: a card that is written for it makes it a node again."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    way: Way,
    /// The node, by number or name
    #[arg(long, value_name = "N")]
    node: NodeSelector,
    /// Remove it also where its pods cannot be moved
    #[arg(long)]
    force: bool,
}

/// What kubectl is told by, on the control plane.
const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let reached = arguments.way.open(&arguments.cluster, session)?;
    let cluster = &reached.project.cluster;
    let node = arguments.node.find(cluster)?;
    let first = reached.first()?;
    if node.is_control_plane() {
        return Err(Failure::usage(format!(
            "{} is the control plane, without which there is no cluster: docs/life.md tells how to take one down",
            node.name
        )));
    }
    let removal = Removal { reached: &reached, node, first, cancel: session.control.cancel() };
    let is_member = removal.is_member()?;
    let drained = is_member && {
        session.progress().note(&format!("moving the pods of {} to other nodes", node.name));
        removal.drain(arguments.force)?
    };
    session.progress().note(&format!("resetting {}", node.name));
    let reset = removal.reset()?;
    removal.delete()?;
    let mut advice = Vec::new();
    if let Err(why) = &reset {
        advice.push(format!(
            "{name} could not be reset ({why}): its card still has a certificate of this cluster, with which it \
             would register again. Switch it off, and erase the card",
            name = node.name
        ));
    }
    let is_last = cluster.nodes.last().is_some_and(|last| last.number == node.number);
    advice.push(if is_last {
        format!(
            "in pibake.toml set nodes = {}, or build and status will still count {}",
            node.number - 1,
            node.name
        )
    } else {
        format!(
            "{} is still one of the nodes in pibake.toml, between others that keep their numbers",
            node.name
        )
    });
    let reset = reset.is_ok();
    session.result(&Removed { node: node.name.to_string(), drained, reset, advice: advice.clone() }, || {
        let mut text = format!("{} is no longer part of the cluster\n", node.name);
        text.extend(advice.iter().map(|line| format!("{}\n", crate::ui::visible_line(line))));
        text
    })
}

/// One removal. Each step says, where it is the last one, what stands then.
struct Removal<'a> {
    reached: &'a Reached,
    node: &'a Node,
    first: &'a Node,
    cancel: &'a CancelToken,
}

impl Removal<'_> {
    fn run(&self, on: &Node, script: &str) -> Answer {
        self.reached.run(on, &[], &as_root(script), Until::cancelled(self.cancel))
    }

    /// The same of what others follow on: none is begun any more when the run is cancelled.
    fn run_unless_last(&self, on: &Node, script: &str) -> Answer {
        let answer = self.run(on, script);
        if self.cancel.is_cancelled() { Answer::Cancelled } else { answer }
    }

    /// Whether the node is part of the cluster.
    fn is_member(&self) -> Result<bool, Failure> {
        let name = &self.node.name;
        match self.run_unless_last(self.first, &look(self.node)) {
            Answer::Said(text) => {
                let found = format!("node/{name}");
                Ok(text.lines().any(|line| line == found))
            }
            Answer::Failed(why) => Err(Failure::new(
                ErrorClass::Failed,
                format!("the cluster does not say whether {name} is part of it: {why}; nothing was changed"),
            )),
            Answer::Unreachable(why) => Err(other_key(self.first, &why).unwrap_or_else(|| {
                let text =
                    format!("{} cannot be reached by SSH: {why}; nothing was changed", self.first.name);
                Failure::new(ErrorClass::Network, text)
            })),
            Answer::Cancelled => Err(cancelled("nothing was changed")),
        }
    }

    /// Moves its pods to other nodes; whether that came to its end. With `force` it need not.
    fn drain(&self, force: bool) -> Result<bool, Failure> {
        let (name, first) = (&self.node.name, &self.first.name);
        match self.run_unless_last(self.first, &drain(self.node)) {
            Answer::Said(_) => Ok(true),
            Answer::Failed(_) if force => Ok(false),
            Answer::Failed(why) => Err(Failure::new(
                ErrorClass::Failed,
                format!(
                    "the pods of {name} cannot be moved: {why}. It is still part of the cluster, and gets no new pods: \
                     kubectl uncordon {name} takes that back, and --force removes it nonetheless"
                ),
            )),
            Answer::Unreachable(why) => Err(Failure::new(
                ErrorClass::Network,
                format!(
                    "the connection to {first} was lost while the pods of {name} were being moved: {why}. That may go on \
                     there, and {name} gets no new pods: kubectl uncordon {name} takes that back, and the same command \
                     goes on with it"
                ),
            )),
            Answer::Cancelled => Err(cancelled(format!(
                "{name} gets no new pods: kubectl uncordon {name} takes that back. Those that it has may still be moved \
                 to other nodes, for five minutes at most"
            ))),
        }
    }

    /// Takes from the node what kubeadm made on it; why that was not done, where it cannot be. A kubelet that runs would
    /// register its node again.
    fn reset(&self) -> Result<Result<(), String>, Failure> {
        match self.run_unless_last(self.node, RESET) {
            Answer::Said(_) => Ok(Ok(())),
            Answer::Failed(why) | Answer::Unreachable(why) => Ok(Err(why)),
            Answer::Cancelled => Err(cancelled(format!(
                "{} was being reset, and is still one of the cluster's nodes: the same command goes on with it",
                self.node.name
            ))),
        }
    }

    /// Takes it out of the cluster, and its token back; the token that it has here is another one then.
    fn delete(&self) -> Result<(), Failure> {
        let (name, identity) = (&self.node.name, &self.reached.identity);
        let token = identity.tokens.of(self.node.number).filter(|_| !identity.tokens.is_shared());
        match self.run(self.first, &delete(self.node, token.map(id))) {
            Answer::Said(_) => {}
            Answer::Failed(why) | Answer::Unreachable(why) => {
                let text = format!("{name} cannot be deleted: {why}. The same command goes on with it");
                return Err(Failure::new(ErrorClass::Failed, text));
            }
            Answer::Cancelled => {
                return Err(cancelled(format!(
                    "{name} was reset, and may still be one of the cluster's nodes: the same command goes on with it"
                )));
            }
        }
        if token.is_some() {
            self.reached.project.renew_token(self.node).doing(|| {
                format!("{name} is no longer part of the cluster; giving it another token (pibake token new {name})")
            })?;
        }
        Ok(())
    }
}

/// What stands now that nobody wants to go on.
fn cancelled(what: impl Display) -> Failure {
    Failure::new(ErrorClass::Cancelled, format!("cancelled; {what}"))
}

/// No script here has a quote in it, and names of nodes are plain labels.
fn as_root(script: &str) -> String {
    format!("sudo -n sh -c '{script}'")
}

/// Says the node's name where it is part of the cluster, and changes nothing.
fn look(node: &Node) -> String {
    format!("{KUBECTL} get node {} --ignore-not-found --output name", node.name)
}

/// A pod on a node that is dead never ends; after a minute it is not waited for.
fn drain(node: &Node) -> String {
    format!(
        "{KUBECTL} drain {} --ignore-daemonsets --delete-emptydir-data --force --skip-wait-for-delete-timeout=60 \
         --timeout=300s",
        node.name
    )
}

const RESET: &str = "systemctl disable --now pibake-copies.timer pibake-certificates.timer pibake-member.timer; \
                     kubeadm reset --force && systemctl disable --now kubelet";

fn delete(node: &Node, token: Option<&str>) -> String {
    let revoke = token.map_or_else(String::new, |id| {
        format!(" && {KUBECTL} --namespace kube-system delete secret bootstrap-token-{id} --ignore-not-found")
    });
    format!("{KUBECTL} delete node {} --ignore-not-found{revoke}", node.name)
}

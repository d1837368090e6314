//! `pibake remove`: takes a worker out of the cluster.

use clap::Args;

use super::description::ClusterFlags;
use super::json::Removed;
use super::remote::{Answer, Way};
use super::session::Session;
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};
use crate::identity::token::id;
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
/// What a node that is gone says of itself.
const ABSENT: &str = "pibake: absent";

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
    let on_first = |script: &str| reached.run(first, &[], &as_root(script));

    session.progress().note(&format!("moving the pods of {} to other nodes", node.name));
    let drained = match on_first(&drain(node)) {
        Answer::Said(text) => !text.contains(ABSENT),
        Answer::Unreachable(why) => return Err(unreachable(first, &why)),
        Answer::Failed(_) if arguments.force => false,
        Answer::Failed(why) => {
            return Err(Failure::new(
                ErrorClass::Failed,
                format!(
                    "the pods of {name} cannot be moved: {why}. It is still part of the cluster, and gets no new pods: \
                     kubectl uncordon {name} takes that back, and --force removes it nonetheless",
                    name = node.name
                ),
            ));
        }
    };
    // A kubelet that runs would register its node again.
    session.progress().note(&format!("resetting {}", node.name));
    let reset = reached.run(node, &[], &as_root(RESET));
    let token = reached.identity.tokens.of(node.number).filter(|_| !reached.identity.tokens.is_shared());
    if let Answer::Unreachable(why) | Answer::Failed(why) = on_first(&delete(node, token.map(id))) {
        return Err(Failure::new(ErrorClass::Failed, format!("{} cannot be deleted: {why}", node.name)));
    }
    if token.is_some() {
        reached.project.renew_token(node)?;
    }
    let mut advice = Vec::new();
    if let Answer::Unreachable(why) | Answer::Failed(why) = &reset {
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
    let reset = matches!(reset, Answer::Said(_));
    session.result(&Removed { node: node.name.to_string(), drained, reset, advice: advice.clone() }, || {
        let mut text = format!("{} is no longer part of the cluster\n", node.name);
        text.extend(advice.iter().map(|line| format!("{}\n", crate::ui::visible_line(line))));
        text
    })
}

fn unreachable(first: &Node, why: &str) -> Failure {
    Failure::new(
        ErrorClass::Network,
        format!("{} cannot be reached by SSH: {why}; nothing was changed", first.name),
    )
}

/// No script here has a quote in it, and names of nodes are plain labels.
fn as_root(script: &str) -> String {
    format!("sudo -n sh -c '{script}'")
}

/// A pod on a node that is dead never ends; after a minute it is not waited for.
fn drain(node: &Node) -> String {
    let name = &node.name;
    format!(
        "{KUBECTL} get nodes >/dev/null || exit; {KUBECTL} get node {name} >/dev/null 2>&1 || {{ echo \"{ABSENT}\"; exit 0; }}; \
         {KUBECTL} drain {name} --ignore-daemonsets --delete-emptydir-data --force --skip-wait-for-delete-timeout=60 \
         --timeout=300s"
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

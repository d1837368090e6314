//! `pibake token`: what nodes join with.
//!
//! The tokens are kept here; which of them the cluster takes, it alone knows. What has to be done there is
//! done by kubectl, where that is installed and reaches the cluster, and said otherwise.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::description::ClusterFlags;
use super::json::{Token, TokenChanged, Tokens};
use super::kubectl::kubectl;
use super::session::Session;
use super::shortened::{WORD_MAX, shortened};
use crate::cluster::{Node, Secret};
use crate::error::{DoingAs, ErrorClass, Failure};
use crate::identity::Identity;
use crate::identity::token::id;
use crate::io::{CancelToken, shell_word};
use crate::project::Project;
use crate::ui::{Table, visible_line};
use crate::workflow::NodeSelector;

/// The type of the secrets that are tokens, and the group that their users are in
/// (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens).
const KIND: &str = "bootstrap.kubernetes.io/token";
const GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

/// How long the API server may take to say what is there, and to change it: the second is not given up lightly, for
/// then it must be done by hand. A Pi whose card is slow has been seen to take more than five seconds.
const LOOK: &str = "--request-timeout=5s";
const CHANGE: &str = "--request-timeout=30s";

#[derive(Debug, Args)]
#[command(
    after_help = "SECURITY.md tells what a token is good for, and what to do when a card was lost.\n\nExamples:\n  \
                        pibake token                    each node's token\n  \
                        pibake token new node-3         before its card is written again\n  \
                        pibake token revoke node-3      after its card was lost"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List each node's token by its public part, and whether the cluster takes it (the default)
    List,
    /// Give a node a new token, for a card that is to be written again
    New {
        /// The node, by number or name
        #[arg(value_name = "NODE")]
        node: NodeSelector,
    },
    /// Revoke a node's token, for a card that was lost
    Revoke {
        /// The node, by number or name
        #[arg(value_name = "NODE")]
        node: NodeSelector,
    },
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let project = arguments.cluster.open(session)?;
    let Some(identity) = project.existing_identity()? else {
        let state = project.store().dir().display();
        return Err(Failure::usage(format!(
            "there is no {state}, and so no token yet: the first build makes both"
        )));
    };
    match &arguments.action {
        None | Some(Action::List) => list(&project, &identity, session),
        Some(Action::New { node }) => change(&project, &identity, worker(&project, node)?, true, session),
        Some(Action::Revoke { node }) => change(&project, &identity, worker(&project, node)?, false, session),
    }
}

fn worker<'a>(project: &'a Project, selector: &NodeSelector) -> Result<&'a Node, Failure> {
    let node = selector.find(&project.cluster)?;
    if node.is_control_plane() {
        let text = format!("{} is the control plane: it joins nobody and needs no token", node.name);
        return Err(Failure::usage(text));
    }
    Ok(node)
}

/// What the cluster says of a token that it takes: when it ends.
type Taken = BTreeMap<String, Option<String>>;

fn list(project: &Project, identity: &Identity, session: &Session) -> Result<(), Failure> {
    let taken = taken(project, session.control.cancel());
    session.control.cancel().check()?;
    if let Err(why) = &taken {
        session.progress().note(&format!("what the cluster takes is not known: {why}"));
    }
    let unknown_because = taken.as_ref().err().map(ToString::to_string);
    let workers = project.cluster.nodes.iter().filter(|node| !node.is_control_plane());
    let token = |node: &Node| {
        let id = id(identity.tokens.of(node.number)?);
        let end = taken.as_ref().ok().map(|taken| taken.get(id));
        Some(Token {
            node: node.name.to_string(),
            token_id: id.to_owned(),
            in_cluster: end.map(|end| end.is_some()),
            ends: end.flatten().cloned().flatten().map(|end| shortened(&end, WORD_MAX)),
        })
    };
    let tokens = workers.filter_map(token).collect();
    let document = Tokens { tokens, shared: identity.tokens.is_shared(), unknown_because };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "TOKEN", "THE CLUSTER TAKES IT"]);
        for token in &document.tokens {
            let says = match (token.in_cluster, &token.ends) {
                (None, _) => "not known".to_owned(),
                (Some(false), _) => "no: it was used, has ended, or was taken back".to_owned(),
                (Some(true), Some(end)) => format!("until {end}"),
                (Some(true), None) => "yes, without an end".to_owned(),
            };
            table.row([token.node.clone(), token.token_id.clone(), says]);
        }
        let mut text = table.to_string();
        if document.shared {
            text += "All nodes share one token, as an older pibake made it; `pibake token new NODE` gives one its own.\n";
        }
        text
    })
}

/// Gives a node another token here, takes the old one back in the cluster, and makes the new one known
/// there where it is to be used.
fn change(
    project: &Project,
    identity: &Identity,
    node: &Node,
    used: bool,
    session: &Session,
) -> Result<(), Failure> {
    let old = identity.tokens.of(node.number).cloned();
    let old =
        old.ok_or_else(|| Failure::new(ErrorClass::Internal, format!("{} can have no token", node.name)))?;
    // One that others have, too, is still theirs.
    let others = project.cluster.nodes.iter().filter(|other| other.number != node.number);
    let is_own = !identity.tokens.is_shared()
        && others.filter_map(|other| identity.tokens.of(other.number)).all(|other| *other != old);
    let new = project.renew_token(node)?;
    let ttl = project.cluster.access.token_ttl;
    let description = format!("pibake: {}", node.name);
    let cancel = session.control.cancel();

    let mut commands = Vec::new();
    let mut fault = None;
    let mut attempt = |done: Result<(), Failure>, by_hand: String| {
        if let Err(error) = done {
            commands.push(by_hand);
            fault.get_or_insert(error);
        }
    };
    if is_own {
        attempt(delete(project, id(&old), cancel), format!("sudo kubeadm token delete {}", id(&old)));
    }
    if used {
        let create = format!(
            "sudo kubeadm token create {} --ttl {} --description {}",
            new.reveal(),
            ttl.to_go(),
            shell_word(&description)
        );
        attempt(create_token(project, &new, &description, cancel), create);
    }
    let (node_name, token_id) = (node.name.to_string(), id(&new).to_owned());
    let document = TokenChanged { node: node_name, token_id, done: commands.is_empty(), commands };
    session.result(&document, || {
        let mut text = match used {
            true => format!("{} has a new token, {}: write its card again\n", node.name, id(&new)),
            false => format!("{}'s token {} is taken back\n", node.name, id(&old)),
        };
        if let Some(fault) = &fault {
            let first = project.cluster.control_plane().map_or_else(String::new, |n| n.address.to_string());
            text += &format!(
                "The cluster does not know yet ({}).\nRun on node-1 (ssh {}@{first}), or write node-1's \
                 card again if it was never started:\n",
                visible_line(&fault.to_string()),
                project.cluster.access.user
            );
            text.extend(document.commands.iter().map(|command| format!("    {command}\n")));
        }
        if !used && !is_own {
            text += "Other nodes still have the same token, which an older pibake made for all: it stays in the cluster.\n";
        }
        text
    })?;
    // not before it was said what is left to do
    Ok(cancel.check()?)
}

fn taken(project: &Project, cancel: &CancelToken) -> Result<Taken, Failure> {
    let selector = format!("type={KIND}");
    let get = ["get", "secrets", "--field-selector", &selector, "--output=json"];
    let text = in_cluster(project, LOOK, &get, None, cancel)?;
    let list: Value = serde_json::from_str(&text)
        .doing_as(ErrorClass::Failed, || "reading what kubectl says".to_owned())?;
    let field = |item: &Value, name: &str| {
        let bytes = STANDARD.decode(item["data"][name].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    };
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(items.iter().filter_map(|item| Some((field(item, "token-id")?, field(item, "expiration")))).collect())
}

fn delete(project: &Project, id: &str, cancel: &CancelToken) -> Result<(), Failure> {
    let secret = format!("secret/bootstrap-token-{id}");
    in_cluster(project, CHANGE, &["delete", "--ignore-not-found", &secret], None, cancel).map(drop)
}

fn create_token(
    project: &Project,
    token: &Secret,
    description: &str,
    cancel: &CancelToken,
) -> Result<(), Failure> {
    let parts = token.reveal().split_once('.');
    let (id, secret) = parts.ok_or_else(|| Failure::new(ErrorClass::Internal, "a token has two parts"))?;
    let mut data = json!({
        "token-id": id, "token-secret": secret, "description": description, "auth-extra-groups": GROUP,
        "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
    });
    if let Some(seconds) = project.cluster.access.token_ttl.seconds() {
        let ending = || format!("finding the day {seconds} seconds from now, when the token ends");
        let end = OffsetDateTime::from_unix_timestamp(project.now().saturating_add(seconds));
        let end = end.doing_as(ErrorClass::Configuration, ending)?;
        data["expiration"] = json!(end.format(&Rfc3339).doing_as(ErrorClass::Configuration, ending)?);
    }
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": KIND, "stringData": data,
        "metadata": { "name": format!("bootstrap-token-{id}"), "namespace": "kube-system" },
    });
    // What kubectl would check it against is megabytes of schema, which a busy Pi takes long to hand out.
    let create = ["create", "--validate=false", "--filename=-"];
    in_cluster(project, CHANGE, &create, Some(&manifest.to_string()), cancel).map(drop)
}

/// Runs kubectl as the cluster's administrator.
fn in_cluster(
    project: &Project,
    patience: &str,
    arguments: &[&str],
    input: Option<&str>,
    cancel: &CancelToken,
) -> Result<String, Failure> {
    let admin = project.store().admin_conf();
    let admin = admin.as_os_str();
    let common = ["--kubeconfig".as_ref(), admin, patience.as_ref(), "--namespace=kube-system".as_ref()];
    kubectl(common.into_iter().chain(arguments.iter().map(AsRef::as_ref)), input, cancel)
}

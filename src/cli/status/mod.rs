//! `pibake status`: how the nodes are, asked by SSH of each.

mod ask;
mod health;

use std::thread;

use clap::Args;
use serde_json::Value;

use super::description::ClusterFlags;
use super::json::Status;
use super::remote::Way;
use super::session::Session;
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};
use crate::ui::Table;

use ask::{ask, part};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake status                    how all nodes are, and what to do\n  pibake status --json             the same for a script\n\nExits with 1 if something is wrong."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    way: Way,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let reached = arguments.way.open(&arguments.cluster, session)?;
    let (nodes, cancel) = (&reached.project.cluster.nodes, session.control.cancel());
    let asked: Vec<_> = thread::scope(|scope| {
        let reached = &reached;
        let asking: Vec<_> =
            nodes.iter().map(|node| scope.spawn(move || ask(reached, node, cancel))).collect();
        asking
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("asking it failed".to_owned())))
            .collect()
    });
    // The one node that speaks for the cluster: any other may have been taken over.
    let mut first = nodes.iter().zip(&asked).filter(|(node, _)| node.is_control_plane());
    let known = first.find_map(|(_, answer)| part(answer.as_ref().ok()?, "nodes"));
    let known: Option<Value> = known.and_then(|text| serde_json::from_str(text).ok());
    let status = |(node, answer): (&Node, &Result<String, String>)| health::of(node, answer, known.as_ref());
    let document = Status { nodes: nodes.iter().zip(&asked).map(status).collect() };
    session.result(&document, || shown(&document))?;
    let wrong = document.nodes.iter().filter(|node| !node.advice.is_empty()).count();
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::new(
            ErrorClass::Failed,
            format!("{wrong} of {} nodes need attention", document.nodes.len()),
        )),
    }
}

fn shown(document: &Status) -> String {
    let mut table =
        Table::new(["NODE", "FIRST BOOT", "READY", "KUBELET", "CERTIFICATES", "DISK FREE", "MEMORY FREE"]);
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
    let part_of = |free: Option<u64>, all: Option<u64>| {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        or_unknown(free.zip(all).map(|(free, all)| format!("{:.1} of {:.1} GiB", gib(free), gib(all))))
    };
    for node in &document.nodes {
        table.row([
            node.node.clone(),
            or_unknown(node.first_boot.as_ref().map(|boot| match boot.state.as_str() {
                "done" => "done".to_owned(),
                state => format!("{}: {state}", boot.stage),
            })),
            or_unknown(node.ready.map(|ready| if ready { "yes" } else { "no" }.to_owned())),
            or_unknown(node.kubelet.clone()),
            // The day is enough.
            or_unknown(
                node.certificates
                    .as_ref()
                    .and_then(|found| Some(format!("until {}", found.ends.as_ref()?.split('T').next()?))),
            ),
            part_of(node.disk_free_bytes, node.disk_bytes),
            part_of(node.memory_available_bytes, node.memory_bytes),
        ]);
    }
    let mut text = table.to_string();
    for node in &document.nodes {
        for advice in &node.advice {
            text += &format!("{}: {}\n", node.node, crate::ui::visible_line(advice));
        }
    }
    text
}

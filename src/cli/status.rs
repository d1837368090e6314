//! `pibake status`: how the nodes are, asked by SSH of each.

use std::thread;

use clap::Args;
use serde_json::Value;

use super::description::ClusterFlags;
use super::json::{CardStatus, Certificates, FirstBoot, NodeStatus, Status};
use super::remote::{Reached, Way};
use super::session::Session;
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};
use crate::io::assignment;
use crate::node_paths;
use crate::ui::Table;

/// What begins a part of the answer.
const HEADING: &str = "== pibake: ";
/// Disks and memory below that are told, in bytes: images of a new version need that much for a while, and
/// kubelet evicts pods where 100 MiB of memory are left (`memory.available`).
const LITTLE_DISK: u64 = 2 << 30;
const LITTLE_MEMORY: u64 = 200 << 20;

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
    let nodes = &reached.project.cluster.nodes;
    let asked: Vec<_> = thread::scope(|scope| {
        let reached = &reached;
        let asking: Vec<_> = nodes.iter().map(|node| scope.spawn(move || ask(reached, node))).collect();
        asking
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("asking it failed".to_owned())))
            .collect()
    });
    let known = asked.iter().flatten().find_map(|answer| part(answer, "nodes"));
    let known: Option<Value> = known.and_then(|text| serde_json::from_str(text).ok());
    let status = |(node, answer): (&Node, &Result<String, String>)| of(node, answer, known.as_ref());
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

/// Everything at once, since each login costs a Pi half a second.
fn script() -> String {
    let file = |name: &str, path: &str| format!("echo '{HEADING}{name}'; cat {path} 2>/dev/null; ");
    file("first-boot", node_paths::FIRST_BOOT_STATUS)
        + &file("certificates", node_paths::CERTIFICATES)
        + &file("card", node_paths::CARD)
        + &file("mounts", "/proc/self/mounts")
        + &file("memory", "/proc/meminfo")
        + &format!("echo '{HEADING}disk'; df -P -B 1 / 2>/dev/null; ")
        // Where the login user has a kubeconfig, on the control plane.
        + &format!("[ ! -s ~/.kube/config ] || {{ echo '{HEADING}nodes'; kubectl --request-timeout=10s get nodes -o json 2>/dev/null; }}; ")
        + &format!("echo '{HEADING}end'")
}

/// What a node answers, or why it does not.
fn ask(reached: &Reached, node: &Node) -> Result<String, String> {
    let out = reached.output(node, &["-o", "BatchMode=yes"], &script());
    let out = out.map_err(|failure| failure.to_string())?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if part(&said, "end").is_some() {
        return Ok(said);
    }
    let errors = String::from_utf8_lossy(&out.stderr);
    Err(errors.trim().lines().last().unwrap_or("the connection ended in the middle").to_owned())
}

/// The part of an answer under a heading.
fn part<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = answer.split_once(&format!("{HEADING}{name}\n"))?;
    Some(rest.split(HEADING).next().unwrap_or_default())
}

fn of(node: &Node, answer: &Result<String, String>, known: Option<&Value>) -> NodeStatus {
    let mut status = NodeStatus {
        node: node.name.to_string(),
        role: node.role.to_string(),
        address: node.address.to_string(),
        ..NodeStatus::default()
    };
    let member = known.and_then(|list| {
        list["items"].as_array()?.iter().find(|item| item["metadata"]["name"] == node.name.as_str())
    });
    if let Some(member) = member {
        let conditions = member["status"]["conditions"].as_array();
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        status.ready = ready.map(|condition| condition["status"] == "True");
        // `cordon`, a program of node-1's, marks whom it cordons.
        if !member["metadata"]["annotations"]["pibake-upgrade"].is_null() {
            status.advice.push(
                "an upgrade of it is under way, or was not finished: the same pibake upgrade goes on with it"
                    .to_owned(),
            );
        }
        status.kubelet = member["status"]["nodeInfo"]["kubeletVersion"].as_str().map(str::to_owned);
    }
    match answer {
        Ok(answer) => {
            status.reached = true;
            status.first_boot = part(answer, "first-boot").and_then(first_boot);
            status.card = part(answer, "card").and_then(card);
            status.read_only = part(answer, "mounts").and_then(is_read_only);
            status.certificates = part(answer, "certificates").and_then(certificates);
            (status.memory_bytes, status.memory_available_bytes) =
                memory(part(answer, "memory").unwrap_or_default());
            (status.disk_bytes, status.disk_free_bytes) = disk(part(answer, "disk").unwrap_or_default());
        }
        Err(why) => status.advice.push(format!("it cannot be reached by SSH: {why}")),
    }
    advise(&mut status, known.is_some());
    status
}

fn first_boot(text: &str) -> Option<FirstBoot> {
    let value = |key: &str| assignment(text, key).map(str::to_owned);
    Some(FirstBoot {
        state: value("state")?,
        stage: value("name").unwrap_or_default(),
        message: value("message").unwrap_or_default(),
    })
}

fn certificates(text: &str) -> Option<Certificates> {
    let value = |key: &str| assignment(text, key).map(str::to_owned);
    let state = value("state")?;
    let ends = text.lines().filter_map(|line| line.strip_prefix("certificate=")?.rsplit_once(' '));
    // RFC 3339 in UTC: the order of the texts is that of the times.
    let first = ends.min_by_key(|(_, end)| *end).map(|(path, end)| (path.to_owned(), end.to_owned()));
    let (first, ends) = first.unzip();
    Some(Certificates { state, message: value("message").unwrap_or_default(), first, ends })
}

fn card(text: &str) -> Option<CardStatus> {
    let value = |key: &str| assignment(text, key).map(str::to_owned);
    let errors = value("errors")?.parse().ok()?;
    Some(CardStatus { state: value("state")?, errors, message: value("message").unwrap_or_default() })
}

/// Of /proc/self/mounts: whether the root file system is mounted read-only, as the kernel does after errors.
fn is_read_only(text: &str) -> Option<bool> {
    let mut mounts = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    // A later one lies over those before.
    let options = mounts.rfind(|words| words.get(1) == Some(&"/"))?.get(3)?.to_owned();
    Some(options.split(',').any(|option| option == "ro"))
}

fn memory(text: &str) -> (Option<u64>, Option<u64>) {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    (kib("MemTotal"), kib("MemAvailable"))
}

/// Of `df -P`: size and what is available.
fn disk(text: &str) -> (Option<u64>, Option<u64>) {
    let words: Vec<&str> = text.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    (number(1), number(3))
}

/// What is wrong, and what to do.
fn advise(status: &mut NodeStatus, cluster_answers: bool) {
    let mut advice = Vec::new();
    match &status.first_boot {
        Some(boot) if boot.state != "done" => {
            let why = if boot.message.is_empty() { String::new() } else { format!(": {}", boot.message) };
            advice.push(format!("its first boot is at the stage {}{why}", boot.stage));
        }
        None if status.reached => {
            advice.push("its first boot has not begun, or it is no node of pibake's".to_owned())
        }
        _ => {}
    }
    let is_done = status.first_boot.as_ref().is_some_and(|boot| boot.state == "done");
    match status.ready {
        Some(false) => advice.push(format!("it is not Ready: kubectl describe node {}", status.node)),
        None if cluster_answers => advice.push("it is not part of the cluster".to_owned()),
        None if is_done && status.role == "control-plane" => {
            advice.push(
                "the API server does not answer: sudo crictl ps -a, and journalctl -u kubelet".to_owned(),
            );
        }
        _ => {}
    }
    if let Some(certificates) = status.certificates.as_ref().filter(|found| !found.message.is_empty()) {
        advice.push(format!("certificates: {}", certificates.message));
    }
    if status.read_only == Some(true) {
        advice.push(
            "its card is read-only, as the kernel makes it after errors: it is about to die. Copy what is needed, and \
             write another card"
                .to_owned(),
        );
    }
    if let Some(card) = status.card.as_ref().filter(|found| !found.message.is_empty()) {
        advice.push(format!("card: {}", card.message));
    }
    if status.disk_free_bytes.is_some_and(|free| free < LITTLE_DISK) {
        advice.push(
            "its disk is nearly full: sudo crictl rmi --prune removes images that nothing uses".to_owned(),
        );
    }
    if status.memory_available_bytes.is_some_and(|free| free < LITTLE_MEMORY) {
        advice.push("its memory is nearly used up, and kubelet is about to evict pods".to_owned());
    }
    status.advice.append(&mut advice);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_lies_on_top_says_whether_it_is_read_only() {
        for (text, read_only) in [
            (
                "/dev/mmcblk0p2 / ext4 rw,noatime,commit=30 0 0\n/dev/mmcblk0p1 /boot/firmware vfat ro 0 0\n",
                Some(false),
            ),
            ("/dev/mmcblk0p2 / ext4 ro,noatime,errors=remount-ro 0 0\n", Some(true)),
            ("rootfs / rootfs rw 0 0\n/dev/mmcblk0p2 / ext4 ro 0 0\nproc /proc proc rw 0 0\n", Some(true)),
            ("/dev/root / ext4 rw,errors=remount-ro 0 0\n", Some(false)),
            ("", None),
        ] {
            assert_eq!(is_read_only(text), read_only, "{text}");
        }
    }

    #[test]
    fn what_a_card_says_of_itself_is_read() {
        let found = card("format=1\nstate=slow\nerrors=0\nmessage=slow\n").unwrap();
        assert_eq!((found.state.as_str(), found.errors, found.message.as_str()), ("slow", 0, "slow"));
        assert!(card("").is_none() && card("state=ok\nerrors=x\n").is_none());
    }
}

//! How a node is, from what it and the cluster say, and what to do.

use serde_json::Value;

use super::ask::part;
use crate::cli::json::{CardStatus, Certificates, FirstBoot, NodeStatus};
use crate::cli::shortened::{NAME_MAX, SENTENCE_MAX, WORD_MAX, shortened};
use crate::cluster::Node;
use crate::io::assignment;

/// Disks and memory below that are told, in bytes: images of a new version need that much for a while, and
/// kubelet evicts pods where 100 MiB of memory are left (`memory.available`).
const LITTLE_DISK: u64 = 2 << 30;
const LITTLE_MEMORY: u64 = 200 << 20;

pub(super) fn of(node: &Node, answer: &Result<String, String>, known: Option<&Value>) -> NodeStatus {
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
        let kubelet = member["status"]["nodeInfo"]["kubeletVersion"].as_str();
        status.kubelet = kubelet.map(|version| shortened(version, WORD_MAX));
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
        Err(why) => status.advice.push(why.clone()),
    }
    advise(&mut status, known.is_some());
    status
}

/// The value that a node's program has written behind `key`: a word, or a sentence for people.
fn word(text: &str, key: &str) -> Option<String> {
    assignment(text, key).map(|value| shortened(value, WORD_MAX))
}

fn sentence(text: &str, key: &str) -> String {
    shortened(assignment(text, key).unwrap_or_default(), SENTENCE_MAX)
}

fn first_boot(text: &str) -> Option<FirstBoot> {
    Some(FirstBoot {
        state: word(text, "state")?,
        stage: word(text, "name").unwrap_or_default(),
        message: sentence(text, "message"),
    })
}

fn certificates(text: &str) -> Option<Certificates> {
    let state = word(text, "state")?;
    let ends = text.lines().filter_map(|line| line.strip_prefix("certificate=")?.rsplit_once(' '));
    // RFC 3339 in UTC: the order of the texts is that of the times.
    let first = ends.min_by_key(|(_, end)| *end);
    let first = first.map(|(path, end)| (shortened(path, NAME_MAX), shortened(end, WORD_MAX)));
    let (first, ends) = first.unzip();
    Some(Certificates { state, message: sentence(text, "message"), first, ends })
}

fn card(text: &str) -> Option<CardStatus> {
    let errors = assignment(text, "errors")?.parse().ok()?;
    Some(CardStatus { state: word(text, "state")?, errors, message: sentence(text, "message") })
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

    #[test]
    fn whatever_a_node_says_is_short() {
        let long = "x".repeat(1 << 20);
        let boot = first_boot(&format!("state={long}\nname={long}\nmessage={long}\n")).unwrap();
        let certificates =
            certificates(&format!("state={long}\nmessage={long}\ncertificate=/{long} {long}\n")).unwrap();
        let card = card(&format!("state={long}\nerrors=1\nmessage={long}\n")).unwrap();
        let words = [boot.state, boot.stage, certificates.state, certificates.ends.unwrap(), card.state];
        let sentences = [boot.message, certificates.message, certificates.first.unwrap(), card.message];
        assert!(words.iter().all(|text| text.len() < WORD_MAX + 10), "{words:?}");
        assert!(sentences.iter().all(|text| text.len() < SENTENCE_MAX + 10), "{sentences:?}");
    }
}

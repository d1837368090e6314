//! What a node is asked, and its answer.

use std::time::Duration;

use crate::cli::remote::{Answer, Reached};
use crate::cli::talk::Until;
use crate::cluster::Node;
use crate::io::CancelToken;
use crate::node_paths;

/// What begins a part of the answer.
const HEADING: &str = "== pibake: ";
/// How long a node may take for all of it: it logs in, over another one, and asks the API server for ten seconds at most.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// What a node answers, or what is wrong with one that does not.
pub(super) fn ask(reached: &Reached, node: &Node, cancel: &CancelToken) -> Result<String, String> {
    let unreachable = |why: &str| Err(format!("it cannot be reached by SSH: {why}"));
    let until = Until::cancelled(cancel).within(PATIENCE);
    match reached.run(node, &["-o", "BatchMode=yes"], &script(), until) {
        Answer::Said(said) if part(&said, "end").is_some() => Ok(said),
        Answer::Said(_) => unreachable("the connection ended in the middle"),
        Answer::Failed(why) | Answer::Unreachable(why) => unreachable(&why),
        Answer::Cancelled => unreachable("cancelled"),
    }
}

/// The part of an answer under a heading.
pub(super) fn part<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = answer.split_once(&format!("{HEADING}{name}\n"))?;
    Some(rest.split(HEADING).next().unwrap_or_default())
}

//! What the nodes run, asked of each by SSH; what the cluster thinks of them, asked of its control plane.

use std::collections::BTreeMap;
use std::thread;

use super::follow::OPTIONS;
use super::what::What;
use crate::cli::remote::{Answer, Reached, other_key};
use crate::cli::shortened::{NAME_MAX, WORD_MAX, shortened};
use crate::cli::talk::Until;
use crate::cluster::{ContainerdSource, ContainerdVersion, KubernetesVersion, Node, Platform};
use crate::error::{ErrorClass, Failure};
use crate::io::assignment;

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeState {
    pub(super) platform: Option<Platform>,
    pub(super) kubeadm: Option<KubernetesVersion>,
    pub(super) kubelet: KubernetesVersion,
    pub(super) containerd: (ContainerdSource, ContainerdVersion),
    /// How many newer packages the archive has, where that was asked for.
    pub(super) newer: Option<u32>,
    /// Whether its packages ask for a restart.
    pub(super) restart: bool,
    /// What it is at work on: what, and at which step.
    pub(super) order: Option<(String, String)>,
    /// What it was told last and could not do.
    pub(super) failed: Option<String>,
}

/// What the cluster thinks of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) ready: bool,
    /// Whether an upgrade has cordoned it, and has not taken that back.
    pub(super) marked: bool,
    pub(super) kubelet: Option<KubernetesVersion>,
}

/// What a cluster is when an upgrade begins.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) nodes: BTreeMap<String, NodeState>,
    pub(super) server: KubernetesVersion,
    pub(super) members: Vec<Member>,
}

impl Asked {
    /// Asks all nodes at once. Each must answer: what is not known cannot be upgraded.
    pub(super) fn of(reached: &Reached, what: What, until: Until<'_>) -> Result<Self, Failure> {
        let nodes = &reached.project.cluster.nodes;
        let first = reached.first()?;
        let program =
            if matches!(what, What::System { .. }) { "upgrade state packages" } else { "upgrade state" };
        let (answers, members) = thread::scope(|scope| {
            let members = scope.spawn(|| ask(reached, first, "cordon state", until));
            let asking: Vec<_> =
                nodes.iter().map(|node| scope.spawn(move || ask(reached, node, program, until))).collect();
            let lost = || Err(Failure::new(ErrorClass::Internal, "asking a node failed"));
            let answers: Vec<_> =
                asking.into_iter().map(|one| one.join().unwrap_or_else(|_| lost())).collect();
            (answers, members.join().unwrap_or_else(|_| lost()))
        });
        let mut states = BTreeMap::new();
        for (node, answer) in nodes.iter().zip(answers) {
            let unclear = |what| wrong(node, &format!("its answer has no {what}"));
            states.insert(node.name.to_string(), NodeState::read(&answer?).map_err(unclear)?);
        }
        let (server, members) =
            read_members(&members?).map_err(|what| wrong(first, &format!("its answer has no {what}")))?;
        Ok(Self { nodes: states, server, members })
    }

    /// What the cluster thinks of that node, if it is one of its.
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The kubelets of all members, also of those that the description does not have.
    pub(super) fn kubelets(&self) -> Vec<(String, KubernetesVersion)> {
        self.members.iter().filter_map(|member| Some((member.name.clone(), member.kubelet?))).collect()
    }
}

fn wrong(node: &Node, why: &str) -> Failure {
    Failure::new(ErrorClass::Failed, format!("{}: {why}; nothing was changed", node.name))
}

/// What one of the node's programs says, which is whole.
fn ask(reached: &Reached, node: &Node, program: &str, until: Until<'_>) -> Result<String, Failure> {
    let script = format!("sudo -n /usr/lib/pibake/{program}");
    match reached.run(node, &OPTIONS, &script, until) {
        Answer::Said(text) if text.trim_end().ends_with("end") => Ok(text),
        Answer::Said(_) => Err(wrong(node, "its answer ended in the middle")),
        Answer::Failed(why) if ["command not found", "No such file"].iter().any(|words| why.contains(words)) => {
            Err(wrong(node, "its card was written by a pibake that knew no upgrades: write it again (docs/life.md)"))
        }
        Answer::Failed(why) => Err(wrong(node, &why)),
        Answer::Cancelled => Err(Failure::new(ErrorClass::Cancelled, "cancelled; nothing was changed")),
        Answer::Unreachable(why) => Err(other_key(node, &why).unwrap_or_else(|| {
            Failure::new(
                ErrorClass::Network,
                format!(
                    "{name} cannot be reached by SSH: {why}; nothing was changed. Switch it on or, if it is gone for good, \
                     take it out of the cluster: pibake remove --node {name}",
                    name = node.name
                ),
            )
        })),
    }
}

impl NodeState {
    /// Reads an answer; what is missing in it otherwise.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let value = |key| assignment(text, key).filter(|value| !value.is_empty());
        if value("first-boot") != Some("complete") {
            return Err("complete first boot (pibake status says where it stands)");
        }
        let kubernetes = |key| value(key).and_then(|text| text.parse().ok());
        let containerd = text.lines().find_map(package).ok_or("package of containerd")?;
        let word = |key| value(key).map(|text| shortened(text, WORD_MAX));
        let order = word("order-what").map(|what| (what, word("order-step").unwrap_or_default()));
        Ok(Self {
            platform: Platform::from_os_release(text).ok(),
            kubeadm: kubernetes("kubeadm"),
            kubelet: kubernetes("kubelet").ok_or("version of kubelet")?,
            containerd,
            newer: value("newer").and_then(|text| text.parse().ok()),
            restart: value("restart").is_some(),
            order,
            failed: word("failed"),
        })
    }
}

/// `package=containerd.io installed 1.7.27-1`: which package it is, and the release without Debian's revision.
fn package(line: &str) -> Option<(ContainerdSource, ContainerdVersion)> {
    let words: Vec<&str> = line.strip_prefix("package=")?.split(' ').collect();
    let [name, "installed", version] = words[..] else { return None };
    let source = [ContainerdSource::Distribution, ContainerdSource::Docker]
        .into_iter()
        .find(|source| source.package() == name)?;
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    Some((source, version[..end].parse().ok()?))
}

/// `member=node-2|True|true|cordoned|v1.34.2`
fn read_members(text: &str) -> Result<(KubernetesVersion, Vec<Member>), &'static str> {
    let server = assignment(text, "server").and_then(|text| text.parse().ok());
    let server = server.ok_or("version of the API server")?;
    let member = |line: &str| {
        let words: Vec<&str> = line.strip_prefix("member=")?.split('|').collect();
        let [name, ready, _, mark, kubelet] = words[..] else { return None };
        Some(Member {
            name: shortened(name, NAME_MAX),
            ready: ready == "True",
            marked: !mark.is_empty(),
            kubelet: kubelet.parse().ok(),
        })
    };
    let members: Vec<Member> = text.lines().filter_map(member).collect();
    if members.is_empty() { Err("members of the cluster") } else { Ok((server, members)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "format=1\nnode=node-2\nrole=worker\nfirst-boot=complete\nkubeadm=v1.34.2\n\
        package=containerd not-installed \npackage=containerd.io installed 1.7.27-1\nID=ubuntu\nVERSION_ID=24.04\n\
        kubelet=v1.34.2\nruntime=containerd://1.7.27\nboot=0b\nnewer=12\nrestart=needed\norder-id=7\n\
        order-what=system\norder-step=packages\nend\n";

    #[test]
    fn what_a_node_answers_is_read() {
        let state = NodeState::read(ANSWER).unwrap();
        assert_eq!(state.platform.map(|platform| platform.name), Some("24.04"));
        assert_eq!(state.kubelet.to_string(), "1.34.2");
        assert_eq!(
            (state.containerd.0, state.containerd.1.to_string()),
            (ContainerdSource::Docker, "1.7.27".to_owned())
        );
        assert_eq!((state.newer, state.restart), (Some(12), true));
        assert_eq!(
            NodeState::read(&ANSWER.replace("end\n", "failed=system\nend\n")).unwrap().failed.as_deref(),
            Some("system")
        );
        assert_eq!(state.order, Some(("system".to_owned(), "packages".to_owned())));
        for (from, to, missing) in [
            ("complete", "working", "complete first boot (pibake status says where it stands)"),
            ("kubelet=v1.34.2", "kubelet=", "version of kubelet"),
            ("containerd.io installed", "containerd.io config-files", "package of containerd"),
        ] {
            assert_eq!(NodeState::read(&ANSWER.replacen(from, to, 1)), Err(missing));
        }
        for (line, version) in [
            ("package=containerd installed 2.2.1-0ubuntu1~24.04.2", "2.2.1"),
            ("package=containerd installed 1.6.20~ds1-1+b1", "1.6.20"),
        ] {
            assert_eq!(package(line).map(|(_, version)| version.to_string()).as_deref(), Some(version));
        }
    }

    #[test]
    fn what_the_cluster_thinks_is_read() {
        let text =
            "server=v1.35.0\nmember=node-1|True|||v1.35.0\nmember=node-2|False|true|cordoned|v1.34.2\nend\n";
        let (server, members) = read_members(text).unwrap();
        assert_eq!((server.to_string().as_str(), members.len()), ("1.35.0", 2));
        assert_eq!((members[0].ready, members[0].marked), (true, false));
        assert_eq!((members[1].ready, members[1].marked), (false, true));
        assert_eq!(read_members("server=v1.35.0\nend\n"), Err("members of the cluster"));
        assert_eq!(read_members("member=node-1|True|||v1.35.0\n"), Err("version of the API server"));
    }
}

//! What is to be done, node by node.

use super::order::{Files, Order, tries_kernels};
use super::skew;
use super::state::{Asked, Member, NodeState};
use super::what::What;
use crate::cli::json;
use crate::cli::remote::Reached;
use crate::cluster::{ContainerdVersion, KubernetesVersion, Node, Platform, Software};
use crate::error::Failure;
use crate::project::Versions;
use crate::recipe::Recipe;

/// What is to be done, node by node.
pub(super) struct Plan {
    pub(super) what: What,
    /// The control plane first.
    pub(super) nodes: Vec<NodePlan>,
    /// What people should know besides.
    pub(super) advice: Vec<String>,
}

/// What is to be done with one node.
pub(super) struct NodePlan {
    pub(super) node: Node,
    pub(super) platform: Option<Platform>,
    /// What it runs, in words.
    pub(super) from: String,
    /// What it runs when it is done.
    pub(super) to: Option<String>,
    pub(super) state: State,
    pub(super) steps: Vec<Step>,
    becomes: Option<(Software, Recipe)>,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    ToDo,
    Working,
    Done,
    Failed,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ToDo => "to-do",
            Self::Working => "working",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One thing that is done with a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) done: bool,
}

impl Plan {
    /// Plans what `what` takes, and refuses what cannot be.
    pub(super) fn of(reached: &Reached, what: What, asked: &Asked) -> Result<Self, Failure> {
        if let What::Kubernetes(target) = what
            && let Some(fault) = skew::fault(target, asked.server, &asked.kubelets())
        {
            return Err(Failure::refused(format!("Kubernetes {target}: {fault}")));
        }
        let cluster = &reached.project.cluster;
        let mut nodes = Vec::new();
        for node in &cluster.nodes {
            let refused = |why: &str| Failure::refused(format!("{}: {why}; nothing was changed", node.name));
            let state = asked.nodes.get(node.name.as_str()).ok_or_else(|| refused("it was not asked"))?;
            let member = asked.member(node.name.as_str());
            let member = member.ok_or_else(|| refused("it is not part of the cluster"))?;
            if let Some(why) = fault(what, state, member) {
                return Err(refused(&why));
            }
            let platform = state.platform.or_else(|| cluster.stated_platform());
            let becomes = match versions(what, reached, state) {
                None => None,
                Some(versions) => {
                    let platform = platform.ok_or_else(|| refused("pibake does not know its system"))?;
                    let made = reached.project.recipe_with(&reached.identity, node, &platform, &versions);
                    Some(made.map_err(|error| {
                        Failure::from(error).while_doing(format!("planning for {}", node.name))
                    })?)
                }
            };
            let mut planned = NodePlan {
                node: node.clone(),
                platform,
                from: running(what, state),
                to: None,
                state: State::ToDo,
                steps: Vec::new(),
                becomes,
            };
            planned.steps = planned.steps(what, state, member, asked.server);
            if planned.steps.is_empty() {
                planned.state = State::Done;
                planned.to = Some(planned.from.clone());
            }
            nodes.push(planned);
        }
        nodes.sort_by_key(|planned| !planned.node.is_control_plane());
        let known = |name: &str| cluster.nodes.iter().any(|node| node.name.as_str() == name);
        let others = asked.members.iter().filter(|member| !known(&member.name));
        let advice = others.map(|member| {
            format!(
                "{} is part of the cluster and none of the nodes in pibake.toml, so it stays as it is",
                member.name
            )
        });
        let advice = advice.collect();
        Ok(Self { what, nodes, advice })
    }

    /// The nodes with which nothing is to be done any more.
    pub(super) fn done(&self) -> Vec<String> {
        self.named(|state| state == State::Done)
    }

    /// The others.
    pub(super) fn left(&self) -> Vec<String> {
        self.named(|state| state != State::Done)
    }

    fn named(&self, is: impl Fn(State) -> bool) -> Vec<String> {
        self.nodes
            .iter()
            .filter(|planned| is(planned.state))
            .map(|planned| planned.node.name.to_string())
            .collect()
    }

    pub(super) fn document(&self, planned: bool) -> json::Upgraded {
        let step = |step: &Step| json::UpgradeStep {
            step: step.name.to_owned(),
            what: step.what.clone(),
            done: step.done,
        };
        let node = |node: &NodePlan| json::UpgradedNode {
            node: node.node.name.to_string(),
            state: node.state.as_str().to_owned(),
            from: node.from.clone(),
            to: node.to.clone(),
            steps: node.steps.iter().map(step).collect(),
        };
        json::Upgraded {
            what: self.what.name().to_owned(),
            target: self.what.version(),
            planned,
            nodes: self.nodes.iter().map(node).collect(),
            advice: self.advice.clone(),
        }
    }
}

/// Why an upgrade cannot begin with a node as it is.
fn fault(what: What, state: &NodeState, member: &Member) -> Option<String> {
    if let Some((other, step)) = state.order.as_ref().filter(|(other, _)| other != what.name()) {
        return Some(format!("it is at work on something else ({other}, at the step {step})"));
    }
    // One that an upgrade has begun with, and not ended, may be in any state.
    let is_begun = member.marked || state.order.is_some() || state.failed.as_deref() == Some(what.name());
    if !member.ready && !is_begun {
        return Some(format!("it is not Ready: kubectl describe node {}", member.name));
    }
    match what {
        What::Containerd(target)
            if (target.major, target.minor) < (state.containerd.1.major, state.containerd.1.minor) =>
        {
            Some(format!("it has containerd {}, which does not go back to an older line", state.containerd.1))
        }
        What::System { .. } if state.newer.is_none() => Some(
            "its package servers do not answer, or not all of them: sudo apt-get update says which"
                .to_owned(),
        ),
        _ => None,
    }
}

/// What a node is to run; `None` where that is not for the description to say.
fn versions(what: What, reached: &Reached, state: &NodeState) -> Option<Versions> {
    let (source, containerd) = state.containerd;
    match what {
        What::Kubernetes(kubernetes) => Some(Versions {
            kubernetes,
            containerd: ContainerdVersion::line(containerd.major, containerd.minor),
            containerd_from: Some(source),
        }),
        What::Containerd(target) => {
            let stated = reached.project.cluster.kubernetes.version;
            let stated = stated.filter(|stated| stated.minor == state.kubelet.minor);
            Some(Versions {
                kubernetes: stated.unwrap_or(KubernetesVersion::minor(state.kubelet.minor)),
                containerd: target,
                containerd_from: None,
            })
        }
        What::System { .. } => None,
    }
}

/// What a node runs, in words.
fn running(what: What, state: &NodeState) -> String {
    match what {
        What::Kubernetes(_) => format!("Kubernetes {}", state.kubelet),
        What::Containerd(_) => format!("containerd {}", state.containerd.1),
        What::System { .. } => {
            let newer = match state.newer {
                Some(0) | None => "no newer packages".to_owned(),
                Some(1) => "1 newer package".to_owned(),
                Some(count) => format!("{count} newer packages"),
            };
            if state.restart { format!("{newer}, asks for a restart") } else { newer }
        }
    }
}

impl NodePlan {
    /// The order to this node. `release` is what the control plane has got.
    pub(super) fn order(
        &self,
        what: What,
        release: Option<&str>,
        sources: &crate::cluster::Sources,
    ) -> Order {
        let files = self.becomes.as_ref().map(|(software, recipe)| Files { software, recipe, sources });
        Order::new(what, release, files.as_ref())
    }

    /// Which package of containerd it gets.
    pub(super) fn software(&self) -> Option<&Software> {
        self.becomes.as_ref().map(|(software, _)| software)
    }

    /// Notes that all up to that step is done.
    pub(super) fn finish_until(&mut self, name: &str) {
        if let Some(end) = self.steps.iter().position(|step| step.name == name) {
            self.steps[..end].iter_mut().for_each(|step| step.done = true);
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.name == name)
    }

    /// Whether it is this already.
    fn is_met(&self, what: What, state: &NodeState, member: &Member, server: KubernetesVersion) -> bool {
        // One that is at work on it, or could not do it, has not all of it, whatever is installed.
        if state.order.is_some() || state.failed.as_deref() == Some(what.name()) {
            return false;
        }
        match what {
            What::Kubernetes(target) => {
                skew::is_met(target, state.kubelet)
                    // What is installed need not run yet.
                    && member.kubelet.is_some_and(|kubelet| skew::is_met(target, kubelet))
                    && state.kubeadm.is_some_and(|kubeadm| skew::is_met(target, kubeadm))
                    && (!self.node.is_control_plane() || skew::is_met(target, server))
            }
            What::Containerd(target) => {
                let (source, has) = state.containerd;
                (has.major, has.minor) == (target.major, target.minor)
                    && target.patch.is_none_or(|patch| has.patch == Some(patch))
                    && self.software().is_none_or(|software| software.containerd_from == source)
            }
            What::System { restart } => state.newer == Some(0) && !state.restart && !restart,
        }
    }

    fn steps(&self, what: What, state: &NodeState, member: &Member, server: KubernetesVersion) -> Vec<Step> {
        let mut steps: Vec<(&'static str, String)> = Vec::new();
        let is_met = self.is_met(what, state, member, server);
        if !is_met {
            if self.node.is_control_plane() {
                steps.push(("snapshot", "copy etcd".to_owned()));
            }
            steps.push(("drain", "move its pods to other nodes".to_owned()));
            steps.extend(self.own_steps(what, state));
        }
        if !is_met || member.marked {
            steps.push(("ready", "wait until it is Ready".to_owned()));
            steps.push(("uncordon", "let it have pods again".to_owned()));
        }
        if !is_met && self.node.is_control_plane() && !matches!(what, What::System { .. }) {
            steps.push(("description", "have cards to come made with it".to_owned()));
        }
        steps.into_iter().map(|(name, what)| Step { name, what, done: false }).collect()
    }

    /// What the node does by itself; the names are those of its program.
    fn own_steps(&self, what: What, state: &NodeState) -> Vec<(&'static str, String)> {
        match what {
            What::Kubernetes(version) => {
                let mut steps = vec![
                    ("repository", format!("take packages of Kubernetes {version}")),
                    ("kubeadm", format!("install kubeadm {version}")),
                ];
                if self.node.is_control_plane() {
                    steps.push(("images", "pull the control plane's images".to_owned()));
                    steps.push(("apply", "kubeadm upgrade apply".to_owned()));
                } else {
                    steps.push(("configure", "kubeadm upgrade node".to_owned()));
                }
                steps.push(("kubelet", format!("install kubelet and kubectl {version}, restart kubelet")));
                steps
            }
            What::Containerd(version) => vec![
                ("repository", format!("take packages of containerd {version}")),
                ("containerd", format!("configure and install containerd {version}, restart it and kubelet")),
            ],
            What::System { restart } => {
                let packages = match state.newer.unwrap_or_default() {
                    1 => "install 1 newer package".to_owned(),
                    count => format!("install {count} newer packages"),
                };
                let when = if restart || state.restart {
                    "restart"
                } else {
                    "restart, if its packages ask for that"
                };
                let mut steps = vec![("packages", packages), ("restart", when.to_owned())];
                if tries_kernels(self.platform) {
                    steps.push(("kernel", "see that the new kernel runs, which is tried once".to_owned()));
                }
                steps
            }
        }
    }
}

//! From node to node, each as the plan says, until all are done or one cannot be.

use std::time::Duration;

use super::follow::{Stopped, Watch};
use super::plan::{NodePlan, Plan, State};
use super::reports::{Heard, Report};
use super::state::Asked;
use super::what::What;
use crate::cli::remote::Reached;
use crate::cli::session::Session;
use crate::cluster::Node;
use crate::error::{ErrorClass, Failure};
use crate::io::shell_word;
use crate::project::{MovedOn, Rewritten};
use crate::workflow::lock_path;

/// Goes from node to node.
pub(super) struct Carrier<'a> {
    pub(super) reached: &'a Reached,
    pub(super) session: &'a Session,
    pub(super) what: What,
    pub(super) patience: Duration,
    pub(super) force: bool,
}

impl Carrier<'_> {
    /// Does what the plan says, and notes in it how far that came.
    pub(super) fn carry_out(&self, plan: &mut Plan, asked: &Asked) -> Result<(), Failure> {
        let first = self.reached.first()?;
        // What the control plane has, and so what the others get.
        let mut release = None;
        for place in 0..plan.nodes.len() {
            let planned = &mut plan.nodes[place];
            let is_first = planned.node.is_control_plane();
            if planned.state == State::Done {
                if is_first {
                    release =
                        asked.nodes.get(planned.node.name.as_str()).map(|state| state.kubelet.to_string());
                    let moved = self.move_on(planned)?;
                    plan.advice.extend(self.told(moved));
                }
                continue;
            }
            self.session.control.cancel().check()?;
            planned.state = State::Working;
            let done = self.node(planned, first, release.as_deref());
            match done {
                Ok(report) => {
                    planned.state = State::Done;
                    planned.finish_until("description");
                    if is_first {
                        release = report.map(|report| report.kubelet.to_string());
                        let moved = self.move_on(planned)?;
                        plan.advice.extend(self.told(moved));
                    }
                    plan.nodes[place].steps.iter_mut().for_each(|step| step.done = true);
                }
                Err(failure) => {
                    // One that nobody has heard the end of may still be at work.
                    planned.state = match failure.class() {
                        ErrorClass::Cancelled | ErrorClass::Network => State::Working,
                        _ => State::Failed,
                    };
                    let name = planned.node.name.clone();
                    return Err(Failure::new(failure.class(), format!("{name}: {failure}")));
                }
            }
        }
        Ok(())
    }

    /// One node; what runs on it then, where it was told to become something.
    fn node(
        &self,
        planned: &mut NodePlan,
        first: &Node,
        release: Option<&str>,
    ) -> Result<Option<Report>, Failure> {
        let name = planned.node.name.clone();
        if planned.has("snapshot") {
            self.begin(planned, "snapshot");
            self.on_first(first, "systemctl start pibake-snapshot.service")?;
        }
        let mut report = None;
        if planned.has("drain") {
            self.begin(planned, "drain");
            let force = if self.force { " --force" } else { "" };
            let drain = format!("/usr/lib/pibake/cordon drain {name} {}{force}", self.patience.as_secs());
            self.on_first(first, &drain)?;
            let release = release.filter(|_| matches!(self.what, What::Kubernetes(_)));
            let order = planned.order(self.what, release, &self.reached.project.cluster.sources);
            let node = planned.node.clone();
            match self.watch().carry_out(&node, &order, |step| self.begin(planned, step)) {
                Ok(done) => report = Some(done),
                Err(Stopped::Said(why)) => return Err(self.give_up(first, &name.to_string(), &why)),
                Err(Stopped::Lost(failure)) => {
                    return Err(Failure::new(
                        failure.class(),
                        format!(
                            "{failure}. It goes on by itself with what it was told, and gets no new pods until this \
                             command is run again"
                        ),
                    ));
                }
            }
        }
        self.begin(planned, "ready");
        let mut wait = format!("/usr/lib/pibake/cordon await {name} {}", self.patience.as_secs());
        if let Some(report) = &report {
            wait.extend(report.words().map(|word| format!(" {}", shell_word(word))));
            planned.to = Some(self.now(report));
        }
        if let Err(failure) = self.on_first(first, &wait) {
            return Err(match failure.class() {
                ErrorClass::Cancelled => Failure::new(
                    ErrorClass::Cancelled,
                    format!("{failure}. It gets no new pods until this command is run again"),
                ),
                _ => self.give_up(first, &name.to_string(), &failure.to_string()),
            });
        }
        self.begin(planned, "uncordon");
        self.on_first(first, &format!("/usr/lib/pibake/cordon lift {name}"))?;
        Ok(report)
    }

    /// What a node runs by its report, in words.
    fn now(&self, report: &Report) -> String {
        match self.what {
            What::Kubernetes(_) => format!("Kubernetes {}", report.kubelet),
            What::Containerd(_) => report.runtime.replace("://", " "),
            What::System { .. } => "up to date".to_owned(),
        }
    }

    /// A node that is as it was, or half of what it was to be, gets pods again: it serves.
    fn give_up(&self, first: &Node, name: &str, why: &str) -> Failure {
        let lifted = self.on_first(first, &format!("/usr/lib/pibake/cordon lift {name}"));
        let then = match lifted {
            Ok(()) => "It is uncordoned".to_owned(),
            Err(failure) => format!("It gets no new pods, since it cannot be uncordoned: {failure}"),
        };
        Failure::new(ErrorClass::Failed, format!("{}. {then}", why.trim_end_matches('.')))
    }

    fn watch(&self) -> Watch<'_> {
        Watch { reached: self.reached, cancel: self.session.control.cancel(), patience: self.patience }
    }

    /// Notes that a step is begun, and so all before it done.
    fn begin(&self, planned: &mut NodePlan, step: &str) {
        planned.finish_until(step);
        let what = planned.steps.iter().find(|planned| planned.name == step);
        let what = what.map_or(step, |planned| &planned.what);
        self.session.progress().note(&format!("{}: {what}", planned.node.name));
    }

    /// As root on the control plane.
    fn on_first(&self, first: &Node, script: &str) -> Result<(), Failure> {
        // These know by themselves when they have waited long enough, and print what they did only then.
        let run = self.watch().run(first, &format!("sudo -n {script}"), b"", |_| Heard::Part);
        run.map_err(|stopped| match stopped {
            Stopped::Said(why) => Failure::new(ErrorClass::Failed, why),
            Stopped::Lost(failure) => failure,
        })
    }

    /// Cards to come are made with it.
    fn move_on(&self, planned: &NodePlan) -> Result<Option<Rewritten>, Failure> {
        let (Some(platform), Some(software)) = (planned.platform, planned.software()) else {
            return Ok(None);
        };
        let to = match self.what {
            What::Kubernetes(version) => MovedOn::Kubernetes(version),
            What::Containerd(version) => MovedOn::Containerd(version, software.containerd_from),
            What::System { .. } => return Ok(None),
        };
        Ok(self.reached.project.move_on(&self.reached.identity, &platform, to)?)
    }

    /// What people should know of that.
    fn told(&self, moved: Option<Rewritten>) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(Rewritten { file, key, value }) = moved {
            told.push(format!("{} has {key} = \"{value}\" now", file.display()));
        }
        let lock = lock_path(&self.reached.project);
        if self.reached.project.cluster.image.preload && lock.exists() {
            let lock = lock.display();
            told.push(format!("{lock} still has what was baked before: pibake update moves it on"));
        }
        told
    }
}

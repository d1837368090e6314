//! A plan, and what came of it, for people.

use super::plan::{Plan, State};
use crate::ui::{Table, visible_line};

/// The steps that are to be done.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.left().is_empty() {
        text += &nothing(plan);
    } else {
        let mut table = Table::new(["NODE", "STEP", "WHAT"]);
        for node in &plan.nodes {
            let name = node.node.name.to_string();
            match node.state {
                State::Done => table.row([name, "-".to_owned(), format!("has {}", node.from)]),
                _ => {
                    for (place, step) in node.steps.iter().enumerate() {
                        let name = if place == 0 { name.clone() } else { String::new() };
                        table.row([name, step.name.to_owned(), step.what.clone()]);
                    }
                }
            }
        }
        text += &table.to_string();
    }
    text + &advice(plan)
}

/// What has been done.
pub(super) fn done(plan: &Plan) -> String {
    let mut table = Table::new(["NODE", "WAS", "IS", "STATE"]);
    for node in &plan.nodes {
        let state = match node.state {
            State::Done => "done".to_owned(),
            State::ToDo => "to do".to_owned(),
            State::Working | State::Failed => {
                let step = node.steps.iter().find(|step| !step.done).map_or("", |step| step.name);
                format!("stopped at {step}")
            }
        };
        let is = node.to.clone().unwrap_or_else(|| "-".to_owned());
        table.row([node.node.name.to_string(), node.from.clone(), is, state]);
    }
    table.to_string() + &advice(plan)
}

fn nothing(plan: &Plan) -> String {
    let what = plan.nodes.first().map(|node| node.from.clone()).unwrap_or_default();
    format!("nothing is to be done: all nodes have {what}\n")
}

fn advice(plan: &Plan) -> String {
    plan.advice.iter().map(|line| format!("{}\n", visible_line(line))).collect()
}

//! What became of the cards.

use serde_json::json;

use crate::drives::linux::Off;
use crate::error::{Classified, ErrorClass, Failure, one_line};
use crate::io::human_bytes;
use crate::sink::card::{Error, Head, Outcome};
use crate::ui::{Table, Ui};

/// What is to be known of a card that is not done.
fn state(head: Head) -> &'static str {
    match head {
        Head::AsItWas => "nothing was written to it",
        Head::Zero => "its first MiB is zero, so nothing boots from it: write it again",
        Head::Written | Head::Unknown => {
            "its first MiB is not known to be zero, so it may boot and be wrong: do not use it as it is"
        }
    }
}

/// Prints what was written; an error if a card is not done.
pub(super) fn report(outcomes: &[Outcome], off: &[Option<Off>], ui: &Ui) -> Result<(), Failure> {
    let value: Vec<_> = outcomes
        .iter()
        .zip(off)
        .map(|(outcome, off)| {
            let done = outcome.result.as_ref().ok();
            let error = outcome.result.as_ref().err().map(|e| one_line(e));
            json!({ "node": outcome.node, "drive": outcome.card, "done": done.is_some(),
                "written_bytes": done.map(|d| d.written), "verified_bytes": done.map(|d| d.verified),
                "second_try_at": done.and_then(|d| d.again), "error": error,
                "begun": outcome.head != Head::AsItWas, "blank": outcome.head == Head::Zero,
                "switched_off": matches!(off, Some(Off::Done)) })
        })
        .collect();
    let text = || {
        let mut table = Table::new(["NODE", "DRIVE", "WRITTEN", "CHECKED", "READER"]);
        let mut any = false;
        for (outcome, off) in outcomes.iter().zip(off) {
            let Ok(done) = &outcome.result else { continue };
            any = true;
            let reader = match off {
                Some(Off::Done) => "off: pull the card".to_owned(),
                Some(Off::Not(_)) | None => "on: the card may be pulled".to_owned(),
            };
            let sizes = [done.written, done.verified].map(human_bytes);
            let [written, verified] = sizes;
            table.row([outcome.node.clone(), outcome.card.clone(), written, verified, reader]);
        }
        if any { table.to_string() } else { String::new() }
    };
    ui.result(&value, text)?;
    for (outcome, off) in outcomes.iter().zip(off) {
        if let Some(Off::Not(reason)) = off {
            tracing::debug!("{}: not switched off: {reason}", outcome.card);
        }
    }
    let failed: Vec<&Outcome> = outcomes.iter().filter(|o| o.result.is_err()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed.iter().map(|outcome| line(outcome)).collect();
    Err(Failure::new(class(&failed), lines.join("\n")))
}

/// What it means that these cards are not done: a card that is not what it should be is the worst of it.
fn class(failed: &[&Outcome]) -> ErrorClass {
    let classes = failed.iter().filter_map(|outcome| {
        let class = outcome.result.as_ref().err()?.class();
        // refused is only what nothing was written to
        let is_begun = class == ErrorClass::Refused && outcome.head != Head::AsItWas;
        Some(if is_begun { ErrorClass::Failed } else { class })
    });
    let classes: Vec<ErrorClass> = classes.collect();
    match classes.first() {
        _ if classes.contains(&ErrorClass::Verification) => ErrorClass::Verification,
        Some(first) if classes.iter().all(|class| class == first) => *first,
        _ => ErrorClass::Failed,
    }
}

/// What is to be said of a card for which there was nothing to write in the end, or that failed before.
pub(super) fn given_up(outcome: &Outcome) -> String {
    match outcome.result {
        Err(Error::Cancelled) => format!("{}: {}", outcome.card, state(outcome.head)),
        _ => line(outcome),
    }
}

fn line(outcome: &Outcome) -> String {
    let reason = outcome.result.as_ref().err().map(|e| one_line(e)).unwrap_or_default();
    format!("{} ({}): {reason}; {}", outcome.card, outcome.node, state(outcome.head))
}

//! What became of the cards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::json::{self, Card, Flashed};
use crate::cli::session::Session;
use crate::drives::linux::Off;
use crate::error::{Classified, ErrorClass, Failure, one_line};
use crate::io::human_bytes;
use crate::sink::card::{Error, Flash, Head, Outcome};
use crate::ui::Table;
use crate::workflow::Control;

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
pub(super) fn report(
    outcomes: &[Outcome],
    off: &[Option<Off>],
    bills: &BTreeMap<String, PathBuf>,
    session: &Session,
) -> Result<(), Failure> {
    let card = |(outcome, off): (&Outcome, &Option<Off>)| {
        let done = outcome.result.as_ref().ok();
        let (bill, bill_base64) = bills.get(&outcome.node).filter(|_| done.is_some()).map(json::text).unzip();
        Card {
            node: outcome.node.clone(),
            drive: outcome.card.clone(),
            done: done.is_some(),
            head: outcome.head,
            written_bytes: done.map(|done| done.written),
            verified_bytes: done.map(|done| done.verified),
            retried_offset: done.and_then(|done| done.again),
            switched_off: matches!(off, Some(Off::Done)),
            bill,
            bill_base64: bill_base64.flatten(),
            error: outcome.result.as_ref().err().map(|error| json::Error::new(class(outcome, error), error)),
        }
    };
    let document = Flashed { cards: outcomes.iter().zip(off).map(card).collect() };
    let failed: Vec<&Outcome> = outcomes.iter().filter(|o| o.result.is_err()).collect();
    session.result(&document, || {
        let mut table = Table::new(["NODE", "DRIVE", "WRITTEN", "CHECKED", "READER"]);
        for (outcome, off) in outcomes.iter().zip(off) {
            let Ok(done) = &outcome.result else { continue };
            let reader = match off {
                Some(Off::Done) => "off: pull the card".to_owned(),
                Some(Off::Not(_)) | None => "on: the card may be pulled".to_owned(),
            };
            let [written, verified] = [done.written, done.verified].map(human_bytes);
            table.row([outcome.node.clone(), outcome.card.clone(), written, verified, reader]);
        }
        if failed.len() < outcomes.len() { table.to_string() } else { String::new() }
    })?;
    for (outcome, off) in outcomes.iter().zip(off) {
        if let Some(Off::Not(reason)) = off {
            tracing::debug!("{}: not switched off: {reason}", outcome.card);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed.iter().map(|outcome| line(outcome)).collect();
    Err(Failure::new(worst(&failed), lines.join("\n")))
}

/// What it means that a card is not done: refused is only what nothing was written to.
fn class(outcome: &Outcome, error: &Error) -> ErrorClass {
    match error.class() {
        ErrorClass::Refused if outcome.head != Head::AsItWas => ErrorClass::Failed,
        class => class,
    }
}

/// What it means that these cards are not done: a card that is not what it should be is the worst of it.
fn worst(failed: &[&Outcome]) -> ErrorClass {
    let errors = failed.iter().filter_map(|outcome| Some(class(outcome, outcome.result.as_ref().err()?)));
    let classes: Vec<ErrorClass> = errors.collect();
    match classes.first() {
        _ if classes.contains(&ErrorClass::Verification) => ErrorClass::Verification,
        Some(first) if classes.iter().all(|class| class == first) => *first,
        _ => ErrorClass::Failed,
    }
}

/// Gives all cards up, because of `fault` there is nothing to write to them.
pub(super) fn give_up(flash: Flash, fault: Failure, control: &Control) -> Result<Vec<Outcome>, Failure> {
    let outcomes = flash.abandon(|| Error::Cancelled);
    // a fault of all the cards, or the user's wish, explains itself in what became of them
    let explained = outcomes.iter().all(|o| !matches!(o.result, Err(Error::Cancelled)));
    if explained || control.cancel().is_cancelled() {
        return Ok(outcomes);
    }
    let begun: Vec<_> = outcomes.iter().filter(|o| o.head != Head::AsItWas).map(given_up).collect();
    Err(fault.while_doing(if begun.is_empty() {
        "nothing was written to any card".to_owned()
    } else {
        format!("begun and given up: {}", begun.join("; "))
    }))
}

/// What is to be said of a card for which there was nothing to write in the end, or that failed before.
fn given_up(outcome: &Outcome) -> String {
    match outcome.result {
        Err(Error::Cancelled) => format!("{}: {}", outcome.card, state(outcome.head)),
        _ => line(outcome),
    }
}

fn line(outcome: &Outcome) -> String {
    let reason = outcome.result.as_ref().err().map(|e| one_line(e)).unwrap_or_default();
    format!("{} ({}): {reason}; {}", outcome.card, outcome.node, state(outcome.head))
}

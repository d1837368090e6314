//! `pibake logs IMAGE|DEVICE`: how the first boot went, read off a card.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::baked::baked;
use super::json::{FirstBootStatus, Log, Logs, StageStatus};
use super::named::look;
use super::session::Session;
use super::shortened::{NAME_MAX, SENTENCE_MAX, WORD_MAX, shortened};
use crate::error::{Doing, ErrorClass, Failure};
use crate::fs::{FileKind, Metadata};
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::io::assignment;
use crate::node_paths::{FIRST_BOOT_LOG, FIRST_BOOT_STATUS};
use crate::ui::{Table, human_duration, visible, visible_line};
use crate::workflow::image::Looked;

/// What is read of a log, in bytes: its end, which says how it went. A first boot writes some ten
/// kilobytes; a card from somebody else may hold any size.
const LOG_MAX: usize = 4 << 20;
/// What is taken for stages at most: a first boot has some twenty, and the table of what a card from somebody else says is
/// as large as their number times the longest of their words.
const STAGES_MAX: usize = 100;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake logs /dev/sdX          one sentence, and a line for each stage\n  pibake logs /dev/sdX --raw    the whole log"
)]
pub(super) struct Arguments {
    /// An image, raw, qcow2 or compressed, or the device of a card reader
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// Print the log and the status file as they are
    #[arg(long)]
    raw: bool,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let shown = arguments.image.display();
    let reading = || format!("reading the first boot's log off {shown}");
    let Looked { image, .. } = &look(&arguments.image, session).doing(reading)?;
    let mut logs = Vec::new();
    for path in [FIRST_BOOT_LOG, FIRST_BOOT_STATUS] {
        let path = ImagePath::new(path)?;
        if let Some(metadata) = image.metadata(&path).doing(reading)? {
            let text = text(image, &path, &metadata).doing(reading)?;
            logs.push(Log { path: path.to_string(), text });
        }
    }
    if logs.is_empty() {
        let text = match baked(image).doing(reading)? {
            Some(baked) => {
                format!("{shown} has no log of a first boot: {} was never booted from it", baked.node)
            }
            None => format!("{shown} has no log of a first boot: pibake did not bake it"),
        };
        return Err(Failure::new(ErrorClass::Failed, text));
    }
    let status = logs.iter().find(|log| log.path == FIRST_BOOT_STATUS).and_then(|log| read(&log.text));
    let summary = summary(status.as_ref());
    let document = Logs { summary, status, logs };
    session.result(&document, || match (&document.status, arguments.raw) {
        (Some(status), false) => format!("{}\n\n{}", visible_line(&document.summary), timeline(status)),
        (None, false) => format!("{}\n\n{}", document.summary, raw(&document.logs)),
        (_, true) => raw(&document.logs),
    })
}

/// The files as they are.
fn raw(logs: &[Log]) -> String {
    logs.iter().map(|log| format!("==> {} <==\n{}\n", log.path, visible(&log.text))).collect()
}

/// The status file, whose lines `lib/report` of the first boot describes; `None` where it is none.
fn read(text: &str) -> Option<FirstBootStatus> {
    let value = |name: &str, most: usize| {
        let value = assignment(text, name).filter(|value| !value.is_empty());
        value.map(|value| shortened(value, most))
    };
    let word = |name: &str| value(name, WORD_MAX);
    let number = |name: &str| assignment(text, name).and_then(|value| value.parse().ok());
    let step = |line: &str| {
        let mut words = line.strip_prefix("step=")?.splitn(4, ' ');
        let (number, stage, state) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let ended = words.next().filter(|time| !time.is_empty()).map(str::to_owned);
        if stage.len().max(state.len()).max(ended.as_ref().map_or(0, String::len)) > WORD_MAX {
            return None;
        }
        Some(StageStatus { number, stage: stage.to_owned(), state: state.to_owned(), ended })
    };
    Some(FirstBootStatus {
        node: value("node", NAME_MAX).unwrap_or_else(|| "the node".to_owned()),
        role: word("role"),
        state: word("state")?,
        starts: number("starts"),
        attempt: number("attempt"),
        updated: word("updated"),
        message: value("message", SENTENCE_MAX),
        steps: text.lines().filter_map(step).take(STAGES_MAX).collect(),
    })
}

/// How it went, in one sentence.
fn summary(status: Option<&FirstBootStatus>) -> String {
    let Some(FirstBootStatus { node, state, steps, message, updated, .. }) = status else {
        return "The first boot began and left no status that can be read.".to_owned();
    };
    let at = updated.as_ref().map_or_else(String::new, |time| format!(" ({time})"));
    if state == "done" {
        return format!("{node} is ready: all {} stages of its first boot are done{at}.", steps.len());
    }
    let doing = match state.as_str() {
        "waiting" => "waited",
        "retrying" => "had failed and was going to try again",
        _ => "was working",
    };
    let under_way = steps.iter().find(|step| step.state != "done");
    let stage = under_way.map_or_else(String::new, |step| {
        format!(" in the stage {} ({} of {})", step.stage, step.number, steps.len())
    });
    let why = message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
    format!("{node} {doing}{stage} when it was switched off{at}{why}")
}

/// A line for each stage: when it ended, and how long after the one before.
fn timeline(status: &FirstBootStatus) -> String {
    let mut table = Table::new(["STAGE", "", "STATE", "ENDED", "TOOK"]);
    let mut before: Option<OffsetDateTime> = None;
    for StageStatus { number, stage, state, ended } in &status.steps {
        let at = ended.as_ref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        // the clock jumps while it is being set
        let took = at.zip(before).and_then(|(at, before)| (at - before).try_into().ok()).map(human_duration);
        before = at.or(before);
        table.row([
            number.to_string(),
            stage.clone(),
            state.clone(),
            ended.clone().unwrap_or_else(|| "-".to_owned()),
            took.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let mut text = table.to_string();
    if let Some(starts) = status.starts.filter(|starts| *starts > 1) {
        let _ = writeln!(text, "\nThe node was started {starts} times.");
    }
    text + "\n--raw prints the whole log.\n"
}

/// A log's text, or why there is none.
fn text(image: &ImageReader, path: &ImagePath, metadata: &Metadata) -> Result<String, Failure> {
    if metadata.kind != FileKind::File {
        return Ok(format!("[{path} is not a regular file: whoever had this card has put it there]"));
    }
    let bytes = image.read_tail(path, LOG_MAX)?;
    let left_out = metadata.len.saturating_sub(bytes.len() as u64);
    let text = String::from_utf8_lossy(&bytes);
    Ok(match left_out {
        0 => text.into_owned(),
        left_out => format!("[the first {left_out} bytes are left out]\n{text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "format=1\nnode=node-2\nrole=worker\nstarts=2\nstate=waiting\nstage=3\nstages=4\nname=join\n\
                          attempt=3\nupdated=2026-11-23T10:07:12Z\nmessage=the control plane does not answer yet\n\
                          step=1 cloud-init done 2026-11-23T10:01:20Z\nstep=2 clock done 2026-11-23T10:03:05Z\n\
                          step=3 join waiting\nstep=4 ready pending\n";

    #[test]
    fn a_sentence_says_how_it_went_and_a_line_how_each_stage_did() {
        let status = read(STATUS).unwrap();
        insta::assert_snapshot!(summary(Some(&status)) + "\n\n" + &timeline(&status));
        let done = STATUS
            .replace("state=waiting", "state=done")
            .replace("join waiting", "join done")
            .replace("ready pending", "ready done 2026-11-23T10:09:00Z");
        assert_eq!(
            summary(read(&done).as_ref()),
            "node-2 is ready: all 4 stages of its first boot are done (2026-11-23T10:07:12Z)."
        );
        let failed = "state=retrying\nmessage=/etc/pibake/node.env is missing\n";
        assert_eq!(
            summary(read(failed).as_ref()),
            "the node had failed and was going to try again when it was switched off: /etc/pibake/node.env is missing"
        );
    }

    #[test]
    fn what_is_no_status_is_no_status() {
        for text in ["", "done\n", "state=\n", "step=x y\n"] {
            assert!(read(text).is_none(), "{text}");
        }
        let odd = read("state=working\nstep=\nstep=x a done\nstep=1 a\nstep=2 b done \n").unwrap();
        assert_eq!(odd.steps.len(), 1);
        assert!(odd.steps[0].ended.is_none());
        let long = format!(
            "state=working\n{}step=1 {} done\n",
            "step=1 a done\n".repeat(100_000),
            "x".repeat(1 << 16)
        );
        assert_eq!(read(&long).unwrap().steps.len(), STAGES_MAX);
        let words =
            format!("state=working\nstep=1 {} done\nstep=2 b done {}\n", "x".repeat(65), "1".repeat(65));
        assert_eq!(read(&words).unwrap().steps.len(), 0);
        let long = "x".repeat(1 << 20);
        let status = format!("node={long}\nstate={long}\nupdated={long}\nmessage={long}\n");
        assert!(summary(read(&status).as_ref()).len() < 2 * SENTENCE_MAX);
    }
}

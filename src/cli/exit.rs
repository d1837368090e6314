//! From what came of a run to the program's last words and its exit code.

use std::process::ExitCode;

use serde_json::Value;

use super::json;
use super::session::Session;
use crate::error::{ErrorClass, Failure, causes};
use crate::ui;

/// Ends a run: prints the document where JSON was asked for, and for people what went wrong.
pub(super) fn end(done: Result<(), Failure>, session: Session) -> ExitCode {
    let failure = done.as_ref().err();
    let progress = session.control.shared_progress();
    let printed = session.document.map_or(Ok(()), |own| {
        ui::print(&json::document(&own.into_inner(), &session.control.warnings(), failure)?)
    });
    let Err(failure) = done.and(printed) else { return ExitCode::SUCCESS };
    progress.fail(&last_words(&failure));
    ExitCode::from(failure.class().exit_code())
}

/// Ends a run that never began: the command line makes no sense, or asks for help.
pub(super) fn without_command(said: &clap::Error, is_json: bool) -> ExitCode {
    if !said.use_stderr() {
        // Nobody may be reading.
        let _ = said.print();
        return ExitCode::SUCCESS;
    }
    ui::complain_in_colours(said.render().ansi().to_string());
    if is_json {
        let text = said.to_string();
        let first = text.split("\n\n").next().and_then(|first| first.strip_prefix("error: "));
        let failure = Failure::usage(first.unwrap_or("no command is given"));
        let _ = json::document(&Value::Null, &[], Some(&failure)).and_then(|text| ui::print(&text));
    }
    ExitCode::from(ErrorClass::Usage.exit_code())
}

/// What to print for an error, with all that it came from.
fn last_words(failure: &Failure) -> String {
    format!("error: {}", causes(failure.error()).join("\n  because: "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Doing;

    #[test]
    fn causes_follow_on_their_own_lines() {
        let error = Err::<(), _>(std::io::Error::other("no such\x1bdevice"));
        let text = last_words(&error.doing(|| "opening /dev/x".into()).unwrap_err());
        assert_eq!(text, "error: opening /dev/x\n  because: no such\x1bdevice");
    }
}

//! From an error to the program's last words and its exit code.

use std::process::ExitCode;

use crate::error::{ErrorClass, Failure, causes};
use crate::ui::visible;

/// The exit code of an error's class, as `pibake --help` promises them.
pub(super) fn exit_code(class: ErrorClass) -> ExitCode {
    ExitCode::from(match class {
        ErrorClass::NoSpace
        | ErrorClass::Network
        | ErrorClass::Cancelled
        | ErrorClass::Damaged
        | ErrorClass::Failed
        | ErrorClass::Internal => 1,
        ErrorClass::Usage | ErrorClass::Configuration => 2,
        ErrorClass::Verification => 3,
        ErrorClass::Refused => 4,
    })
}

/// What to print for an error, with all that it came from, and the exit code.
#[must_use]
pub fn describe(failure: &Failure) -> (String, ExitCode) {
    let text = format!("error: {}", causes(failure.error()).join("\n  because: "));
    // names and texts off cards, from servers and out of files are in it
    (visible(&text).into_owned(), exit_code(failure.class()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Doing;

    #[test]
    fn causes_follow_on_their_own_lines() {
        let error = Err::<(), _>(std::io::Error::other("no such\x1bdevice"));
        let (text, _) = describe(&error.doing(|| "opening /dev/x".into()).unwrap_err());
        assert_eq!(text, "error: opening /dev/x\n  because: no such\\x1bdevice");
    }
}

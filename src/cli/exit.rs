//! From an error to its words and its exit code.

use std::process::ExitCode;

use crate::ui::visible;
use crate::{bake, base, cluster, project, recipe};

/// Why the program ends, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something failed.
    Failed,
    /// The command line or the description of the cluster is wrong.
    Usage,
    /// A signature, a digest or a read-back did not match.
    Verification,
    /// It would have put somebody's data in danger.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Verification => 3,
            Exit::Refused => 4,
        })
    }
}

/// Arguments that are each well formed and together make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// What would put somebody's data in danger, and is not done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Some cards are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct CardsFailed {
    /// Which, and why.
    pub text: String,
    /// Whether one of them does not hold what was written to it.
    pub verification: bool,
}

/// What to print for an error, with all that it came from, and the exit code.
pub fn describe(error: &anyhow::Error) -> (String, Exit) {
    let mut text = format!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // a transparent error says the same as the one it wraps
        if cause != said {
            text += &format!("\n  because: {cause}");
            said = cause;
        }
    }
    // names and texts off cards, from servers and out of files are in it
    let text = visible(&text).into_owned();
    let exit = error.chain().find_map(|cause| {
        let description = cause.is::<Usage>()
            || cause.is::<cluster::Error>()
            || cause.is::<cluster::SoftwareError>()
            || cause.is::<cluster::TakenName>()
            || cause.is::<cluster::platform::UnknownPlatform>()
            || cause.is::<recipe::Error>()
            || matches!(
                cause.downcast_ref::<project::Error>(),
                // the secrets and the clock are no part of the description
                Some(error) if !matches!(error, project::Error::Identity(_) | project::Error::Clock)
            );
        if description {
            return Some(Exit::Usage);
        }
        match cause.downcast_ref::<base::Error>().map(base::Error::class) {
            Some(base::Class::Usage) => return Some(Exit::Usage),
            Some(base::Class::Verification) => return Some(Exit::Verification),
            Some(base::Class::Refused) => return Some(Exit::Refused),
            Some(base::Class::Failed) | None => {}
        }
        if cause.is::<Refused>() {
            return Some(Exit::Refused);
        }
        if cause.downcast_ref::<CardsFailed>().is_some_and(|failed| failed.verification) {
            return Some(Exit::Verification);
        }
        match cause.downcast_ref::<bake::Error>() {
            Some(bake::Error::ReadBack(_)) => Some(Exit::Verification),
            _ => None,
        }
    });
    (text, exit.unwrap_or(Exit::Failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_follow_on_their_own_lines() {
        let error =
            Err::<(), _>(std::io::Error::other("no such device")).context("opening /dev/x").unwrap_err();
        let (text, exit) = describe(&error);
        assert_eq!(text, "error: opening /dev/x\n  because: no such device");
        assert_eq!(exit, Exit::Failed);
        assert_eq!(describe(&Usage("x".into()).into()).1, Exit::Usage);
    }
}

//! From an error to its words and its exit code.

use std::process::ExitCode;

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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Verification => 3,
        })
    }
}

/// Arguments that are each well formed and together make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

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
    let exit = error.chain().find_map(|cause| {
        let description = cause.is::<Usage>()
            || cause.is::<cluster::Error>()
            || cause.is::<cluster::SoftwareError>()
            || cause.is::<cluster::platform::UnknownPlatform>()
            || cause.is::<recipe::Error>()
            || cause.is::<recipe::OverlayError>()
            || cause.is::<recipe::KeyError>()
            || matches!(
                cause.downcast_ref::<project::Error>(),
                Some(project::Error::NoConfig { .. } | project::Error::Cluster(_) | project::Error::Epoch(_))
            );
        if description {
            return Some(Exit::Usage);
        }
        match cause.downcast_ref::<base::Error>().map(base::Error::class) {
            Some(base::Class::Usage) => return Some(Exit::Usage),
            Some(base::Class::Verification) => return Some(Exit::Verification),
            Some(base::Class::Failed) | None => {}
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

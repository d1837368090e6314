//! What an error is in this program: its class, its words, and how they are printed.
//!
//! # Policy
//!
//! **Every error has one class from birth.** Each room's error types implement [`Classified`] by a `match`
//! without a catch-all arm, so a new variant without a class does not compile. [`Failure`] is made of
//! classified errors alone, so `?` in a command does not compile on an error without a class either. The class
//! decides the exit code, and nothing else does: no caller asks an error for its type to find it out.
//!
//! | class | when | exit code |
//! |---|---|---|
//! | [`Usage`](ErrorClass::Usage) | the command line asks for what makes no sense or is not there | 2 |
//! | [`Configuration`](ErrorClass::Configuration) | the description or a file that it names is wrong | 2 |
//! | [`Verification`](ErrorClass::Verification) | a promise does not hold: signature, digest, read-back, a source that changed | 3 |
//! | [`Refused`](ErrorClass::Refused) | going on could harm somebody's data or leak a secret | 4 |
//! | [`NoSpace`](ErrorClass::NoSpace) | a disk or a file system is full | 1 |
//! | [`Network`](ErrorClass::Network) | a server cannot be reached, or says no | 1 |
//! | [`Cancelled`](ErrorClass::Cancelled) | Ctrl-C, SIGTERM | 1 |
//! | [`Damaged`](ErrorClass::Damaged) | bytes that nobody vouched for contradict themselves | 1 |
//! | [`Failed`](ErrorClass::Failed) | the system or another program did not do what it was asked | 1 |
//! | [`Internal`](ErrorClass::Internal) | a fault in pibake | 1 |
//!
//! An error of the operating system has no class of its own: `ENOENT` is the user's mistake where the user
//! named the file, and a fault of the machine elsewhere. So [`io::Error`] is not [`Classified`], and whoever
//! meets one says what was being done: in a room by a variant of its error, in a command by [`Doing::doing`].
//!
//! **Words.** An error says what happened, to what, and what to do next. Contexts are gerunds ("opening
//! {path}"); the sentence at the end of the chain names the fault, and the error that knows a way out adds it
//! after a colon or a semicolon. An error does not repeat its source: the printer shows both.
//!
//! **One printer.** [`causes`] is the only loop over [`Error::source`] for people: [`one_line`] joins it for
//! tables and notes, and the program's last words have a line for each cause.

use std::error::Error;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// What an error means for whoever started the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The command line asks for what makes no sense or is not there.
    Usage,
    /// The description of the cluster, or a file that it names, is wrong.
    Configuration,
    /// Something is not what was promised: a signature, a digest or a read-back does not match.
    Verification,
    /// Going on could harm somebody's data or leak a secret.
    Refused,
    /// A disk or a file system is full.
    NoSpace,
    /// A server cannot be reached, or does not have what was asked for.
    Network,
    /// The user asked for the end.
    Cancelled,
    /// Bytes that nobody vouched for contradict themselves.
    Damaged,
    /// The system or another program did not do what it was asked.
    Failed,
    /// A fault in pibake.
    Internal,
}

impl ErrorClass {
    /// The exit code, as `pibake --help` promises it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NoSpace
            | Self::Network
            | Self::Cancelled
            | Self::Damaged
            | Self::Failed
            | Self::Internal => 1,
            Self::Usage | Self::Configuration => 2,
            Self::Verification => 3,
            Self::Refused => 4,
        }
    }

    /// The class of what the operating system answered while pibake used files of its own.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            // The kinds of errors are no closed list; whatever comes, the system did not do it.
            _ => Self::Failed,
        }
    }

    /// The same where the user named the file: that there is none, or that it is a folder, is a mistake in the
    /// command line.
    #[must_use]
    pub fn of_named(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidFilename => Self::Usage,
            _ => Self::of_io(error),
        }
    }
}

/// An error that knows what it means.
pub trait Classified: Error {
    /// Its class. Implementations match every variant by name.
    fn class(&self) -> ErrorClass;
}

/// Any classified error, with what was being done when it came.
///
/// It is no [`Error`] itself, so that `?` makes one of every classified error, and of no other:
///
/// ```compile_fail,E0277
/// fn unclassified() -> Result<(), pibake::error::Failure> {
///     Err(std::io::Error::other("of what class?"))?;
///     Ok(())
/// }
/// ```
///
/// ```
/// use pibake::error::{Doing, Failure};
/// fn classified() -> Result<(), Failure> {
///     std::fs::read("/nowhere").doing(|| "reading /nowhere".into()).map(drop)
/// }
/// assert!(classified().unwrap_err().to_string().starts_with("reading /nowhere"));
/// ```
pub struct Failure(Box<dyn Classified + Send + Sync>);

impl Failure {
    /// An error of one sentence, for what is found out in one place only.
    pub fn new(class: ErrorClass, text: impl Into<String>) -> Self {
        Self(Box::new(Plain { class, text: text.into() }))
    }

    /// What the command line asks for makes no sense.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(ErrorClass::Usage, text)
    }

    /// What is not done since it could harm somebody's data.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(ErrorClass::Refused, text)
    }

    /// What the operating system answered, with what was being done: a gerund phrase.
    pub fn of_io(source: io::Error, doing: impl Into<String>) -> Self {
        let class = ErrorClass::of_io(&source);
        Self(Box::new(While { doing: doing.into(), class, source }))
    }

    /// The same for a file that the user named: [`ErrorClass::of_named`].
    pub fn of_named(source: io::Error, doing: impl Into<String>) -> Self {
        let class = ErrorClass::of_named(&source);
        Self(Box::new(While { doing: doing.into(), class, source }))
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class()
    }

    /// The error itself.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + 'static) {
        &*self.0
    }

    /// The same, with what was being done: a gerund phrase.
    pub fn while_doing(self, doing: impl Into<String>) -> Self {
        let class = self.class();
        Self(Box::new(While { doing: doing.into(), class, source: Cause(self) }))
    }
}

impl<E: Classified + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(self.error()))
    }
}

/// A [`Failure`] as the source of another error: it says what that says.
#[derive(Debug)]
pub struct Cause(Failure);

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.error(), f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error().source()
    }
}

impl Classified for Cause {
    fn class(&self) -> ErrorClass {
        self.0.class()
    }
}

/// One sentence.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Plain {
    class: ErrorClass,
    text: String,
}

impl Classified for Plain {
    fn class(&self) -> ErrorClass {
        self.class
    }
}

/// What was being done when something went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
struct While<E: Error + 'static> {
    doing: String,
    class: ErrorClass,
    source: E,
}

impl<E: Error + 'static> Classified for While<E> {
    fn class(&self) -> ErrorClass {
        self.class
    }
}

/// Says what was being done when something went wrong.
pub trait Doing<T> {
    /// `doing` is a gerund phrase that names the thing: "opening {path}".
    ///
    /// # Errors
    /// The error that was there, under this phrase.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|source| Failure::of_io(source, doing()))
    }
}

impl<T, E: Classified + Send + Sync + 'static> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::from(error).while_doing(doing()))
    }
}

impl<T> Doing<T> for Result<T, Failure> {
    fn doing(self, doing: impl FnOnce() -> String) -> Self {
        self.map_err(|error| error.while_doing(doing()))
    }
}

/// Gives a class to an error that has none: another crate's, or the system's where the general rule is wrong.
pub trait DoingAs<T> {
    /// As [`Doing::doing`], with the class.
    ///
    /// # Errors
    /// The error that was there, under this phrase and with this class.
    fn doing_as(self, class: ErrorClass, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Error + Send + Sync + 'static> DoingAs<T> for Result<T, E> {
    fn doing_as(self, class: ErrorClass, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|source| Failure(Box::new(While { doing: doing(), class, source })))
    }
}

/// What `error` says and what each of its causes adds. A cause that says the same as what it caused, as a
/// transparent error does, is left out.
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts
}

/// An error with its causes, on one line.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    causes(error).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_keeps_the_class_and_comes_first() {
        let failure = Failure::refused("it is in use").while_doing("opening /dev/x").while_doing("flashing");
        assert_eq!(failure.class(), ErrorClass::Refused);
        assert_eq!(causes(failure.error()), ["flashing", "opening /dev/x", "it is in use"]);
        assert_eq!(failure.to_string(), "flashing: opening /dev/x: it is in use");
    }

    #[test]
    fn a_cause_says_what_it_is_made_of_and_nothing_twice() {
        let inner: Result<(), _> = Err(io::Error::other("no such device"));
        let cause = Cause::from(inner.doing(|| "opening /dev/x".into()).unwrap_err());
        assert_eq!(causes(&cause), ["opening /dev/x", "no such device"]);
        let outer = Failure::from(cause).while_doing("opening /dev/x");
        assert_eq!(outer.to_string(), "opening /dev/x: no such device");
    }

    #[test]
    fn a_full_disk_is_known_wherever_it_is_met() {
        for errno in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            let full = || io::Error::from(errno);
            assert_eq!(ErrorClass::of_io(&full()), ErrorClass::NoSpace);
            assert_eq!(ErrorClass::of_named(&full()), ErrorClass::NoSpace);
            assert_eq!(Err::<(), _>(full()).doing(String::new).unwrap_err().class(), ErrorClass::NoSpace);
        }
    }

    #[test]
    fn what_is_not_there_is_a_mistake_only_where_the_user_named_it() {
        let missing = io::Error::from(rustix::io::Errno::NOENT);
        assert_eq!(ErrorClass::of_io(&missing), ErrorClass::Failed);
        assert_eq!(ErrorClass::of_named(&missing), ErrorClass::Usage);
        let denied = io::Error::from(rustix::io::Errno::ACCESS);
        assert_eq!(ErrorClass::of_named(&denied), ErrorClass::Failed);
    }
}

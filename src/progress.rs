//! How long work says how far it is, without knowing who listens.

/// Where long work reports to. Shared between threads.
pub trait Progress: Send + Sync {
    /// Begins a step. `what` is a gerund phrase ("downloading ubuntu-20.04.5…"), `total` is how
    /// many bytes there are to do, where that is known.
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Step>;

    /// Something the user should know that is neither progress nor an error, such as a retry.
    fn note(&self, text: &str);

    /// That another process is waited for: told also where nobody wants to hear of progress, for silence would be taken
    /// for work.
    fn wait(&self, text: &str);

    /// Something that is allowed and probably not meant: told also where nobody wants to hear of progress.
    fn warn(&self, text: &str);

    /// What ended the run.
    fn fail(&self, text: &str);
}

/// One step under way. Dropping it without [`Step::finish`] means that it was given up.
pub trait Step: Send + Sync {
    /// `n` more bytes are done.
    fn advance(&self, n: u64);

    /// Sets how much is done in all, for work that resumes or starts over; the rate counts from here.
    fn set_position(&self, n: u64);

    /// Sets or corrects the total.
    fn set_total(&self, total: u64);

    /// The step is complete.
    fn finish(&self);
}

/// A [`Progress`] that nobody listens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Step> {
        Box::new(Silent)
    }
    fn note(&self, _text: &str) {}
    fn wait(&self, _text: &str) {}
    fn warn(&self, _text: &str) {}
    fn fail(&self, _text: &str) {}
}

impl Step for Silent {
    fn advance(&self, _n: u64) {}
    fn set_position(&self, _n: u64) {}
    fn set_total(&self, _total: u64) {}
    fn finish(&self) {}
}

/// Tells what is worth knowing, but not how far each small step is.
pub struct Quiet<'a>(pub &'a dyn Progress);

impl Progress for Quiet<'_> {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Step> {
        Box::new(Silent)
    }

    fn note(&self, text: &str) {
        self.0.note(text);
    }

    fn wait(&self, text: &str) {
        self.0.wait(text);
    }

    fn warn(&self, text: &str) {
        self.0.warn(text);
    }

    fn fail(&self, text: &str) {
        self.0.fail(text);
    }
}

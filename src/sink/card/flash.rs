//! All cards of a run, from the first chunk of the base to what became of each.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::error::Error;
use super::plan::Plan;
use super::windows::Windows;
use super::writer::CardWriter;
use super::{Content, Contents, Done, Head, Options, Outcome, Target, pipeline};
use crate::base::ImageObserver;
use crate::disk::FileDevice;
use crate::io::CancelToken;
use crate::progress::Progress;
use crate::sink::source::Source;
use crate::sink::streaming::{Pending, StreamingWriter};
use crate::sink::threads::returned;

/// Cards that are going to be written. Nothing is written yet.
pub struct Flash {
    cards: StreamingWriter<CardWriter>,
}

impl Flash {
    /// For these cards. When `cancel` is cancelled the work ends soon, with [`Error::Cancelled`].
    #[must_use]
    pub fn new(targets: Vec<Target>, options: Options, cancel: &CancelToken) -> Self {
        let cards = targets.into_iter().map(|t| CardWriter::new(t, options, cancel.clone()));
        Self { cards: StreamingWriter::new(cards.collect()) }
    }

    /// Begins the cards while the base is decoded. What is written is the base's bytes before anyone has
    /// checked them, and without what makes a node of them: the first MiB stays zero. The fastest card
    /// sets the pace; one that lags misses chunks and reads them from the cache later.
    pub fn observer(&mut self) -> &mut (dyn ImageObserver + 'static) {
        &mut self.cards
    }

    /// Writes all cards from the raw image at `base`, which has been verified, each with what
    /// `contents` makes for it. A card that fails does not disturb the others.
    pub fn finish(self, base: &Path, contents: &Contents<'_>, progress: &dyn Progress) -> Vec<Outcome> {
        let source = match Source::open(base) {
            Ok(source) => source,
            Err(e) => {
                let e = Arc::new(io::Error::other(e));
                return self.abandon(|| Error::Base { path: base.to_owned(), source: Arc::clone(&e) });
            }
        };
        let cards = self.cards.finish(Some(source.len()));
        let windows = Windows::new(&source);
        let job = Job { source: &source, windows: &windows, contents, progress };
        thread::scope(|scope| {
            let job = &job;
            let running: Vec<_> = cards
                .into_iter()
                .map(|card| scope.spawn(move || card.wait().map(|card| job.card(card))))
                .collect();
            running.into_iter().filter_map(|card| returned(card.join())).collect()
        })
    }

    /// Gives all cards up, because there is no base for them. Those that failed by themselves say why.
    pub fn abandon(self, why: impl Fn() -> Error) -> Vec<Outcome> {
        let cards = self.cards.finish(None).into_iter().filter_map(Pending::wait);
        let given_up = cards.map(|mut card| {
            let fault = card.fault.take().unwrap_or_else(&why);
            outcome(card, Err(fault))
        });
        given_up.collect()
    }
}

fn outcome(mut card: CardWriter, result: Result<Done, Error>) -> Outcome {
    // what a drive gave back while it was pulled out says nothing of the card
    let result = result.map_err(|fault| match fault.is_verification() && !card.card().is_there() {
        true => Error::Gone { card: card.target.card_name.clone(), source: io::Error::other(fault) },
        false => fault,
    });
    match &result {
        Ok(_) => card.head = Head::Written,
        Err(fault) => card.blank(fault),
    }
    Outcome { card: card.target.card_name, node: card.target.node, head: card.head, result }
}

/// What the cards of a run share.
struct Job<'a> {
    source: &'a Source,
    windows: &'a Windows<'a>,
    contents: &'a Contents<'a>,
    progress: &'a dyn Progress,
}

impl Job<'_> {
    fn card(&self, mut card: CardWriter) -> Outcome {
        let result = self.write(&mut card);
        outcome(card, result)
    }

    fn write(&self, card: &mut CardWriter) -> Result<Done, Error> {
        if let Some(fault) = card.fault.take() {
            return Err(fault);
        }
        card.check_holds(self.source.len())?;
        card.check()?;
        // what cannot be baked leaves a card that was not begun as it was
        let node = card.target.node.clone();
        let Content { patch, proof, still } = (self.contents)(&node).map_err(|failure| Error::Bake {
            node: node.clone(),
            card: card.target.card_name.clone(),
            source: failure.into(),
        })?;
        card.check_holds(patch.image_len(self.source.len()))?;
        let path = self.source.path();
        let base =
            FileDevice::open(path).map_err(|e| Error::Base { path: path.to_owned(), source: e.into() })?;
        let plan = Plan::new(self.source, base, patch, card)?;
        plan.notes.iter().for_each(|note| self.progress.note(note));
        if !card.is_begun() {
            card.begin(self.progress)?;
        }
        pipeline::run(card, &plan, &(proof, still), self.windows, self.progress)
    }
}

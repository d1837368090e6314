//! The bills of cards that are written without images: in the folder where images would go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::cli::images::Images;
use crate::cli::written::put;
use crate::error::{Doing, Failure};
use crate::io::folder::make_folders;
use crate::sink::card::Outcome;
use crate::workflow::{Chosen, Control, Medium, bill_name};

/// Bills on their way, by the node's name.
pub(super) struct CardBills {
    dir: PathBuf,
    made: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl CardBills {
    /// Of the cards of these nodes.
    pub(super) fn of(chosen: &Chosen) -> Self {
        Self { dir: chosen.project().place.images.clone(), made: Mutex::default() }
    }

    /// Keeps the text of one until its card is done.
    pub(super) fn keep(&self, node: &str, text: Vec<u8>) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned(), text);
    }

    /// Writes those of cards that are done. Gives where they are, and why one could not be written.
    pub(super) fn put(
        self,
        outcomes: &[Outcome],
        control: &Control,
    ) -> (BTreeMap<String, PathBuf>, Option<Failure>) {
        let made = self.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = |node: &str| outcomes.iter().any(|outcome| outcome.node == node && outcome.result.is_ok());
        let made: Vec<_> = made.into_iter().filter(|(node, _)| done(node)).collect();
        let mut put_there = BTreeMap::new();
        if made.is_empty() {
            return (put_there, None);
        }
        let is_new = !self.dir.exists();
        let making = || format!("making the folder {}", self.dir.display());
        let ready = make_folders(&self.dir, 0o777).doing(making);
        if let Err(fault) = ready.and_then(|()| Images::close(&self.dir, is_new, control)) {
            return (put_there, Some(lost(fault)));
        }
        for (node, text) in made {
            match put(&self.dir, &bill_name(&node, Medium::Card), &text) {
                Ok(path) => drop(put_there.insert(node, path)),
                Err(fault) => return (put_there, Some(lost(fault))),
            }
        }
        (put_there, None)
    }
}

/// The cards are as they should be all the same.
fn lost(fault: Failure) -> Failure {
    fault.while_doing("the cards are written, and not all of their bills")
}

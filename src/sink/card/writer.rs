//! One card, from its first zeroed MiB to its last checked block.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::unbounded;
use rustix::io::Errno;

use super::device::Card;
use super::error::Error;
use super::layout::{HEAD, UNIT};
use super::probe::Probe;
use super::read_back::{self, Found, Written};
use super::{Head, Options, Target};
use crate::disk::{Ranges, cut};
use crate::io::chunk::Chunk;
use crate::io::stream::{Delivery, Subscriber};
use crate::io::{AlignedBuf, CancelToken, is_zero};
use crate::progress::{Progress, Silent};
use crate::sink::streaming::{Hold, Target as StreamTarget};
use crate::sink::threads::returned;

/// Zeros are written in pieces of this many bytes, so that the work can be stopped between them.
const ZERO_PIECE: u64 = 64 << 20;

/// A card under way.
pub(super) struct CardWriter {
    pub target: Target,
    pub options: Options,
    pub cancel: CancelToken,
    /// Which of the base's bytes are on the card.
    pub done: Ranges,
    /// What of it was read back already.
    pub checked: Found,
    pub head: Head,
    /// Its first MiB is about to become the node's.
    pub is_last: AtomicBool,
    pub probe: Option<Probe>,
    /// Why it was given up.
    pub fault: Option<Error>,
}

impl CardWriter {
    pub(super) fn new(target: Target, options: Options, cancel: CancelToken) -> Self {
        let (done, checked) = (Ranges::new(), Found::default());
        let (head, is_last) = (Head::AsItWas, AtomicBool::new(false));
        Self { target, options, cancel, done, checked, head, is_last, probe: None, fault: None }
    }

    pub(super) fn card(&self) -> &dyn Card {
        self.target.card.as_ref()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        Ok(self.cancel.check()?)
    }

    /// An input or output error of this card.
    pub(super) fn io(&self, doing: &'static str, offset: u64) -> impl FnOnce(io::Error) -> Error {
        move |source| {
            let card = self.target.card_name.clone();
            match self.is_gone(&source) {
                true => Error::Gone { card, source },
                false => Error::Io { doing, card, offset, source },
            }
        }
    }

    /// Whether an error means that the drive is no longer there.
    pub(super) fn is_gone(&self, error: &io::Error) -> bool {
        #[cfg(target_os = "linux")]
        const GONE: [Errno; 3] = [Errno::NODEV, Errno::NXIO, Errno::NOMEDIUM];
        #[cfg(not(target_os = "linux"))]
        const GONE: [Errno; 2] = [Errno::NODEV, Errno::NXIO];
        GONE.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) || !self.card().is_there()
    }

    /// Refuses an image of `len` bytes that the card has no room for.
    pub(super) fn check_holds(&self, len: u64) -> Result<(), Error> {
        let (size, needed) = (self.card().len(), len.next_multiple_of(self.card().sector()));
        if size < needed {
            return Err(Error::TooSmall { card: self.target.card_name.clone(), size, needed });
        }
        Ok(())
    }

    /// Takes away what boots and what others might recognise, and asks the card for its true size.
    pub(super) fn begin(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        self.check()?;
        self.check_holds(4 * HEAD)?;
        let len = self.card().len();
        self.head = Head::Unknown;
        self.zero(0..HEAD)?;
        self.card().sync().map_err(self.io("writing", 0))?;
        self.head = Head::Zero;
        // the backup of a GPT and the superblocks of old arrays are at the end
        self.zero(len - HEAD..len)?;
        if self.options.wipe {
            self.wipe(progress)?;
        }
        let salt = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        match Probe::place(self.card(), salt).map_err(self.io("probing", 0))? {
            Ok(probe) => self.probe = Some(probe),
            Err(offset) => return Err(self.bad(offset, false)),
        }
        Ok(())
    }

    /// Whether anything was written to it.
    pub(super) fn is_begun(&self) -> bool {
        self.head != Head::AsItWas
    }

    /// Takes away what boots, of a card that does not get done because of `fault`.
    pub(super) fn blank(&mut self, fault: &Error) {
        if !self.is_begun() {
            return;
        }
        let card = self.card();
        let mut head = AlignedBuf::zeroed(HEAD as usize);
        let read = card.zero(0..HEAD).and_then(|()| card.sync()).and_then(|()| card.read_at(0, &mut head));
        // A card that wraps around may have got something there after all, one that is worn out keeps
        // what was there, and neither says so.
        if read.is_ok() && is_zero(&head) {
            self.head = Head::Zero;
        } else if self.is_last.load(Ordering::Relaxed) || fault.is_verification() {
            self.head = Head::Unknown;
        }
    }

    pub(super) fn bad(&self, offset: u64, again: bool) -> Error {
        Error::Bad { card: self.target.card_name.clone(), offset, again, source: None }
    }

    fn zero(&self, range: Range<u64>) -> Result<(), Error> {
        let start = range.start;
        self.card().zero(range).map_err(self.io("writing", start))
    }

    fn wipe(&self, progress: &dyn Progress) -> Result<(), Error> {
        let (card, len) = (self.card(), self.card().len());
        if card.discard().map_err(self.io("discarding", 0))? {
            // what was discarded may read as it was
            self.zero(0..HEAD)?;
            self.zero(len - HEAD..len)?;
            return card.sync().map_err(self.io("writing", 0));
        }
        let step = progress.begin(&format!("wiping {}", self.target.card_name), Some(len));
        for piece in cut(HEAD..len, ZERO_PIECE) {
            self.check()?;
            let Range { start, end } = piece;
            self.zero(piece)?;
            card.sync().map_err(self.io("writing", start))?;
            step.set_position(end);
        }
        step.finish();
        Ok(())
    }

    /// Writes what of the base is in `chunk`, but for the head, and tells `written` of each range.
    pub(super) fn chunk(&mut self, chunk: &Chunk, mut written: impl FnMut(u64, &[u8])) -> Result<(), Error> {
        for (offset, bytes) in chunk.extents() {
            self.check()?;
            let skip = HEAD.saturating_sub(offset).min(bytes.len() as u64);
            // the odd end of an image comes later
            let end = bytes.len() as u64 - bytes.len() as u64 % UNIT;
            let (from, to) = (offset + skip, offset + end);
            if from < to && to <= self.card().len() {
                let part = &bytes[skip as usize..end as usize];
                self.card().write_at(from, part).map_err(self.io("writing", from))?;
                self.done.insert(from..to);
                written(from, part);
            }
        }
        Ok(())
    }
}

impl StreamTarget for CardWriter {
    const DELIVERY: Delivery = Delivery::BestEffort;

    fn name(&self) -> String {
        self.target.node.clone()
    }

    /// Without a size nobody can say whether it fits: then all are written from the cache.
    fn select(cards: Vec<Self>, len: Option<u64>) -> (Vec<Self>, Vec<Self>) {
        cards
            .into_iter()
            .partition(|card| card.fault.is_none() && len.is_some_and(|len| len <= card.card().len()))
    }

    fn stream(&mut self, image: &mut Subscriber, hold: &Hold) {
        // Bars of their own would only hide that of the download.
        if !self.is_begun()
            && let Err(fault) = self.begin(&Silent)
        {
            self.fault = Some(fault);
            return;
        }
        let (drive, ended) = (Arc::clone(&self.target.card), &self.cancel.child());
        let found = std::thread::scope(|scope| {
            // it may lag as far as it likes: it holds up nobody, and remembers a few bytes of each range
            let (follower, written) = if self.options.verify {
                let (written, news) = unbounded();
                let drive = &*drive;
                (Some(scope.spawn(move || read_back::follow(drive, &news, ended))), Some(written))
            } else {
                (None, None)
            };
            for chunk in image {
                let writing = self.chunk(&chunk, |offset, bytes| {
                    // a follower that has seen something wrong has ended
                    let _ = written.as_ref().map(|to| to.send(Written::new(offset, bytes)));
                });
                if let Err(fault) = writing {
                    self.fault = Some(fault);
                    break;
                }
            }
            // the card reads back meanwhile what it got
            if self.fault.is_none() {
                hold.wait();
            }
            ended.cancel();
            drop(written);
            follower.map(|follower| returned(follower.join()))
        });
        self.checked = found.unwrap_or_default();
    }

    fn discard(&mut self) {
        (self.done, self.checked) = (Ranges::new(), Found::default());
    }

    fn none_left() -> io::Result<()> {
        Err(io::Error::other("no card is left to be written"))
    }
}

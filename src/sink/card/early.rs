//! Writing cards while the base is still being decoded.
//!
//! What is written here is the base's bytes before anyone has checked them, and without what makes a
//! node of them: the first MiB stays zero. The fastest card sets the pace; one that lags misses
//! windows and reads them from the cache later. What was written is read back meanwhile, too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};

use super::check_early::{self, Found, Written};
use super::error::Error;
use super::writing::Writing;
use crate::base::Tap;
use crate::disk::Ranges;
use crate::progress::Silent;
use crate::sink::assemble::Assembler;
use crate::sink::copy::{Chunk, Ring};

/// Chunks that may wait for a card.
const WAITING: usize = 1;
/// Buffers besides those that wait for cards or are in their hands.
const SPARE: usize = 3;
/// How often it is asked whether the user wants to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Shows the cards what a decoder shows.
pub(super) struct Early {
    idle: Vec<Writing>,
    running: Option<Running>,
    cancel: Arc<AtomicBool>,
}

/// A card that may still have to write what was shown to it.
pub(super) enum Begun {
    Idle(Box<Writing>),
    /// Whether what was shown is a whole image.
    Running(JoinHandle<Writing>, bool),
}

impl Begun {
    /// The card, when it has written what was shown to it.
    pub fn wait(self) -> Writing {
        let (thread, complete) = match self {
            Self::Idle(card) => return *card,
            Self::Running(thread, complete) => (thread, complete),
        };
        // a panic of a writer is a fault of ours, not of the card
        let mut card = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if !complete {
            card.done = Ranges::new();
            card.checked = Found::default();
        }
        card
    }
}

struct Running {
    windows: Assembler,
    lanes: Vec<Option<Sender<Arc<Chunk>>>>,
    /// Somebody has taken something.
    room: Receiver<()>,
    threads: Vec<JoinHandle<Writing>>,
}

impl Early {
    pub fn new(cards: Vec<Writing>, cancel: Arc<AtomicBool>) -> Self {
        Self { idle: cards, running: None, cancel }
    }

    /// The cards, when no more comes. What they have of an image that was never whole is worth nothing.
    pub fn finish(mut self, whole: Option<u64>) -> Vec<Begun> {
        let running = self.end(whole);
        self.idle.into_iter().map(|card| Begun::Idle(Box::new(card))).chain(running).collect()
    }

    fn end(&mut self, whole: Option<u64>) -> Vec<Begun> {
        let Some(mut running) = self.running.take() else { return Vec::new() };
        let complete = whole == Some(running.windows.position());
        if complete {
            let (lanes, room, cancel) = (&mut running.lanes, &running.room, &self.cancel);
            running.windows.flush(|chunk| offer(lanes, room, cancel, chunk));
        }
        drop(running.lanes);
        running.threads.into_iter().map(|thread| Begun::Running(thread, complete)).collect()
    }

    fn start(&mut self, len: u64) -> io::Result<()> {
        let (told, room) = bounded(1);
        let (fit, idle): (Vec<_>, Vec<_>) =
            self.idle.drain(..).partition(|card| card.fault.is_none() && card.card().len() >= len);
        self.idle = idle;
        let (mut lanes, mut threads) = (Vec::new(), Vec::new());
        let ring = Ring::new(fit.len() * (WAITING + 1) + SPARE);
        for card in fit {
            let (sender, chunks) = bounded(WAITING);
            let told = told.clone();
            let name = card.target.node.clone();
            threads.push(std::thread::Builder::new().name(name).spawn(move || write(card, &chunks, &told))?);
            lanes.push(Some(sender));
        }
        if !lanes.is_empty() {
            self.running = Some(Running { windows: Assembler::new(ring), lanes, room, threads });
        }
        Ok(())
    }

    fn feed(
        &mut self,
        feed: impl FnOnce(&mut Assembler, &mut dyn FnMut(Chunk) -> bool) -> bool,
    ) -> io::Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, Error::Cancelled));
        }
        let Some(Running { windows, lanes, room, .. }) = &mut self.running else { return Ok(()) };
        if feed(windows, &mut |chunk| offer(lanes, room, &self.cancel, chunk)) {
            return Ok(());
        }
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, Error::Cancelled));
        }
        Err(io::Error::other("no card is left to be written"))
    }
}

/// Offers a chunk to every card until one at least has taken it. False when there is no card left,
/// or the user wants to stop.
fn offer(
    lanes: &mut [Option<Sender<Arc<Chunk>>>],
    room: &Receiver<()>,
    cancel: &AtomicBool,
    chunk: Chunk,
) -> bool {
    if chunk.extents().next().is_none() {
        return true;
    }
    let chunk = Arc::new(chunk);
    loop {
        let mut taken = false;
        for lane in lanes.iter_mut() {
            match lane.as_ref().map(|sender| sender.try_send(Arc::clone(&chunk))) {
                Some(Ok(())) => taken = true,
                Some(Err(TrySendError::Disconnected(_))) => *lane = None,
                Some(Err(TrySendError::Full(_))) | None => {}
            }
        }
        if taken {
            return true;
        }
        if lanes.iter().all(Option::is_none) || cancel.load(Ordering::Relaxed) {
            return false;
        }
        // whether somebody told or the time ran out, it is tried again
        let _ = room.recv_timeout(PATIENCE);
    }
}

fn write(mut card: Writing, chunks: &Receiver<Arc<Chunk>>, told: &Sender<()>) -> Writing {
    // Bars of their own would only hide that of the download.
    if !card.is_begun()
        && let Err(fault) = card.begin(&Silent)
    {
        card.fault = Some(fault);
        return card;
    }
    let (drive, cancel, ended) =
        (Arc::clone(&card.target.card), Arc::clone(&card.cancel), AtomicBool::new(false));
    let go_on = &|| !cancel.load(Ordering::Relaxed) && !ended.load(Ordering::Relaxed);
    let found = std::thread::scope(|scope| {
        // it may lag as far as it likes: it holds up nobody, and remembers a few bytes of each range
        let (follower, written) = if card.options.verify {
            let (written, news) = unbounded();
            let drive = &*drive;
            (Some(scope.spawn(move || check_early::follow(drive, &news, go_on))), Some(written))
        } else {
            (None, None)
        };
        for chunk in chunks {
            // one word waiting is enough
            let _ = told.try_send(());
            let writing = card.chunk(&chunk, |offset, bytes| {
                // who has seen something wrong listens no more
                let _ = written.as_ref().map(|to| to.send(Written::new(offset, bytes)));
            });
            if let Err(fault) = writing {
                card.fault = Some(fault);
                break;
            }
        }
        ended.store(true, Ordering::Relaxed);
        drop(written);
        follower.map(|f| f.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    card.checked = found.unwrap_or_default();
    card
}

impl Tap for Early {
    fn begin(&mut self, len_hint: Option<u64>) {
        let running = self.end(None);
        self.idle.extend(running.into_iter().map(Begun::wait));
        // Without a size nobody can say whether it fits: then it is written from the cache.
        if let Some(len) = len_hint
            && let Err(e) = self.start(len)
        {
            tracing::warn!("cards are written from the cache alone: {e}");
        }
    }

    fn chunk(&mut self, _offset: u64, data: &Arc<[u8]>) -> io::Result<()> {
        self.feed(|windows, send| windows.data(data, send))
    }

    fn hole(&mut self, _offset: u64, len: u64) -> io::Result<()> {
        self.feed(|windows, send| windows.zeros(len, send))
    }
}

//! Writing targets while the base is still being decoded.
//!
//! What is written here is the base's bytes before anyone has checked them, and without what makes a
//! node of them. A target that fails or lags loses nothing: what it misses is read from the cache
//! later.

use std::convert::Infallible;
use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, SendError, Sender};

use super::threads::returned;
use crate::base::ImageObserver;
use crate::io::stream::{Delivery, ImageStream, Subscriber};

/// Something that an image can be written to while it is decoded: a file, a card.
pub(super) trait Target: Send + Sized + 'static {
    /// What it is promised of the image.
    const DELIVERY: Delivery;

    /// What its thread is called.
    fn name(&self) -> String;

    /// Parts `targets` into those that an image is streamed to, of `len` bytes where that is known, and
    /// the others. What they remember of an earlier image ends here.
    fn select(targets: Vec<Self>, len: Option<u64>) -> (Vec<Self>, Vec<Self>);

    /// Writes what comes. A fault stays in the target and ends its part. What there is to do with what
    /// was written may go on until `hold` is let go: until somebody wants the target.
    fn stream(&mut self, image: &mut Subscriber, hold: &Hold);

    /// What was streamed is void: another image comes, or none. A fault stays.
    fn discard(&mut self);

    /// Whether decoding the image is in vain once all targets have failed.
    ///
    /// # Errors
    /// That it is, in words for people.
    fn none_left() -> io::Result<()>;
}

/// Streams an image to its targets, each in a thread of its own.
pub(super) struct StreamingWriter<T> {
    idle: Vec<T>,
    running: Vec<Running<T>>,
    /// Lets go of the running targets when it is dropped.
    hold: Option<Sender<Infallible>>,
}

/// Lasts until the targets are wanted back.
pub(super) struct Hold(Receiver<Infallible>);

impl Hold {
    /// Waits for its end.
    pub(super) fn wait(&self) {
        // nothing is ever sent: this ends when the sender is gone
        let _ = self.0.recv();
    }
}

/// The thread of a target. It ends with the target, and with the size of the image if that was whole.
type Running<T> = JoinHandle<Option<(T, Option<u64>)>>;

/// A target that may still have to write what was streamed to it.
pub(super) enum Pending<T> {
    /// Nothing was streamed to it.
    Idle(T),
    /// It is at work. What it holds is the image only if that had this many bytes.
    Running(Running<T>, Option<u64>),
}

impl<T: Target> Pending<T> {
    /// The target, when it has written what was streamed to it. There always is one: a thread is kept
    /// only where it was given its target.
    pub(super) fn wait(self) -> Option<T> {
        let (thread, expected) = match self {
            Self::Idle(target) => return Some(target),
            Self::Running(thread, expected) => (thread, expected),
        };
        let (mut target, whole) = returned(thread.join())?;
        if whole.is_none() || whole != expected {
            target.discard();
        }
        Some(target)
    }
}

impl<T: Target> StreamingWriter<T> {
    /// Will write `targets`.
    pub(super) fn new(targets: Vec<T>) -> Self {
        Self { idle: targets, running: Vec::new(), hold: None }
    }

    /// All targets, when no more comes. What they hold of an image is kept only if it was whole and
    /// had `len` bytes: those of the base that was verified.
    pub(super) fn finish(mut self, len: Option<u64>) -> Vec<Pending<T>> {
        self.hold = None;
        let running = self.running.drain(..).map(|thread| Pending::Running(thread, len));
        running.chain(self.idle.drain(..).map(Pending::Idle)).collect()
    }
}

impl<T> Drop for StreamingWriter<T> {
    /// Waits until nobody writes any more: what the targets remove when they go is gone afterwards.
    fn drop(&mut self) {
        self.hold = None;
        self.running.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl<T: Target> ImageObserver for StreamingWriter<T> {
    fn begin(&mut self, len_hint: Option<u64>, image: &ImageStream) {
        self.hold = None;
        let before = self.running.drain(..).filter_map(|thread| Pending::Running(thread, None).wait());
        let all = before.chain(std::mem::take(&mut self.idle)).collect();
        let (selected, idle) = T::select(all, len_hint);
        self.idle = idle;
        let (hold, held) = crossbeam_channel::bounded(0);
        self.hold = Some(hold);
        for target in selected {
            let (mut image, hold) = (image.subscribe(T::DELIVERY), Hold(held.clone()));
            // The target is handed over afterwards: it would be lost where no thread can be had.
            let (hand_over, taken) = crossbeam_channel::bounded::<T>(1);
            let thread = std::thread::Builder::new().name(target.name()).spawn(move || {
                let mut target = taken.recv().ok()?;
                target.stream(&mut image, &hold);
                Some((target, image.whole()))
            });
            match thread {
                Ok(thread) => match hand_over.send(target) {
                    Ok(()) => self.running.push(thread),
                    Err(SendError(target)) => self.idle.push(target),
                },
                Err(e) => {
                    tracing::warn!("{} is written from the cache alone: {e}", target.name());
                    self.idle.push(target);
                }
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        let in_vain = !self.running.is_empty() && self.running.iter().all(JoinHandle::is_finished);
        if in_vain { T::none_left() } else { Ok(()) }
    }
}

//! The pipeline against cards in memory: whatever happens, a card is either right or does not boot.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use support::noise::bytes as noise;

mod early;

use super::layout::{HEAD, UNIT};
use super::mock::{Faults, Gate, MockCard};
use super::*;
use crate::disk::{Extended, FileDevice, Overlay, WriteAt};
use crate::error::{Doing, ErrorClass};
use crate::io::CancelToken;
use crate::progress::Silent;
use early::show;

const MIB: u64 = 1 << 20;
const LEN: u64 = 14 * MIB + 1536;
const CARD: u64 = 40 * MIB;

/// An image with one partition of no known kind, some data, and a patch over it.
struct Image {
    dir: tempfile::TempDir,
    patch: Patch,
    bytes: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        Self::longer(LEN, &[])
    }

    /// One that is `len` bytes long, and so may be longer than its base, with something more at these places.
    fn longer(len: u64, places: &[u64]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("base.img")).unwrap();
        file.set_len(LEN).unwrap();
        let mut table = [0; 512];
        table[446..462].copy_from_slice(&[0, 0, 0, 0, 0xda, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0]);
        table[458..462].copy_from_slice(&((LEN - MIB) as u32 / 512).to_le_bytes());
        table[510..].copy_from_slice(&[0x55, 0xaa]);
        file.write_all_at(&table, 0).unwrap();
        for (at, len) in [(700_000, 600_000), (3 * MIB, 3 << 20), (9 * MIB, 1 << 20), (LEN - 1536, 1536)] {
            file.write_all_at(&noise(at, len), at).unwrap();
        }
        let base = dir.path().join("base.img");
        let base_device = Extended::new(FileDevice::open(&base).unwrap(), len);
        let overlay = Overlay::spilling(base_device, tempfile::tempfile().unwrap());
        for at in [10, 900_000, 5 * MIB + 7, 7 * MIB, 12 * MIB, LEN - 700].iter().chain(places).copied() {
            let bytes = if at == 10 { vec![1] } else { noise(at, 600) };
            overlay.write_at(at, &bytes).unwrap();
        }
        overlay.write_at(458, &((len - MIB) as u32 / 512).to_le_bytes()).unwrap();
        let patch = overlay.freeze().unwrap();
        let mut bytes = vec![0; len as usize];
        overlay.read_at(0, &mut bytes).unwrap();
        Self { dir, patch, bytes }
    }

    fn base(&self) -> PathBuf {
        self.dir.path().join("base.img")
    }

    fn flash(&self, cards: &[Arc<MockCard>], cancel: &CancelToken) -> Flash {
        self.flash_with(cards, cancel, Options { verify: true, full: false, wipe: false })
    }

    fn flash_with(&self, cards: &[Arc<MockCard>], cancel: &CancelToken, options: Options) -> Flash {
        let target = |(n, card): (usize, &Arc<MockCard>)| Target {
            card_name: format!("card-{n}"),
            node: format!("node-{n}"),
            card: Arc::clone(card) as Arc<dyn Card>,
        };
        Flash::new(cards.iter().enumerate().map(target).collect(), options, cancel)
    }

    fn content(&self) -> Content {
        let expected = self.bytes.clone();
        let proof = move |device: Arc<dyn ReadAt>| {
            let mut read = vec![0; expected.len()];
            device.read_at(0, &mut read).doing(|| "reading".into())?;
            if read == expected { Ok(()) } else { Err(Failure::new(ErrorClass::Verification, "it differs")) }
        };
        Content { patch: self.patch.clone(), proof: Box::new(proof), still: Box::new(|| Ok(())) }
    }

    /// Writes `card` alone.
    fn run(&self, card: &Arc<MockCard>) -> Result<Done, Error> {
        let flash = self.flash(std::slice::from_ref(card), &CancelToken::default());
        let mut outcomes = flash.finish(&self.base(), &|_| Ok(self.content()), &Silent);
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0).result
    }

    fn is_on(&self, card: &MockCard) -> bool {
        card.bytes()[..self.bytes.len()] == self.bytes
    }
}

fn boots(card: &MockCard) -> bool {
    card.bytes()[..HEAD as usize].iter().any(|b| *b != 0)
}

#[test]
fn the_table_is_written_last() {
    let image = Image::new();
    let card = MockCard::new(CARD, Faults::default());
    let done = image.run(&card).unwrap();
    assert!(image.is_on(&card));
    assert_eq!(done.again, None);
    assert!(done.verified >= LEN, "{done:?}");
    let writes = card.writes();
    assert_eq!(writes[0], 0..HEAD, "zeroed first");
    let [.., before, last] = &writes[..] else { panic!() };
    assert_eq!((before.clone(), last.clone()), (UNIT..HEAD, 0..UNIT));
    assert!(writes[1..writes.len() - 2].iter().all(|w| w.start >= HEAD), "{writes:?}");
    // old superblocks of arrays and the backup of a GPT are at the end, where now only a probe is
    assert!(card.bytes()[(CARD - HEAD) as usize..(CARD - 4096) as usize].iter().all(|b| *b == 0));
}

#[test]
fn an_image_may_be_longer_than_its_base() {
    let image = Image::longer(30 * MIB + 512, &[LEN + 5000, 21 * MIB - 300, 30 * MIB - 88]);
    for full in [false, true] {
        let card = MockCard::new(CARD, Faults::default());
        let options = Options { verify: true, full, wipe: false };
        let flash = image.flash_with(std::slice::from_ref(&card), &CancelToken::default(), options);
        let outcome = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent).remove(0);
        outcome.result.unwrap();
        assert!(image.is_on(&card) && boots(&card));
    }
    // the base would fit
    let small = MockCard::new(30 * MIB, Faults::default());
    let needed = 30 * MIB + 512;
    assert!(matches!(image.run(&small).unwrap_err(), Error::TooSmall { needed: n, .. } if n == needed));
    assert!(small.writes().is_empty());
}

#[test]
fn a_write_that_fails_ends_that_card_and_no_other() {
    let image = Image::new();
    let clean = MockCard::new(CARD, Faults::default());
    image.run(&clean).unwrap();
    for number in 1..=clean.writes().len() as u64 {
        let bad = MockCard::new(CARD, Faults { fail_write: Some(number), ..Faults::default() });
        let good = MockCard::new(CARD, Faults::default());
        let flash = image.flash(&[Arc::clone(&bad), Arc::clone(&good)], &CancelToken::default());
        let outcomes = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent);
        let of = |name: &str| outcomes.iter().find(|o| o.card == name).unwrap();
        assert!(matches!(of("card-0").result, Err(Error::Io { .. })), "{number}: {:?}", of("card-0"));
        if number > 1 {
            assert!(!boots(&bad), "write {number}");
        }
        assert!(of("card-1").result.is_ok() && image.is_on(&good), "write {number}");
    }
}

#[test]
fn a_byte_that_does_not_stick_is_named_and_tried_once() {
    let image = Image::new();
    for at in [MIB + 5, 4 * MIB + 123_456, 11 * MIB, LEN - 1] {
        let card = MockCard::new(CARD, Faults { flips: Some(at), ..Faults::default() });
        let error = image.run(&card).unwrap_err();
        let Error::Bad { offset, again: true, .. } = &error else { panic!("{error}") };
        assert_eq!(*offset, at);
        assert!(error.to_string().contains("this card is bad or lying about its size"), "{error}");
        assert!(!boots(&card));
    }
    // in the first MiB there is no second try
    let card = MockCard::new(CARD, Faults { flips: Some(500), ..Faults::default() });
    assert!(matches!(image.run(&card).unwrap_err(), Error::Bad { offset: 500, .. }));
    assert!(!boots(&card));
}

#[test]
fn a_read_that_fails_once_is_forgiven_and_one_that_keeps_failing_is_not() {
    let image = Image::new();
    let mut again = 0;
    for number in 20..50 {
        let card = MockCard::new(CARD, Faults { fail_reads: Some(number..number + 1), ..Faults::default() });
        match image.run(&card) {
            Ok(done) => {
                again += usize::from(done.again.is_some());
                assert!(image.is_on(&card));
            }
            Err(_) => assert!(!boots(&card)),
        }
    }
    assert!(again > 5, "no read of the check was hit: {again}");
    let card = MockCard::new(CARD, Faults { fail_reads: Some(31..10_000), ..Faults::default() });
    assert!(image.run(&card).unwrap_err().is_verification());
    assert!(!boots(&card));
}

/// Runs cards that forget each n-th write. How many were found out, and how many right after a second try.
fn forgetful(
    numbers: Range<u64>,
    image: &Image,
    run: impl Fn(Faults) -> (Arc<MockCard>, Result<Done, Error>),
) -> (usize, usize) {
    let (mut found, mut forgiven) = (0, 0);
    for every in numbers {
        let (card, result) = run(Faults { drop_every: Some(every), ..Faults::default() });
        match result {
            Ok(done) => {
                forgiven += usize::from(done.again.is_some());
                assert!(image.is_on(&card), "every {every}: a wrong done");
            }
            Err(error) => {
                found += 1;
                assert!(error.is_verification(), "{error}");
            }
        }
    }
    (found, forgiven)
}

#[test]
fn a_card_that_forgets_writes_is_never_done_with_a_hole() {
    let image = Image::new();
    let (found, forgiven) = forgetful(2..60, &image, |faults| {
        let card = MockCard::new(CARD, faults);
        let result = image.run(&card);
        (card, result)
    });
    assert!(found > 10 && forgiven > 0, "{found} {forgiven}");
}

#[test]
fn cards_that_lie_about_their_size_are_found() {
    let image = Image::new();
    for real in [32 * MIB, 8 * MIB, 36 * MIB, 13 * MIB, 14 * MIB, 14 * MIB + 512, 11 * MIB + 4096] {
        for wraps in [true, false] {
            let faults = match wraps {
                true => Faults { wraps_at: Some(real), ..Faults::default() },
                false => Faults { ends_at: Some(real), ..Faults::default() },
            };
            let card = MockCard::new(CARD, faults);
            let result = image.run(&card);
            // A card whose missing part is beyond the image and that wraps at an odd size can hide.
            if wraps && real > LEN && !real.is_power_of_two() {
                assert!(result.is_err() || image.is_on(&card), "{real}");
                continue;
            }
            let error = result.unwrap_err();
            assert!(error.is_verification(), "{real} {wraps}: {error}");
            assert!(!boots(&card), "{real} {wraps}");
        }
    }
}

#[test]
fn a_card_that_vanishes_takes_no_other_with_it() {
    let image = Image::new();
    for after in (0..90).step_by(9) {
        let gone = MockCard::new(CARD, Faults { vanishes_after: Some(after), ..Faults::default() });
        let good = MockCard::new(CARD, Faults::default());
        let flash = image.flash(&[Arc::clone(&gone), Arc::clone(&good)], &CancelToken::default());
        let outcomes = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent);
        for outcome in outcomes {
            let card = if outcome.card == "card-0" { &gone } else { &good };
            match outcome.result {
                Ok(_) => assert!(image.is_on(card), "after {after}"),
                Err(e) => {
                    assert!(matches!(e, Error::Gone { .. }), "after {after}: {e}");
                    assert!(Arc::ptr_eq(card, &gone), "after {after}: it took the other one with it");
                    assert!(after == 0 || !boots(card), "after {after}");
                }
            }
        }
        assert!(image.is_on(&good));
    }
}

#[test]
fn a_card_that_stands_still_does_not_hold_up_its_neighbour() {
    let image = Image::new();
    for early in [false, true] {
        let gate = Arc::new(Gate::default());
        let slow = MockCard::new(CARD, Faults { gate: Some(Arc::clone(&gate)), ..Faults::default() });
        let fast = MockCard::new(CARD, Faults::default());
        let mut flash = image.flash(&[Arc::clone(&slow), Arc::clone(&fast)], &CancelToken::default());
        if early {
            show(flash.observer(), &image).unwrap();
        }
        let contents = |node: &str| {
            let content = image.content();
            if node == "node-0" {
                return Ok(content);
            }
            let gate = Arc::clone(&gate);
            // it opens only when the fast card is all but done
            let Content { patch, proof, still } = content;
            let opening = move |device: Arc<dyn ReadAt>| {
                gate.open();
                proof(device)
            };
            Ok(Content { patch, proof: Box::new(opening), still })
        };
        let outcomes = flash.finish(&image.base(), &contents, &Silent);
        assert!(outcomes.iter().all(|o| o.result.is_ok()), "{outcomes:?}");
        assert!(!gate.waited_in_vain.load(Ordering::Relaxed), "the fast card waited for the slow one");
        assert!(image.is_on(&slow) && image.is_on(&fast));
    }
}

#[test]
fn stopped_at_any_moment() {
    let image = Image::new();
    let (mut stopped, mut done) = (0, 0);
    for at in (1..375).step_by(7) {
        let cancel = CancelToken::default();
        let card = MockCard::new(CARD, Faults { cancel: Some((at, cancel.clone())), ..Faults::default() });
        let flash = image.flash(&[Arc::clone(&card)], &cancel);
        let outcome = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent).remove(0);
        match outcome.result {
            Ok(_) => {
                done += 1;
                assert!(image.is_on(&card), "{at}: a wrong done");
            }
            Err(Error::Cancelled) => {
                stopped += 1;
                assert!(!boots(&card), "{at}");
            }
            Err(e) => panic!("{at}: {e}"),
        }
    }
    assert!(stopped > 10 && done > 0, "{stopped} {done}");
}

#[test]
fn what_cannot_be_written_leaves_the_card_as_it_was() {
    let image = Image::new();
    let untouched = |card: &MockCard| card.writes().is_empty();
    let small = MockCard::new(LEN - 512, Faults::default());
    assert!(matches!(image.run(&small).unwrap_err(), Error::TooSmall { needed: LEN, .. }));
    let card = MockCard::new(CARD, Faults::default());
    let flash = image.flash(&[Arc::clone(&card)], &CancelToken::default());
    let outcome = flash
        .finish(&image.base(), &|_| Err(Failure::new(ErrorClass::Failed, "no flour")), &Silent)
        .remove(0);
    assert!(matches!(outcome.result, Err(Error::Bake { .. })) && outcome.head == Head::AsItWas);
    let flash = image.flash(&[Arc::clone(&card)], &CancelToken::default());
    let outcome = flash.finish(&image.dir.path().join("none"), &|_| Ok(image.content()), &Silent).remove(0);
    assert!(matches!(outcome.result, Err(Error::Base { .. })));
    std::fs::write(image.dir.path().join("garbage"), vec![3; 5 << 20]).unwrap();
    let flash = image.flash(&[Arc::clone(&card)], &CancelToken::default());
    let content =
        || Content { patch: Patch::default(), proof: Box::new(|_| Ok(())), still: Box::new(|| Ok(())) };
    let garbage = image.dir.path().join("garbage");
    let outcome = flash.finish(&garbage, &|_| Ok(content()), &Silent).remove(0);
    assert!(matches!(outcome.result, Err(Error::Table { .. })), "{outcome:?}");
    assert!(untouched(&small) && untouched(&card));
}

#[test]
fn a_proof_that_fails_leaves_no_table() {
    let image = Image::new();
    let card = MockCard::new(CARD, Faults::default());
    let flash = image.flash(&[Arc::clone(&card)], &CancelToken::default());
    let failing = || Content {
        proof: Box::new(|_| Err(Failure::new(ErrorClass::Verification, "no hostname"))),
        ..image.content()
    };
    let outcome = flash.finish(&image.base(), &|_| Ok(failing()), &Silent).remove(0);
    assert!(outcome.result.unwrap_err().is_verification());
    assert!(!boots(&card));
}

#[test]
fn wiped_and_full() {
    let image = Image::new();
    let card = MockCard::new(CARD, Faults::default());
    let options = Options { verify: false, full: true, wipe: true };
    let flash = image.flash_with(&[Arc::clone(&card)], &CancelToken::default(), options);
    let outcome = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent).remove(0);
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert!(image.is_on(&card));
    let left = card.bytes()[LEN as usize..].chunks(4096).filter(|b| b.contains(&0xa5)).count();
    assert!(left < 40, "{left} blocks are not wiped; only probes may be there");
    let io = io::Error::other("x");
    assert!(!Error::Io { doing: "x", card: "y".into(), offset: 0, source: io }.is_verification());
}

#[test]
fn a_base_that_changes_meanwhile_leaves_no_table() {
    let image = Image::new();
    for verify in [true, false] {
        let card = MockCard::new(CARD, Faults::default());
        let options = Options { verify, full: false, wipe: false };
        let flash = image.flash_with(&[Arc::clone(&card)], &CancelToken::default(), options);
        let changed = || Content {
            still: Box::new(|| Err(Failure::new(ErrorClass::Verification, "another time"))),
            ..image.content()
        };
        let outcome = flash.finish(&image.base(), &|_| Ok(changed()), &Silent).remove(0);
        assert!(matches!(outcome.result, Err(Error::Changed { .. })), "{outcome:?}");
        assert!(!boots(&card));
    }
}

//! Cards that are written while the base is still being decoded.

use super::*;
use crate::base::ImageObserver;
use crate::io::chunk::{CHUNK, Chunk};
use crate::io::pool::BufferPool;
use crate::io::stream::ImageStream;

/// Streams the base to an observer as a decoder would.
pub(super) fn show(observer: &mut dyn ImageObserver, image: &Image) -> io::Result<()> {
    let base = std::fs::read(image.base()).unwrap();
    let stream = ImageStream::new(8);
    observer.begin(Some(LEN), &stream);
    publish(&stream, &base, || observer.check())?;
    stream.finish(LEN);
    Ok(())
}

fn publish(stream: &ImageStream, bytes: &[u8], check: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let pool = BufferPool::new(CHUNK, 1);
    for (bytes, at) in bytes.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        check()?;
        let mut buffer = pool.take();
        buffer[..bytes.len()].copy_from_slice(bytes);
        let chunk = Chunk::filled(at, buffer, bytes.len());
        if !chunk.is_zero() {
            stream.publish(chunk, &CancelToken::default()).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

#[test]
fn cards_that_were_begun_early_hold_the_same() {
    let image = Image::new();
    for begins in [1, 3] {
        let cards = [(); 3].map(|()| MockCard::new(CARD, Faults::default()));
        let mut flash = image.flash(&cards, &CancelToken::default());
        for _ in 1..begins {
            // the server's file changed: what came was another image
            let stream = ImageStream::new(8);
            flash.observer().begin(Some(LEN), &stream);
            publish(&stream, &[7; 9 << 20], || Ok(())).unwrap();
        }
        show(flash.observer(), &image).unwrap();
        let outcomes = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent);
        assert!(outcomes.iter().all(|o| o.result.is_ok()), "{outcomes:?}");
        for card in &cards {
            assert!(image.is_on(card));
            assert_eq!(card.writes().last(), Some(&(0..UNIT)));
        }
    }
}

#[test]
fn what_was_read_back_early_is_not_read_again() {
    let image = Image::new();
    let run = |early: bool| {
        let card = MockCard::new(CARD, Faults::default());
        let mut flash = image.flash(std::slice::from_ref(&card), &CancelToken::default());
        if early {
            show(flash.observer(), &image).unwrap();
            // most of the base's data; what is not read by the end is read later
            let begun = Instant::now();
            while card.bytes_read() < 4 * MIB {
                assert!(begun.elapsed() < Duration::from_secs(60), "{} bytes read back", card.bytes_read());
                std::thread::yield_now();
            }
        }
        let outcome = flash.finish(&image.base(), &|_| Ok(image.content()), &Silent).remove(0);
        (card.bytes_read(), outcome.result.unwrap().verified)
    };
    let (late, early) = (run(false), run(true));
    assert_eq!(late.1, early.1);
    // those of the patched blocks that have data of the base twice
    assert!((late.0 + UNIT..late.0 + 64 * UNIT).contains(&early.0), "{late:?} {early:?}");
}

#[test]
fn what_is_wrong_early_is_found_out_later() {
    let image = Image::new();
    let run = |faults: Faults| {
        let card = MockCard::new(CARD, faults);
        let mut flash = image.flash(std::slice::from_ref(&card), &CancelToken::default());
        let mut outcomes = match show(flash.observer(), &image) {
            Ok(()) => flash.finish(&image.base(), &|_| Ok(image.content()), &Silent),
            // found out when it was probed
            Err(_) => flash.abandon(|| Error::Cancelled),
        };
        (card, outcomes.remove(0).result)
    };
    for at in [MIB + 5, 4 * MIB + 123_456, 9 * MIB + 1, LEN - 1] {
        let (card, result) = run(Faults { flips: Some(at), ..Faults::default() });
        assert!(matches!(result, Err(Error::Bad { offset, again: true, .. }) if offset == at), "{result:?}");
        assert!(!boots(&card));
    }
    for number in (9..45).step_by(3) {
        let (card, result) = run(Faults { fail_reads: Some(number..number + 1), ..Faults::default() });
        match result {
            Ok(_) => assert!(image.is_on(&card), "read {number}"),
            Err(_) => assert!(!boots(&card), "read {number}"),
        }
    }
    let (found, forgiven) = forgetful(2..30, &image, run);
    assert!(found > 5 && forgiven > 0, "{found} {forgiven}");
}

#[test]
fn a_base_that_never_comes_leaves_cards_that_do_not_boot() {
    let image = Image::new();
    let cards = [(); 2].map(|()| MockCard::new(CARD, Faults::default()));
    let mut flash = image.flash(&cards, &CancelToken::default());
    show(flash.observer(), &image).unwrap();
    let outcomes = flash.abandon(|| Error::Cancelled);
    assert!(outcomes.iter().all(|o| o.head == Head::Zero && matches!(o.result, Err(Error::Cancelled))));
    assert!(cards.iter().all(|card| !boots(card) && card.writes().len() > 15));
    // untouched where nothing was shown
    let cards = [MockCard::new(CARD, Faults::default())];
    let outcomes = image.flash(&cards, &CancelToken::default()).abandon(|| Error::Cancelled);
    assert!(outcomes[0].head == Head::AsItWas && cards[0].writes().is_empty());
}

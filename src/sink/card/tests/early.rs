//! Cards that are written while the base is still being decoded.

use super::*;

/// Shows the base to a tap as a decoder would, in pieces of `piece` bytes.
pub fn show(tap: &mut dyn Tap, image: &Image, piece: usize) -> io::Result<()> {
    let base = std::fs::read(image.base()).unwrap();
    tap.begin(Some(LEN));
    let mut at = 0;
    for data in base.chunks(piece) {
        if data.iter().all(|b| *b == 0) {
            tap.hole(at, data.len() as u64)?;
        } else {
            tap.chunk(at, &Arc::from(data))?;
        }
        at += data.len() as u64;
    }
    Ok(())
}

#[test]
fn cards_that_were_begun_early_hold_the_same() {
    let image = Image::new();
    for (begins, piece) in [(1, 1 << 20), (1, 77_777), (3, 1 << 20)] {
        let cards = [(); 3].map(|()| MockCard::new(CARD, Faults::default()));
        let mut flash = image.flash(&cards, &Arc::default());
        for _ in 1..begins {
            // the server's file changed: what came was another image
            flash.tap().begin(Some(LEN));
            for n in 0..9 {
                flash.tap().chunk(n * MIB, &Arc::from(vec![7; 1 << 20])).unwrap();
            }
        }
        show(flash.tap(), &image, piece).unwrap();
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
        let mut flash = image.flash(std::slice::from_ref(&card), &Arc::default());
        if early {
            show(flash.tap(), &image, 1 << 20).unwrap();
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
        let mut flash = image.flash(std::slice::from_ref(&card), &Arc::default());
        let mut outcomes = match show(flash.tap(), &image, 1 << 20) {
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
    let mut flash = image.flash(&cards, &Arc::default());
    show(flash.tap(), &image, 1 << 20).unwrap();
    let outcomes = flash.abandon(|| Error::Cancelled);
    assert!(outcomes.iter().all(|o| o.head == Head::Zero && matches!(o.result, Err(Error::Cancelled))));
    assert!(cards.iter().all(|card| !boots(card) && card.writes().len() > 15));
    // untouched where nothing was shown
    let cards = [MockCard::new(CARD, Faults::default())];
    let outcomes = image.flash(&cards, &Arc::default()).abandon(|| Error::Cancelled);
    assert!(outcomes[0].head == Head::AsItWas && cards[0].writes().is_empty());
}

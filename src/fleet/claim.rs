//! What a station says of a node's card: an artifact without content, whose annotations are all that there is.

use serde::{Deserialize, Serialize};

use super::format::{CLAIM, Manifest, Notes, note, notes};
use crate::io::shortened;

/// A text has no more than that, in bytes: a claim is written by anybody.
const NOTE_MAX: usize = 256;

/// Of a claim: the digest of the index that the card is made from.
const INDEX: &str = "vnd.pibake.index";

/// Of a claim: the same of the card that was made before it.
mod before {
    pub(super) const INDEX: &str = "vnd.pibake.before.index";
    pub(super) const SERIAL: &str = "vnd.pibake.before.serial";
    pub(super) const TIME: &str = "vnd.pibake.before.time";
    pub(super) const CARD: &str = "vnd.pibake.before.card";
    pub(super) const RESULT: &str = "vnd.pibake.before.result";
}

/// How a claim stands; of two, the later one says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It came to nothing, and the node is free again.
    Free,
    /// Somebody is about to take the node.
    Bid,
    /// A card is being made.
    Held,
    /// The card is made.
    Written,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Bid => "bid",
            Self::Held => "held",
            Self::Written => "written",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Free, Self::Bid, Self::Held, Self::Written].into_iter().find(|state| state.as_str() == text)
    }
}

/// What is known of a node's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The node.
    pub node: String,
    /// How it stands.
    pub state: State,
    /// The public key of the station whose it is; empty where the claim cannot be read.
    pub station: String,
    /// The number of the index that the card is made from, where the claim says it.
    pub serial: Option<u64>,
    /// The digest of that index, `sha256:…`.
    pub index: String,
    /// Since when, as that station's clock had it.
    pub time: String,
    /// The card: model and serial number, as its reader gave them.
    pub card: String,
    /// What came of it, for people.
    pub result: String,
    /// The card of that node that this station made before, and that there is until this one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Made>,
}

/// A card that was made; the fields are those of a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // see above
pub struct Made {
    pub serial: Option<u64>,
    pub index: String,
    pub time: String,
    pub card: String,
    pub result: String,
}

impl Claim {
    /// As somebody put it there under a tag of this node; `None` where it is something else.
    pub(super) fn read(bytes: &[u8], node: &str) -> Option<Self> {
        let manifest: Manifest = serde_json::from_slice(bytes).ok()?;
        if manifest.artifact_type != CLAIM {
            return None;
        }
        let text = |name| short(manifest.note(name).unwrap_or_default());
        let before = manifest.note(before::INDEX).is_some().then(|| Made {
            serial: text(before::SERIAL).parse().ok(),
            index: text(before::INDEX),
            time: text(before::TIME),
            card: text(before::CARD),
            result: text(before::RESULT),
        });
        Some(Self {
            node: node.to_owned(),
            state: State::parse(&text(note::STATE))?,
            station: text(note::STATION),
            serial: text(note::SERIAL).parse().ok(),
            index: text(INDEX),
            time: text(note::TIME),
            card: text(note::CARD),
            result: text(note::RESULT),
            before,
        })
    }

    /// What keeps others off all the same, since nobody knows what it means.
    pub(super) fn unreadable(node: &str, tag: &str) -> Self {
        Self {
            node: node.to_owned(),
            state: State::Held,
            station: String::new(),
            serial: None,
            index: String::new(),
            time: String::new(),
            card: String::new(),
            result: format!("{tag} is no claim that can be read: remove it at the registry"),
            before: None,
        }
    }

    /// The card that there is, as this claim says: its own, or the one before.
    pub(super) fn made(self) -> Option<Made> {
        let Self { state, serial, index, time, card, result, before, .. } = self;
        match state {
            State::Written => Some(Made { serial, index, time, card, result }),
            State::Free | State::Bid | State::Held => before,
        }
    }

    /// The claim of a station that has made this card of the node: only another card takes its place, and what comes to
    /// nothing leaves it as it was.
    pub(super) fn over(self, made: Option<Made>) -> Self {
        match (self.state, made) {
            (State::Written, _) => Self { before: None, ..self },
            (State::Free, Some(Made { serial, index, time, card, result })) => {
                Self { state: State::Written, serial, index, time, card, result, before: None, ..self }
            }
            (State::Free | State::Bid | State::Held, made) => Self { before: made, ..self },
        }
    }

    pub(super) fn notes(&self) -> Notes {
        let mut about = notes([
            (note::NODE, self.node.clone()),
            (note::STATE, self.state.as_str().to_owned()),
            (note::STATION, self.station.clone()),
            (INDEX, self.index.clone()),
            (note::TIME, self.time.clone()),
            (note::CARD, short(&self.card)),
            (note::RESULT, short(&self.result)),
        ]);
        about.extend(self.serial.map(|serial| (note::SERIAL.to_owned(), serial.to_string())));
        if let Some(made) = &self.before {
            about.extend(notes([
                (before::INDEX, made.index.clone()),
                (before::TIME, made.time.clone()),
                (before::CARD, short(&made.card)),
                (before::RESULT, short(&made.result)),
            ]));
            about.extend(made.serial.map(|serial| (before::SERIAL.to_owned(), serial.to_string())));
        }
        about
    }

    /// Whether it keeps others off the node. With `again`, cards of other indices than `index` do not.
    pub(super) fn counts(&self, index: &str, again: bool) -> bool {
        match self.state {
            State::Free => false,
            State::Bid | State::Held => true,
            State::Written => !again || self.index == index,
        }
    }
}

/// A text, or as much of it as a claim may have.
fn short(text: &str) -> String {
    shortened(text, NOTE_MAX - "…".len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::format::text;

    fn claim(state: State, index: &str) -> Claim {
        Claim { state, index: index.to_owned(), serial: Some(7), ..Claim::unreadable("node-1", "x") }
    }

    fn bytes(claim: &Claim) -> Vec<u8> {
        text(&Manifest::new(CLAIM, Vec::new(), claim.notes())).unwrap()
    }

    #[test]
    fn states_are_words() {
        for state in [State::Free, State::Bid, State::Held, State::Written] {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
        }
        assert_eq!(State::parse("stolen"), None);
    }

    #[test]
    fn a_claim_is_read_as_it_was_written_and_not_longer() {
        let written = Claim { card: "SD16G 0x1".to_owned(), ..claim(State::Written, "sha256:x") };
        assert_eq!(Claim::read(&bytes(&written), "node-1"), Some(written.clone()));
        let held = claim(State::Held, "sha256:y").over(written.clone().made());
        assert_eq!(Claim::read(&bytes(&held), "node-1"), Some(held.clone()));
        let other = text(&Manifest::new("application/x", Vec::new(), written.notes())).unwrap();
        assert_eq!(Claim::read(&other, "node-1"), None);
        // what others write there may be of any length
        let mut about = written.notes();
        about.insert(note::CARD.to_owned(), "ü".repeat(100_000));
        let long = text(&Manifest::new(CLAIM, Vec::new(), about)).unwrap();
        let read = Claim::read(&long, "node-1").unwrap();
        assert!(read.card.len() <= NOTE_MAX && read.card.ends_with("ü…"), "{}", read.card);
        // and not shorter when it is written again
        assert_eq!(Claim::read(&bytes(&read), "node-1"), Some(read));
    }

    #[test]
    fn a_card_counts_whatever_it_was_made_from_unless_it_is_to_be_made_again() {
        for (state, from_now, from_before) in [
            (State::Free, [false, false], [false, false]),
            (State::Bid, [true, true], [true, true]),
            (State::Held, [true, true], [true, true]),
            (State::Written, [true, true], [true, false]),
        ] {
            for (index, counts) in [("sha256:now", from_now), ("sha256:before", from_before)] {
                let claim = claim(state, index);
                assert_eq!([false, true].map(|again| claim.counts("sha256:now", again)), counts, "{claim:?}");
            }
        }
    }

    /// Whatever a station does next, and in whatever order, the card that it made last is known.
    #[test]
    fn a_card_is_known_until_another_one_is_made() {
        let states = [State::Free, State::Bid, State::Held, State::Written];
        for steps in 0..4_usize.pow(4) {
            let (mut there, mut last) = (claim(State::Free, "sha256:none"), None);
            for step in 0..4 {
                let (state, index) = (states[steps / 4_usize.pow(step) % 4], format!("sha256:{step}"));
                there = claim(state, &index).over(there.made());
                last = if state == State::Written { Some(index) } else { last };
                assert_eq!(there.clone().made().map(|made| made.index), last, "{steps}: {there:?}");
                // what is over is a card again
                let is_card = state == State::Free && last.is_some();
                assert_eq!(there.state, if is_card { State::Written } else { state });
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// Whatever somebody puts there, it is read or taken for a claim that cannot be read.
        #[test]
        fn no_claim_is_too_odd(at in any::<prop::sample::Index>(), by in 1..=255_u8, cut in any::<bool>()) {
            let held = claim(State::Held, "sha256:x").over(claim(State::Written, "sha256:y").made());
            let mut bytes = bytes(&held);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            if cut {
                bytes.truncate(at);
            }
            if let Some(claim) = Claim::read(&bytes, "node-1") {
                let before = claim.before.iter().flat_map(|made| [&made.index, &made.time, &made.card, &made.result]);
                let texts = [&claim.station, &claim.index, &claim.time, &claim.card, &claim.result];
                prop_assert!(texts.into_iter().chain(before).all(|text| text.len() <= NOTE_MAX));
            }
        }
    }
}

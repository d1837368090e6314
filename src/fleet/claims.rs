//! Which station makes the card of which node: a list in the registry, an artifact for each claim.
//!
//! A registry has no operation that only one of two can win. So each station writes under tags of its own, and a node
//! is taken in two steps: a bid, then a look at what others have there. Of two that bid for the same node, the one whose
//! bid came later sees the other's; one that sees another's takes its own back. So both may go without it, and nobody
//! gets it beside another.
//!
//! Claims are signed by nobody: whoever may write to the registry can keep stations from making cards, as they could by
//! taking the whole fleet away.

use super::error::{Error, Result};
use super::format::{CLAIM, Descriptor, EMPTY, EMPTY_CONTENT, Manifest, Notes, note, notes, text};
use super::listing::ListedNode;
use super::open::Fleet;
use super::sealed::Recipient;
use crate::base;
use crate::catalog::Digest;
use crate::oci::{OCI_MANIFEST, Repository};

/// How many digits of the digest of a station's key tell it from the others.
const STATION_DIGITS: usize = 16;

/// How a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Somebody is about to take the node.
    Bid,
    /// A card is being made.
    Held,
    /// The card is made.
    Written,
    /// It came to nothing, and the node is free again.
    Free,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bid => "bid",
            Self::Held => "held",
            Self::Written => "written",
            Self::Free => "free",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Bid, Self::Held, Self::Written, Self::Free].into_iter().find(|state| state.as_str() == text)
    }
}

/// What is known of a node's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The node.
    pub node: String,
    /// How it stands.
    pub state: State,
    /// The public key of the station whose it is.
    pub station: String,
    /// Since when, as that station's clock had it.
    pub time: String,
    /// The card: model and serial number, as its reader gave them.
    pub card: String,
    /// What came of it, for people.
    pub result: String,
}

/// The claims of the nodes of a fleet, for one station.
pub struct Claims<'f> {
    fleet: &'f Fleet<'f>,
    station: String,
}

impl<'f> Claims<'f> {
    /// Those of the station with this key.
    #[must_use]
    pub fn new(fleet: &'f Fleet<'f>, station: &Recipient) -> Self {
        Self { fleet, station: station.to_string() }
    }

    /// What is known of all nodes that anybody claimed and did not set free; of this station's own only what is written.
    ///
    /// # Errors
    /// [`Error`]
    pub fn taken(&self) -> Result<Vec<Claim>> {
        self.fleet.visit(|repository| {
            let serial = self.fleet.listing().serial;
            let (mut found, tags) = (Vec::new(), repository.tags(&format!("claim-{serial}-"))?);
            for node in &self.fleet.listing().nodes {
                found.extend(self.of_others(repository, node, &tags)?);
                let own = self.read(repository, &self.tag(node))?;
                found.extend(own.filter(|claim| claim.state == State::Written));
            }
            Ok(found)
        })
    }

    /// Takes a node, if nobody else has it; says who has it where somebody does.
    ///
    /// # Errors
    /// [`Error`]
    pub fn take(&self, node: &ListedNode, time: &str) -> Result<Option<Claim>> {
        self.fleet.visit(|repository| {
            let claim = |state| self.claim(node, state, time);
            self.write(repository, node, &claim(State::Bid))?;
            let tags = repository.tags(&self.prefix(node))?;
            if let Some(other) = self.of_others(repository, node, &tags)?.into_iter().next() {
                self.write(repository, node, &claim(State::Free))?;
                return Ok(Some(other));
            }
            self.write(repository, node, &claim(State::Held))?;
            Ok(None)
        })
    }

    /// Takes a node, whoever has it.
    ///
    /// # Errors
    /// [`Error`]
    pub fn seize(&self, node: &ListedNode, time: &str) -> Result<()> {
        self.fleet.visit(|repository| self.write(repository, node, &self.claim(node, State::Held, time)))
    }

    /// Notes what became of a node that was taken.
    ///
    /// # Errors
    /// [`Error`]
    pub fn end(&self, node: &ListedNode, state: State, time: &str, card: &str, result: &str) -> Result<()> {
        let ended =
            Claim { card: card.to_owned(), result: result.to_owned(), ..self.claim(node, state, time) };
        self.fleet.visit(|repository| self.write(repository, node, &ended))
    }

    fn claim(&self, node: &ListedNode, state: State, time: &str) -> Claim {
        Claim {
            node: node.name.clone(),
            state,
            station: self.station.clone(),
            time: time.to_owned(),
            card: String::new(),
            result: String::new(),
        }
    }

    /// What all tags of claims of a node begin with.
    fn prefix(&self, node: &ListedNode) -> String {
        format!("claim-{}-{}-", self.fleet.listing().serial, node.number)
    }

    /// This station's own.
    fn tag(&self, node: &ListedNode) -> String {
        let station = Digest::of(self.station.as_bytes()).to_string();
        let station: String = station.chars().take(STATION_DIGITS).collect();
        format!("{}{station}", self.prefix(node))
    }

    fn of_others(
        &self,
        repository: &Repository<'_>,
        node: &ListedNode,
        tags: &[String],
    ) -> Result<Vec<Claim>> {
        let (prefix, own) = (self.prefix(node), self.tag(node));
        let mut found = Vec::new();
        for tag in tags.iter().filter(|tag| tag.starts_with(&prefix) && **tag != own) {
            let claim = self.read(repository, tag)?;
            found.extend(claim.filter(|claim| claim.state != State::Free && claim.node == node.name));
        }
        Ok(found)
    }

    fn read(&self, repository: &Repository<'_>, tag: &str) -> Result<Option<Claim>> {
        self.fleet.cancel().check().map_err(base::Error::from)?;
        let Some(bytes) = repository.manifest(tag)? else { return Ok(None) };
        let manifest: Option<Manifest> = serde_json::from_slice(&bytes).ok();
        let manifest = manifest.filter(|manifest| manifest.artifact_type == CLAIM);
        let fault = || Error::Damaged {
            fleet: self.fleet.name().to_string(),
            what: format!("the claim {tag}"),
            fault: "it is something else".to_owned(),
        };
        let manifest = manifest.ok_or_else(fault)?;
        let text = |name| manifest.note(name).unwrap_or_default().to_owned();
        let state = State::parse(&text(note::STATE)).ok_or_else(fault)?;
        Ok(Some(Claim {
            node: text(note::NODE),
            state,
            station: text(note::STATION),
            time: text(note::TIME),
            card: text(note::CARD),
            result: text(note::RESULT),
        }))
    }

    fn write(&self, repository: &Repository<'_>, node: &ListedNode, claim: &Claim) -> Result<()> {
        let about = notes([
            (note::NODE, claim.node.clone()),
            (note::STATE, claim.state.as_str().to_owned()),
            (note::STATION, claim.station.clone()),
            (note::TIME, claim.time.clone()),
            (note::CARD, claim.card.clone()),
            (note::RESULT, claim.result.clone()),
        ]);
        // an artifact without content has the empty one as its only layer (image-spec)
        let nothing = Descriptor::of(EMPTY, EMPTY_CONTENT, Notes::new());
        repository.put(&nothing.digest, EMPTY_CONTENT)?;
        let manifest = Manifest::new(CLAIM, vec![nothing], about);
        let bytes = text(&manifest).map_err(|source| Error::Document { what: "a claim", source })?;
        Ok(repository.put_manifest(&self.tag(node), OCI_MANIFEST, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_words() {
        for state in [State::Bid, State::Held, State::Written, State::Free] {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("stolen"), None);
    }
}

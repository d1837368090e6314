//! Which station makes the card of which node: a list in the registry, an artifact for each claim.
//!
//! A registry has no operation that only one of two can win. So each station writes under tags of its own, and a node
//! is taken in two steps: a bid, then a look at what others have there. Who sees nobody else's claim has the node. Of two
//! that bid at the same moment, the one whose bid came later sees the other's, so no two get it; and as long as all that
//! there is are bids, the one whose tag comes first stays and looks again while the others withdraw, so one does.
//!
//! All this rests on one thing: a tag that was put there is in the list of tags from then on.
//!
//! A claim is of a node of a cluster, whatever index it is made from: who pushes again does not make cards that are
//! there already unmade, and stations that know different indices keep out of each other's way.
//!
//! Claims are signed by nobody: whoever may write to the registry can keep stations from making cards, as they could by
//! taking the whole fleet away.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::claim::{Claim, Made, State};
use super::error::{Error, Result};
use super::format::{CLAIM, Descriptor, EMPTY, EMPTY_CONTENT, Manifest, Notes, text};
use super::listing::ListedNode;
use super::open::Fleet;
use super::sealed::Recipient;
use crate::base::{self, Fetcher};
use crate::catalog::Digest;
use crate::io::read_small;
use crate::oci::{self, Credentials, OCI_MANIFEST, Repository, visit};

/// How many digits of a digest tell clusters and stations from each other.
const DIGITS: usize = 16;

/// How often a bid is upheld against other bids, and how long it takes until the next look: this, and up to as much
/// again, lest two look at the same moments.
const LOOKS: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Where systemd keeps the number of a machine.
const MACHINE: &str = "/etc/machine-id";
const MACHINE_MAX: u64 = 4096;

/// Whose claim of which node a tag is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    node: String,
    station: String,
}

impl Tag {
    fn parse(text: &str, prefix: &str) -> Option<Self> {
        // a node's name may have a dash in it, and a station has none
        let (node, station) = text.strip_prefix(prefix)?.rsplit_once('-')?;
        Some(Self { node: node.to_owned(), station: station.to_owned() })
    }
}

fn digits(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string().chars().take(DIGITS).collect()
}

/// The claims of a fleet's nodes, for one station, as long as its registry is visited.
pub struct Claims<'r> {
    repository: &'r Repository<'r>,
    fleet: &'r Fleet<'r>,
    /// The public key of this station.
    station: String,
    /// What all tags of claims of this cluster begin with, and what those of this station end with.
    prefix: String,
    own: String,
    /// Whether the registry has what artifacts without content are made of.
    has_nothing: AtomicBool,
}

impl Claims<'_> {
    /// Has `work` do something with those of the station with this key, all by one login. `fetcher` says how patiently,
    /// and what ends a request; waits between them end with the fleet's run.
    ///
    /// # Errors
    /// What `work` answers, and [`oci::Error`].
    pub fn with<T, E: From<oci::Error>>(
        fleet: &Fleet<'_>,
        station: &Recipient,
        fetcher: &Fetcher<'_>,
        work: impl FnOnce(&Claims<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (name, station) = (fleet.name(), station.to_string());
        let credentials = Credentials::of_user()?;
        // Two machines that were given the same key must not take each other's claims for their own. The number of a
        // machine is shown to nobody (machine-id(5)).
        let machine = read_small(Path::new(MACHINE), MACHINE_MAX).unwrap_or_default();
        let own = digits(&format!("{station}\n{}", String::from_utf8_lossy(&machine).trim()));
        // several clusters may lie in one repository
        let prefix = format!("claim-{}-", digits(&fleet.listing().fleet));
        visit(fetcher, name.reference(), &name.endpoints(), &credentials, |repository| {
            work(&Claims { repository, fleet, station, prefix, own, has_nothing: AtomicBool::new(false) })
        })
    }

    /// Where this list is, and of which cluster.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} {}", self.repository.name(), self.fleet.listing().fleet)
    }

    /// A claim of this station's on a node, as it stands now.
    #[must_use]
    pub fn claim(&self, node: &ListedNode, state: State, time: &str) -> Claim {
        Claim {
            node: node.name.clone(),
            state,
            station: self.station.clone(),
            serial: Some(self.fleet.listing().serial),
            index: self.index(),
            time: time.to_owned(),
            card: String::new(),
            result: String::new(),
            before: None,
        }
    }

    /// Whether the fleet's name still stands for the index that is used here.
    ///
    /// # Errors
    /// [`Error`]
    pub fn is_current(&self) -> Result<bool> {
        let now = self.repository.manifest(self.fleet.name().tag())?;
        Ok(now.is_some_and(|bytes| Digest::of(&bytes) == *self.fleet.index()))
    }

    /// Sets free what an earlier run of this station took and never ended. Something is put there in any case: who may
    /// only read is told so before anything is fetched or asked.
    ///
    /// # Errors
    /// [`Error`]
    pub fn begin(&self, time: &str) -> Result<()> {
        let mut is_told = false;
        for tag in self.tags()?.iter().filter(|tag| tag.station == self.own) {
            self.check()?;
            let left = self.read(tag)?.filter(|claim| matches!(claim.state, State::Bid | State::Held));
            if let Some(left) = left {
                let result = "it was broken off".to_owned();
                let (station, time) = (self.station.clone(), time.to_owned());
                let made = left.clone().made();
                self.write(&Claim { state: State::Free, station, time, result, ..left }.over(made))?;
                is_told = true;
            }
        }
        if let Some(node) = self.fleet.listing().nodes.first().filter(|_| !is_told) {
            let own = self.read(&self.tag(&node.name))?;
            self.write(&own.unwrap_or_else(|| self.claim(node, State::Free, time)))?;
        }
        Ok(())
    }

    /// What keeps this station from making cards of these nodes: what others claimed and did not set free, and what it
    /// made itself. With `again`, cards count only that were made from the same index.
    ///
    /// # Errors
    /// [`Error`]
    pub fn taken<'n>(
        &self,
        nodes: impl IntoIterator<Item = &'n ListedNode>,
        again: bool,
    ) -> Result<Vec<Claim>> {
        let (mut found, tags) = (Vec::new(), self.tags()?);
        for node in nodes {
            found.extend(self.others(node, &tags, again)?.into_iter().map(|(_, claim)| claim));
            let own = self.tag(&node.name);
            if tags.contains(&own) {
                let made = self.read(&own)?.filter(|claim| claim.state == State::Written);
                found.extend(made.filter(|claim| claim.counts(&self.index(), again)));
            }
        }
        Ok(found)
    }

    /// Takes a node, if nobody else has it; says who has it where somebody does. After an error a bid may be left, which
    /// is to be set free.
    ///
    /// # Errors
    /// [`Error`]
    pub fn take(&self, node: &ListedNode, time: &str, again: bool) -> Result<Option<Claim>> {
        let made = self.made(&node.name)?;
        let say = |state| self.write(&self.claim(node, state, time).over(made.clone()));
        say(State::Bid)?;
        let mut looks = 0;
        loop {
            let others = self.others(node, &self.tags()?, again)?;
            if others.is_empty() {
                say(State::Held)?;
                return Ok(None);
            }
            looks += 1;
            // of bids alone one stays, and those see it whose tags come after it
            let withdraws = |(station, claim): &(String, Claim)| {
                claim.state == State::Bid && self.own.as_str() < station.as_str()
            };
            if looks < LOOKS && others.iter().all(withdraws) {
                let more = u64::from(getrandom::u32().unwrap_or_default()) % 250;
                let pause = LOOK_AGAIN + Duration::from_millis(more);
                self.fleet.cancel().sleep(pause).map_err(base::Error::from)?;
                continue;
            }
            say(State::Free)?;
            return Ok(others.into_iter().map(|(_, claim)| claim).max_by_key(|claim| claim.state));
        }
    }

    /// Takes a node, whoever has it.
    ///
    /// # Errors
    /// [`Error`]
    pub fn seize(&self, node: &ListedNode, time: &str) -> Result<()> {
        self.put(&self.claim(node, State::Held, time))
    }

    /// Notes how a node stands with this station. That it made a card stays there until it has made another one.
    ///
    /// # Errors
    /// [`Error`]
    pub fn put(&self, claim: &Claim) -> Result<()> {
        let made = if claim.state == State::Written { None } else { self.made(&claim.node)? };
        self.write(&claim.clone().over(made))
    }

    /// The card of a node that this station made.
    fn made(&self, node: &str) -> Result<Option<Made>> {
        Ok(self.read(&self.tag(node))?.and_then(Claim::made))
    }

    fn index(&self) -> String {
        format!("sha256:{}", self.fleet.index())
    }

    /// This station's own.
    fn tag(&self, node: &str) -> Tag {
        Tag { node: node.to_owned(), station: self.own.clone() }
    }

    fn tag_text(&self, tag: &Tag) -> String {
        format!("{}{}-{}", self.prefix, tag.node, tag.station)
    }

    /// All tags of claims of this cluster.
    fn tags(&self) -> Result<Vec<Tag>> {
        let tags = self.repository.tags(&self.prefix)?;
        Ok(tags.iter().filter_map(|tag| Tag::parse(tag, &self.prefix)).collect())
    }

    /// What other stations have of a node.
    fn others(&self, node: &ListedNode, tags: &[Tag], again: bool) -> Result<Vec<(String, Claim)>> {
        let mut found = Vec::new();
        for tag in tags.iter().filter(|tag| tag.node == node.name && tag.station != self.own) {
            self.check()?;
            let claim = self.read(tag)?.filter(|claim| claim.counts(&self.index(), again));
            found.extend(claim.map(|claim| (tag.station.clone(), claim)));
        }
        Ok(found)
    }

    fn read(&self, tag: &Tag) -> Result<Option<Claim>> {
        let text = self.tag_text(tag);
        let Some(bytes) = self.repository.manifest(&text)? else { return Ok(None) };
        let claim = Claim::read(&bytes, &tag.node);
        Ok(Some(claim.unwrap_or_else(|| Claim::unreadable(&tag.node, &text))))
    }

    fn write(&self, claim: &Claim) -> Result<()> {
        // an artifact without content has the empty one as its only layer (image-spec)
        let nothing = Descriptor::of(EMPTY, EMPTY_CONTENT, Notes::new());
        if !self.has_nothing.load(Ordering::Relaxed) {
            self.repository.put(&nothing.digest, EMPTY_CONTENT)?;
            self.has_nothing.store(true, Ordering::Relaxed);
        }
        let manifest = Manifest::new(CLAIM, vec![nothing], claim.notes());
        let bytes = text(&manifest).map_err(|source| Error::Document { what: "a claim", source })?;
        let tag = self.tag_text(&self.tag(&claim.node));
        Ok(self.repository.put_manifest(&tag, OCI_MANIFEST, &bytes)?)
    }

    fn check(&self) -> Result<()> {
        Ok(self.fleet.cancel().check().map_err(base::Error::from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_the_node_and_the_station() {
        let tag = |text: &str| Tag::parse(text, "claim-00-").map(|tag| (tag.node, tag.station));
        let of = |node: &str, station: &str| Some((node.to_owned(), station.to_owned()));
        assert_eq!(tag("claim-00-node-1-ab"), of("node-1", "ab"));
        assert_eq!(tag("claim-00-node-1-x-ab"), of("node-1-x", "ab"));
        for other in ["claim-00-ab", "claim-01-node-1-ab", "latest", ""] {
            assert_eq!(tag(other), None, "{other}");
        }
        // the longest that a registry takes (distribution-spec)
        assert!(format!("claim-{0}-{1}-{0}", "0".repeat(DIGITS), "n".repeat(63)).len() <= 128);
    }
}

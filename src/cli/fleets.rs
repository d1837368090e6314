//! What a command needs that makes something of a fleet, or looks into one: this machine's keys, and its cache.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::base_flags::NetworkFlags;
#[cfg(target_os = "linux")]
use super::compared::Files;
use super::session::Session;
#[cfg(target_os = "linux")]
use crate::base::Base;
use crate::base::{Cache, Fetcher, Ledger, Patience};
use crate::disk::{Patched, ReadAt};
use crate::error::Failure;
#[cfg(target_os = "linux")]
use crate::fleet::Ready;
use crate::fleet::{
    self, Fleet, FleetName, InvalidSignature, Keys, ListedNode, Opener, PublicKey, Seen, StationKey,
};
use crate::image_reader::ImageReader;
#[cfg(target_os = "linux")]
use crate::io::FileLock;
#[cfg(target_os = "linux")]
use crate::sink::card::Content;
use crate::workflow::image::Looked;

/// Shared by every command that makes something of a fleet.
#[derive(Debug, Default, Args)]
pub(super) struct TrustFlags {
    /// Trust this public key (RW…) in this run, beside those of pibake key --trust; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(super) trust: Vec<String>,
}

/// Shared by every command that may look into a fleet.
#[derive(Debug, Args)]
#[command(next_help_heading = "With oci://")]
pub(super) struct FleetFlags {
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    network: NetworkFlags,
}

/// The public keys that were typed behind --trust. What is none of them may be a secret one, and is shown to nobody.
pub(super) fn trusted(typed: &[String]) -> Result<Vec<PublicKey>, Failure> {
    let wrong = |fault: InvalidSignature| {
        Failure::usage(format!("--trust: {fault}; pibake push prints the right one, RW…"))
    };
    let key = |text: &String| text.parse::<PublicKey>().map_err(wrong);
    typed.iter().map(key).collect()
}

/// What gets something from registries in this run, and puts it there.
pub(super) fn fetcher<'a>(
    cache: &'a Cache,
    ledger: &'a Ledger,
    patience: Patience,
    session: &'a Session,
) -> Fetcher<'a> {
    Fetcher {
        offline: session.offline,
        patience,
        cancel: session.control.cancel().clone(),
        progress: session.progress(),
        ..Fetcher::new(cache, ledger)
    }
}

/// A machine that makes something of fleets.
pub(super) struct Station {
    keys: Keys,
    seen: Seen,
    trusted: Vec<PublicKey>,
    cache: Cache,
    ledger: Ledger,
}

impl Station {
    /// This one; it also trusts the keys of `flags`.
    pub(super) fn this(flags: &TrustFlags) -> Result<Self, Failure> {
        let keys = Keys::of_user()?;
        let trusted = keys.trusted()?.into_iter().chain(trusted(&flags.trust)?).collect();
        let cache = Cache::open(&Cache::default_dir()?)?;
        Ok(Self { seen: keys.seen(), keys, trusted, cache, ledger: Ledger::default() })
    }

    /// What gets something from registries.
    pub(super) fn fetcher<'a>(&'a self, patience: Patience, session: &'a Session) -> Fetcher<'a> {
        fetcher(&self.cache, &self.ledger, patience, session)
    }

    /// Its cache.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The fleet of this name, if it is to be believed.
    pub(super) fn open<'a>(
        &'a self,
        name: &FleetName,
        fetcher: &'a Fetcher<'a>,
    ) -> Result<Fleet<'a>, Failure> {
        Ok(Opener { trusted: &self.trusted, seen: &self.seen, fetcher }.open(name)?)
    }

    /// Held as long as this run makes cards, and no other of this machine does.
    #[cfg(target_os = "linux")]
    pub(super) fn busy(&self, session: &Session) -> Result<FileLock, Failure> {
        let waits = || {
            let text = "another pibake station is at work on this machine; waiting for it (Ctrl-C cancels)";
            session.progress().note(text);
        };
        Ok(self.keys.busy(session.control.cancel(), waits)?)
    }

    /// Its own key.
    pub(super) fn key(&self) -> Result<StationKey, Failure> {
        Ok(self.keys.station()?.ok_or(fleet::Error::NoStationKey)?)
    }
}

/// The nodes of `fleet` that are named, or all where none is.
pub(super) fn nodes<'f>(fleet: &'f Fleet<'_>, named: &[String]) -> Result<Vec<&'f ListedNode>, Failure> {
    let own = fleet.name().node().map(str::to_owned);
    let named: Vec<String> = named.iter().cloned().chain(own).collect();
    if named.is_empty() {
        return Ok(fleet.listing().nodes.iter().collect());
    }
    let mut found: Vec<&ListedNode> = Vec::new();
    for name in &named {
        let node = fleet.node(name)?;
        if !found.iter().any(|other| other.number == node.number) {
            found.push(node);
        }
    }
    found.sort_by_key(|node| node.number);
    Ok(found)
}

/// The fleet that is meant where a path could be; `None` where it is a path.
pub(super) fn named(path: &Path) -> Result<Option<FleetName>, Failure> {
    let text = path.to_str().filter(|text| FleetName::is_one(text));
    Ok(text.map(str::parse).transpose()?)
}

/// Does something with the fleet of this name, by what this machine trusts.
pub(super) fn with<T>(
    name: &FleetName,
    flags: &FleetFlags,
    session: &Session,
    work: impl FnOnce(&Station, &Fleet<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // what is fetched ends in order
    session.listen()?;
    let station = Station::this(&flags.trust)?;
    let fetcher = station.fetcher(flags.network.patience(), session);
    let fleet = station.open(name, &fetcher)?;
    work(&station, &fleet)
}

/// The one node of `fleet` that was named.
pub(super) fn node<'f>(fleet: &'f Fleet<'_>) -> Result<&'f ListedNode, Failure> {
    let name = fleet.name();
    let asked =
        name.node().ok_or_else(|| Failure::usage(format!("which node of {name}? Write {name}#NODE")))?;
    Ok(fleet.node(asked)?)
}

/// What a card of this node gets over `base`.
#[cfg(target_os = "linux")]
pub(super) fn content(ready: &Ready<'_>, name: &str, base: &Base) -> Result<Content, Failure> {
    let patch = ready.patch(name, base)?;
    let whole: Arc<dyn ReadAt> = Arc::new(Patched::new(base.device()?, patch.clone()));
    let proof = Files::of(&ImageReader::of(whole)?)?.proof();
    let base = base.clone();
    Ok(Content { patch, proof, still: Box::new(move || Ok(base.unchanged()?)) })
}

/// Opens a node that is in a registry, for looking into it, with its bill: both of one index.
pub(super) fn look(
    name: &FleetName,
    flags: &FleetFlags,
    session: &Session,
) -> Result<(Looked, Vec<u8>), Failure> {
    with(name, flags, session, |station, fleet| {
        let node = node(fleet)?;
        let mut ready = fleet.prepare(&[node], &station.key()?)?;
        let bill = fleet.bill(node)?;
        let base = fleet.base(None)?;
        ready.fetch(&base)?;
        let image = Patched::new(base.device()?, ready.patch(&node.name, &base)?);
        Ok((Looked::of(ImageReader::of(Arc::new(image) as Arc<dyn ReadAt>)?), bill))
    })
}

//! From a name to a fleet that is believed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::listing::Listing;
use super::name::FleetName;
use super::open::Fleet;
use super::seen::{Seen, Sight};
use super::signature::{PublicKey, claimed, signer};
use super::signed::signature_of;
use crate::base::{self, Cache, Fetcher};
use crate::catalog::Digest;
use crate::http::space;
use crate::io::{atomic, read_small};
use crate::oci::{Credentials, LARGEST, Repository, visit};

/// What is needed to believe a fleet.
pub struct Opener<'a> {
    /// The keys that are trusted.
    pub trusted: &'a [PublicKey],
    /// What was seen of fleets here.
    pub seen: &'a Seen,
    /// From where, and by what means.
    pub fetcher: &'a Fetcher<'a>,
}

/// What a name stood for the last time, for when there is no network.
#[derive(Serialize, Deserialize)]
struct Note {
    fleet: String,
    index: Digest,
    signature: String,
}

impl<'a> Opener<'a> {
    /// Opens the fleet of this name: its index, if it is signed by a key that is trusted, and not older than one that
    /// was seen before.
    ///
    /// # Errors
    /// [`Error`]
    pub fn open(&self, name: &FleetName) -> Result<Fleet<'a>> {
        let fleet = || name.to_string();
        if self.trusted.is_empty() {
            return Err(Error::NoKeys { fleet: fleet() });
        }
        let credentials = Credentials::of_user()?;
        let fetcher = self.fetcher;
        let (bytes, signature) =
            visit(fetcher, name.reference(), &name.endpoints(), &credentials, |repository| {
                if repository.is_online() { asked(repository, name, fetcher) } else { noted(name, fetcher) }
            })?;
        let index = Digest::of(&bytes);
        let signed = signer(&bytes, &signature, self.trusted);
        let signed = signed.map_err(|source| Error::Signature { fleet: fleet(), source })?;
        let Some(signed_by) = signed.copied() else {
            let trusted: Vec<String> = self.trusted.iter().map(PublicKey::id).collect();
            return Err(Error::Untrusted {
                fleet: fleet(),
                claimed: claimed(&signature).unwrap_or_default(),
                trusted: trusted.join(", "),
            });
        };
        let listing = Listing::read(&bytes).map_err(|fault| Error::NoFleet { fleet: fleet(), fault })?;
        let sight =
            Sight { name: &fleet(), listing: &listing, index, signed_by: &signed_by, trusted: self.trusted };
        self.seen.keep(&sight, &fetcher.cancel)?;
        fetcher.put(&bytes)?;
        let note = Note { fleet: fleet(), index, signature };
        let text = serde_json::to_vec(&note).map_err(|source| Error::Document { what: "a note", source })?;
        let path = note_path(name, fetcher.cache);
        atomic::write_whole(&path, &text)
            .map_err(|e| base::Error::from(space::explain(e, "writing", &path)))?;
        Ok(Fleet { name: name.clone(), listing, index, signed_by, fetcher, credentials })
    }
}

/// The index and its signature, as the registry has them now.
fn asked(repository: &Repository<'_>, name: &FleetName, fetcher: &Fetcher<'_>) -> Result<(Vec<u8>, String)> {
    let fleet = || name.to_string();
    let bytes = repository.manifest(name.tag())?.ok_or_else(|| Error::Missing { fleet: fleet() })?;
    let index = Digest::of(&bytes);
    let signature = signature_of(repository, name, &index, fetcher)?;
    let signature = signature.ok_or_else(|| Error::Unsigned { fleet: fleet(), digest: index.to_string() })?;
    Ok((bytes, signature))
}

/// The same, as they were the last time.
fn noted(name: &FleetName, fetcher: &Fetcher<'_>) -> Result<(Vec<u8>, String)> {
    let fleet = name.to_string();
    let note = read_small(&note_path(name, fetcher.cache), LARGEST).ok();
    let note: Option<Note> = note.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let note = note.filter(|note| note.fleet == fleet);
    let found = note.and_then(|note| Some((fetcher.cache.content(&note.index, LARGEST)?, note.signature)));
    found.ok_or(Error::Unseen { fleet })
}

fn note_path(name: &FleetName, cache: &Cache) -> PathBuf {
    cache.evidence().join(format!("{}.fleet", Digest::of(name.to_string().as_bytes())))
}

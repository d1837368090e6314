//! A fleet that is in a registry and believed: fetched, decrypted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assembly::assemble;
use super::changes::{Changes, SHARED, of_node};
use super::chunks::{WINDOW, packed_most, unpack};
use super::error::{Error, Result};
use super::format::{
    BASE, BILL, BILL_MAX, CHANGES, Descriptor, Manifest, NODE, NODE_MAX, PAYLOAD, SEALED, note,
};
use super::listing::{ListedNode, Listing};
use super::name::FleetName;
use super::sealed::{self, Closed, StationKey};
use super::signature::PublicKey;
use crate::base::{self, Base, Fetcher, ImageObserver, Options, Promised};
use crate::catalog::Digest;
use crate::disk::{Extended, FileDevice, Overlay, Patch, Patched};
use crate::io::CancelToken;
use crate::oci::{self, Blob, Credentials, LARGEST, Repository, visit};

/// What says which bytes of a window change takes no more than this.
const HEAD_MAX: u64 = 4 << 20;

/// A fleet whose index is believed.
pub struct Fleet<'a> {
    pub(super) name: FleetName,
    pub(super) listing: Listing,
    pub(super) index: Digest,
    pub(super) signed_by: PublicKey,
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) credentials: Credentials,
}

impl Fleet<'_> {
    /// Where it is.
    #[must_use]
    pub fn name(&self) -> &FleetName {
        &self.name
    }

    /// What its index says.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The digest of its index.
    #[must_use]
    pub fn index(&self) -> &Digest {
        &self.index
    }

    /// Who says so.
    #[must_use]
    pub fn signed_by(&self) -> &PublicKey {
        &self.signed_by
    }

    /// The node of this name or number.
    ///
    /// # Errors
    /// [`Error::NoNode`]
    pub fn node(&self, asked: &str) -> Result<&ListedNode> {
        let number: Option<u16> = asked.parse().ok();
        let mut nodes = self.listing.nodes.iter();
        let found = nodes.find(|node| number.map_or(node.name == asked, |number| node.number == number));
        found.ok_or_else(|| Error::NoNode {
            fleet: self.name.to_string(),
            asked: asked.to_owned(),
            names: self.listing.nodes.iter().map(|node| node.name.clone()).collect(),
        })
    }

    /// Fetches what these nodes have alone, and sees that this machine can decrypt it, before anything is written
    /// anywhere. It stays in the cache as it came until it is a node's turn.
    ///
    /// # Errors
    /// [`Error::NotForUs`], [`Error::Damaged`], and others.
    pub fn prepare(&self, nodes: &[&ListedNode], key: &StationKey) -> Result<Ready<'_>> {
        let step = self.fetcher.progress.begin("downloading nodes", None);
        let mut lengths = BTreeMap::new();
        for node in nodes {
            let bytes = self.changes(node, key)?;
            let damaged = |fault| self.damaged(node.name.clone(), fault);
            lengths.insert(node.name.clone(), Changes::read(&bytes).map_err(damaged)?.length());
        }
        step.finish();
        Ok(Ready { fleet: self, key: key.clone(), lengths, payloads: BTreeMap::new() })
    }

    /// The bill of a node.
    ///
    /// # Errors
    /// [`Error`]
    pub fn bill(&self, node: &ListedNode) -> Result<Vec<u8>> {
        let packed = self.part(node, BILL)?;
        unpack(&packed, BILL_MAX).map_err(|fault| self.damaged(format!("the bill of {}", node.name), fault))
    }

    /// A node's own changes, as bytes that are whole.
    fn changes(&self, node: &ListedNode, key: &StationKey) -> Result<Vec<u8>> {
        let damaged = |fault| self.damaged(node.name.clone(), fault);
        let sealed = self.part(node, SEALED)?;
        let packed = sealed::open(&sealed, key, NODE_MAX).map_err(|closed| match closed {
            Closed::NotForUs => Error::NotForUs {
                node: node.name.clone(),
                fleet: self.name.to_string(),
                key: key.public().to_string(),
            },
            Closed::Damaged(fault) => damaged(fault),
        })?;
        let bytes = unpack(&packed, NODE_MAX).map_err(damaged)?;
        let of = of_node(&node.name, &self.listing.fleet);
        let changes = Changes::read(&bytes).map_err(damaged)?;
        if changes.of() != of {
            return Err(damaged(format!("it is what {:?} has, and not {of:?}", changes.of())));
        }
        Ok(bytes)
    }

    /// The one blob of a node that is of this kind: from the cache, without a word to anybody, where that has it.
    fn part(&self, node: &ListedNode, kind: &str) -> Result<Vec<u8>> {
        let cache = self.fetcher.cache;
        let here = cache.content(&node.manifest.digest, LARGEST);
        let here = here.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        let here = here.filter(|manifest| manifest.artifact_type == NODE);
        let blob = here.and_then(|manifest| blob_of(&manifest, kind)).filter(|blob| blob.len <= NODE_MAX);
        if let Some(bytes) = blob.and_then(|blob| cache.content(&blob.digest, blob.len)) {
            return Ok(bytes);
        }
        self.visit(|repository| {
            let manifest = self.manifest(repository, &node.manifest, NODE, &node.name)?;
            let blob = blob_of(&manifest, kind);
            let blob = blob.ok_or_else(|| self.damaged(node.name.clone(), format!("it has no {kind}")))?;
            if blob.len > NODE_MAX {
                return Err(self.damaged(node.name.clone(), format!("it should have {} bytes", blob.len)));
            }
            self.blob(repository, &blob, &node.name)
        })
    }

    fn blob(&self, repository: &Repository<'_>, blob: &Blob, what: &str) -> Result<Vec<u8>> {
        let fetched = repository.fetch(&format!("downloading {what}"), [blob]);
        fetched.map_err(|fault| self.judged(what, fault.into()))?;
        self.cached(blob, what)
    }

    fn cached(&self, blob: &Blob, what: &str) -> Result<Vec<u8>> {
        let bytes = self.fetcher.cache.content(&blob.digest, blob.len);
        bytes.ok_or_else(|| self.damaged(what.to_owned(), "it is not in the cache any more".to_owned()))
    }

    /// Says of a part that is not what its digest says that the registry's copy is bad; nobody else knows a better one.
    fn judged(&self, what: &str, fault: Error) -> Error {
        match fault {
            Error::Registry(oci::Error::Base(base::Error::WrongDigest { expected, actual, .. }))
            | Error::Base(base::Error::WrongDigest { expected, actual, .. }) => {
                let fault = format!("the registry gives sha256:{actual} as sha256:{expected}");
                self.damaged(what.to_owned(), fault)
            }
            other => other,
        }
    }

    pub(super) fn visit<T>(&self, work: impl FnOnce(&Repository<'_>) -> Result<T>) -> Result<T> {
        visit(self.fetcher, self.name.reference(), &self.name.endpoints(), &self.credentials, work)
    }

    pub(super) fn cancel(&self) -> &CancelToken {
        &self.fetcher.cancel
    }

    fn damaged(&self, what: String, fault: String) -> Error {
        Error::Damaged { fleet: self.name.to_string(), what, fault }
    }

    /// A manifest that the index lists.
    fn manifest(&self, repository: &Repository<'_>, blob: &Blob, kind: &str, what: &str) -> Result<Manifest> {
        let found = repository.manifest(&format!("sha256:{}", blob.digest))?;
        let bytes =
            found.ok_or_else(|| self.damaged(what.to_owned(), "the registry does not have it".to_owned()))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| self.damaged(what.to_owned(), e.to_string()))?;
        match manifest.artifact_type == kind {
            true => Ok(manifest),
            false => {
                Err(self.damaged(what.to_owned(), format!("it calls itself {}", manifest.artifact_type)))
            }
        }
    }

    /// What all nodes are made from: from the cache, or from the registry. `observer` sees it while it comes from there.
    ///
    /// # Errors
    /// [`Error`]
    pub fn base(&self, observer: Option<&mut dyn ImageObserver>) -> Result<Base> {
        let listed = &self.listing.base;
        let image = Promised {
            name: listed.name.clone(),
            raw: listed.raw,
            published: listed.published,
            len: listed.length,
            signed_by: self.signed_by.id(),
        };
        let Fetcher { cache, patience, progress, offline, .. } = *self.fetcher;
        let options =
            Options { cancel: self.fetcher.cancel.clone(), patience, offline, ..Options::default() };
        if let Some(base) = cache.promised(&image, &options, progress)? {
            return Ok(base);
        }
        self.visit(|repository| {
            let manifest = self.manifest(repository, &listed.manifest, BASE, "the base image")?;
            let base = assemble(repository, &manifest, &image, &options, self.fetcher, observer);
            let base = base.map_err(|fault| self.judged("the base image", fault))?;
            base.map_err(|fault| self.damaged("the base image".to_owned(), fault))
        })
    }

    /// What the nodes of a role have over `base`.
    fn payload(&self, digest: &Digest, base: &Arc<FileDevice>) -> Result<Patch> {
        let what = || "the payload".to_owned();
        let damaged = |fault| self.damaged(what(), fault);
        let blob = self.listing.payloads.iter().find(|payload| payload.digest == *digest);
        let blob = blob.ok_or_else(|| damaged("it is not listed".to_owned()))?;
        let applying = |e| Error::io("laying the payload over the base image", e);
        self.visit(|repository| {
            let manifest = self.manifest(repository, blob, PAYLOAD, "the payload")?;
            let total: Option<u64> = manifest.note(note::LENGTH).and_then(|text| text.parse().ok());
            let total = total.ok_or_else(|| damaged("it does not say how long it is".to_owned()))?;
            if manifest.layers.iter().any(|layer| layer.media_type != CHANGES) {
                return Err(damaged("it has something else than changes".to_owned()));
            }
            let blobs: Vec<Blob> = manifest.layers.iter().map(Descriptor::blob).collect();
            // each is read whole
            if let Some(blob) = blobs.iter().find(|blob| blob.len > packed_most(WINDOW + HEAD_MAX)) {
                return Err(damaged(format!("sha256:{} should have {} bytes", blob.digest, blob.len)));
            }
            let fetched = repository.fetch("downloading packages and container images", &blobs);
            fetched.map_err(|fault| self.judged(&what(), fault.into()))?;
            let mut store = Some(self.fetcher.cache.scratch(total)?);
            let mut overlay: Option<Overlay<Extended<Arc<FileDevice>>>> = None;
            for blob in &blobs {
                self.fetcher.cancel.check().map_err(base::Error::from)?;
                let packed = self.cached(blob, "the payload")?;
                let bytes = unpack(&packed, WINDOW + HEAD_MAX).map_err(damaged)?;
                let changes = Changes::read(&bytes).map_err(damaged)?;
                if changes.of() != SHARED {
                    return Err(damaged(format!("it is what {:?} has, and not {SHARED:?}", changes.of())));
                }
                if let Some(file) = store.take() {
                    let device = Extended::new(Arc::clone(base), changes.length());
                    overlay = Some(Overlay::spilling(device, file));
                }
                if let Some(overlay) = &overlay {
                    changes.apply(overlay).map_err(applying)?;
                }
            }
            overlay.map_or_else(|| Ok(Patch::default()), |overlay| overlay.freeze().map_err(applying))
        })
    }
}

/// The one blob of this kind.
fn blob_of(manifest: &Manifest, kind: &str) -> Option<Blob> {
    manifest.layers.iter().find(|layer| layer.media_type == kind).map(Descriptor::blob)
}

/// Nodes whose own changes are in the cache, encrypted as they came: each is opened when its turn comes, so that the
/// secrets of one are in memory at a time, and not those of all.
pub struct Ready<'f> {
    fleet: &'f Fleet<'f>,
    key: StationKey,
    /// How long the image of each becomes.
    lengths: BTreeMap<String, u64>,
    payloads: BTreeMap<Digest, Patch>,
}

impl Ready<'_> {
    /// Fetches what the nodes have over `base` together.
    ///
    /// # Errors
    /// [`Error`]
    pub fn fetch(&mut self, base: &Base) -> Result<()> {
        let device = base.device()?;
        for node in &self.fleet.listing.nodes {
            if let Some(digest) = node.payload.filter(|_| self.lengths.contains_key(&node.name))
                && !self.payloads.contains_key(&digest)
            {
                self.payloads.insert(digest, self.fleet.payload(&digest, &device)?);
            }
        }
        Ok(())
    }

    /// How many bytes a card must have for any of them, as far as that is known before the base is here.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.lengths.values().copied().fold(self.fleet.listing.base.length, u64::max)
    }

    /// What changes over `base` for a node, whose payload was fetched. It is decrypted now.
    ///
    /// # Errors
    /// [`Error`]
    pub fn patch(&self, name: &str, base: &Base) -> Result<Patch> {
        let node = self.fleet.node(name)?;
        let damaged = |fault: String| self.fleet.damaged(name.to_owned(), fault);
        if !self.lengths.contains_key(name) {
            return Err(damaged("it was not asked for".to_owned()));
        }
        let bytes = self.fleet.changes(node, &self.key)?;
        let changes = Changes::read(&bytes).map_err(damaged)?;
        let nothing = Patch::default();
        let shared = match &node.payload {
            None => &nothing,
            Some(digest) => {
                self.payloads.get(digest).ok_or_else(|| damaged("its payload was not fetched".to_owned()))?
            }
        };
        let lower = Patched::new(base.device()?, shared.clone());
        let overlay = Overlay::new(Extended::new(lower, changes.length()));
        let applying = |e| Error::io(format!("putting {name} together"), e);
        changes.apply(&overlay).map_err(applying)?;
        Ok(overlay.freeze().map_err(applying)?.over(shared))
    }
}

//! A cluster on its way into a registry.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::assembly::is_whole;
use super::changes::{self, SHARED};
use super::chunks::WINDOW;
use super::contents::{Bake, Contents};
use super::error::{Error, Result};
use super::format::{
    self, BASE, CHANGES, CHUNK, Descriptor, Index, MINISIG, Manifest, Notes, PAYLOAD, SIGNATURE, note, notes,
};
use super::keys;
use super::listing::Listing;
use super::name::FleetName;
use super::nodes::Nodes;
use super::parts::{Store, windows};
use super::put::Put;
use super::sealed::Recipient;
use super::signature::{PublicKey, SigningKey, signer};
use super::signed::{signature_of, signature_tag};
use crate::base::{Fetcher, Options};
use crate::catalog::Digest;
use crate::disk::{Patch, ReadAt};
use crate::error::Failure;
use crate::io::is_zero;
use crate::oci::{Credentials, OCI_INDEX, visit};

/// What was put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The number of the index.
    pub serial: u64,
    /// The index.
    pub index: Digest,
    /// Who signed it.
    pub key: PublicKey,
    /// The nodes, with the bytes that each has alone.
    pub nodes: Vec<(String, u64)>,
    /// Bytes that were sent; what the registry had is not sent.
    pub sent: u64,
}

/// Who pushes, and for whom.
pub struct Sender<'a> {
    /// What the index is signed with.
    pub key: &'a SigningKey,
    /// Who may read what is secret.
    pub recipients: &'a [Recipient],
    /// The number that was put under the name the last time, as far as this machine knows; 0 where none was.
    pub last: u64,
    /// Notes the number of this push, before anybody else can see it.
    pub note: &'a dyn Fn(u64) -> Result<(), Failure>,
}

impl Sender<'_> {
    /// Who is named by keys, or by files of keys.
    ///
    /// # Errors
    /// [`Error::NoRecipients`], [`Error::Recipients`]; what reading a file answers.
    pub fn recipients(named: &[String]) -> Result<Vec<Recipient>> {
        keys::recipients(named)
    }

    /// Puts a cluster into a registry: its parts first, then what says that they are right, and the name at the very
    /// end. `bake` makes each node.
    ///
    /// # Errors
    /// [`Error`]; until the end the name stands for what it stood for before.
    pub fn push(
        &self,
        name: &FleetName,
        contents: &Contents<'_>,
        bake: &Bake<'_>,
        fetcher: &Fetcher<'_>,
    ) -> Result<Pushed> {
        let credentials = Credentials::of_user()?;
        visit(fetcher, name.reference(), &name.endpoints(), &credentials, |repository| {
            let store = Store { repository, cancel: &fetcher.cancel, sent: AtomicU64::new(0) };
            let put = Put::at(name.reference().host(), fetcher.cache);
            let push = Push { sender: self, name, contents, fetcher, store, put };
            push.run(bake)
        })
    }
}

/// One push.
struct Push<'a> {
    sender: &'a Sender<'a>,
    name: &'a FleetName,
    contents: &'a Contents<'a>,
    fetcher: &'a Fetcher<'a>,
    store: Store<'a>,
    put: Put,
}

/// What is under the name.
struct There {
    index: Digest,
    listing: Listing,
}

impl Push<'_> {
    fn run(&self, bake: &Bake<'_>) -> Result<Pushed> {
        let key = self.sender.key.public();
        let before = self.there(&key)?;
        let last = before.as_ref().map_or(0, |there| there.listing.serial).max(self.sender.last);
        let serial = last.checked_add(1).ok_or_else(|| Error::NoNumber { fleet: self.name.to_string() })?;
        let base = self.base(before.as_ref().map(|there| there.listing.base.manifest.digest))?;
        let mut payloads: BTreeMap<&str, Descriptor> = BTreeMap::new();
        for (role, patch) in &self.contents.payloads {
            payloads.insert(role, self.payload(role, patch)?);
        }
        let step = self.fetcher.progress.begin("pushing nodes", None);
        let writer = Nodes {
            contents: self.contents,
            recipients: self.sender.recipients,
            store: &self.store,
            base: &base,
            payloads: &payloads,
        };
        let (nodes, sizes) = writer.put(bake, &*step)?;
        step.finish();
        // a payload that two roles share is one
        let mut shared: Vec<Descriptor> = Vec::new();
        for payload in payloads.into_values() {
            if !shared.iter().any(|other| other.digest == payload.digest) {
                shared.push(payload);
            }
        }
        let entries = [base].into_iter().chain(shared).chain(nodes).collect();
        let index = Index::new(
            entries,
            notes([
                (note::CLUSTER, self.contents.cluster.to_owned()),
                (note::FLEET, self.contents.fleet.to_owned()),
                (note::SERIAL, serial.to_string()),
                (note::MADE_BY, env!("CARGO_PKG_VERSION").to_owned()),
            ]),
        );
        let bytes = index.text().map_err(|source| Error::Document { what: "the index", source })?;
        // what no station would take is not put there
        Listing::read(&bytes).map_err(|fault| self.no_fleet(fault))?;
        self.sign(&bytes)?;
        // all this may have taken an hour, and somebody else has pushed meanwhile
        let now = self.store.repository.manifest(self.name.tag())?.map(|bytes| Digest::of(&bytes));
        if now != before.map(|there| there.index) {
            return Err(Error::Moved { fleet: self.name.to_string() });
        }
        (self.sender.note)(serial).map_err(|fault| Error::Number(fault.into()))?;
        self.store.repository.put_manifest(self.name.tag(), OCI_INDEX, &bytes)?;
        let sent = self.store.sent.load(Ordering::Relaxed);
        Ok(Pushed { serial, index: Digest::of(&bytes), key, nodes: sizes, sent })
    }

    /// What is under the name now. Refuses to take the place of anything else than this cluster.
    fn there(&self, key: &PublicKey) -> Result<Option<There>> {
        let Some(bytes) = self.store.repository.manifest(self.name.tag())? else { return Ok(None) };
        let listing = Listing::read(&bytes).map_err(|fault| self.no_fleet(fault))?;
        if listing.fleet != self.contents.fleet {
            return Err(Error::Occupied { fleet: self.name.to_string(), cluster: listing.cluster });
        }
        let index = Digest::of(&bytes);
        // somebody else's number could be one that nothing comes after
        let signature = signature_of(self.store.repository, self.name, &index, self.fetcher)?;
        let is_ours = signature
            .as_deref()
            .is_some_and(|text| matches!(signer(&bytes, text, std::slice::from_ref(key)), Ok(Some(_))));
        if !is_ours {
            return Err(Error::NotOurs { fleet: self.name.to_string(), key: key.id() });
        }
        Ok(Some(There { index, listing }))
    }

    fn no_fleet(&self, fault: String) -> Error {
        Error::NoFleet { fleet: self.name.to_string(), fault }
    }

    /// `listed` is the manifest of the base of the index that is there, which this cluster's own key has signed.
    fn base(&self, listed: Option<Digest>) -> Result<Descriptor> {
        let base = self.contents.base;
        let options = Options { cancel: self.fetcher.cancel.clone(), ..Options::default() };
        let raw = self.fetcher.cache.raw_digest(base, &options, self.fetcher.progress)?;
        let tag = format!("base-{raw}");
        let about = notes([
            (note::RAW, raw.to_string()),
            (note::LENGTH, base.len.to_string()),
            (note::CHUNK_LENGTH, WINDOW.to_string()),
        ]);
        // whoever may write to the registry can put another one under the tag: what is signed here is known to be right,
        // or is cut again, and what of it is there is not sent
        let believed: Vec<Digest> = self.put.bases().into_iter().chain(listed).collect();
        let fits = |digest: &Digest, manifest: &Manifest| {
            let is_it = manifest.artifact_type == BASE && manifest.annotations == about;
            is_it && believed.contains(digest) && is_whole(manifest, base.len)
        };
        let own = self.store.repository.path();
        let manifest = match self.store.known(&tag, &self.put.elsewhere(own), fits)? {
            Some(manifest) => manifest,
            None => Manifest::new(BASE, self.chunks()?, about.clone()),
        };
        base.unchanged()?;
        let bytes = self.store.manifest(&manifest, Some(&tag))?;
        self.put.remember(own, Digest::of(&bytes));
        let listed = notes([
            (note::NAME, base.name.clone()),
            (note::RAW, raw.to_string()),
            (note::PUBLISHED, base.digest.to_string()),
            (note::LENGTH, base.len.to_string()),
        ]);
        Ok(Descriptor::listed(BASE, &bytes, listed))
    }

    /// The raw image; what is zero is left out.
    fn chunks(&self) -> Result<Vec<Descriptor>> {
        let base = self.contents.base;
        let device = base.device()?;
        let reading = |e| Error::io(format!("reading {}", base.path().display()), e);
        let all = windows(&device.data().map_err(reading)?, device.len());
        let total = all.iter().map(|window| window.end - window.start).sum();
        let step = self.fetcher.progress.begin("pushing the base image", Some(total));
        let content = |window: Range<u64>| -> io::Result<Option<Vec<u8>>> {
            let mut bytes = vec![0; (window.end - window.start) as usize];
            device.read_at(window.start, &mut bytes)?;
            Ok((!is_zero(&bytes)).then_some(bytes))
        };
        let chunks = self.store.windows(CHUNK, &all, &content, &*step)?;
        step.finish();
        Ok(chunks)
    }

    fn payload(&self, role: &str, patch: &Patch) -> Result<Descriptor> {
        let length = patch.image_len(self.contents.base.len);
        let ranges = patch.ranges();
        let all = windows(&ranges, length);
        let total = all.iter().map(|window| window.end - window.start).sum();
        let what = format!("pushing what each {role} has");
        let step = self.fetcher.progress.begin(&what, Some(total));
        let content = |window: Range<u64>| changes::write(SHARED, patch, length, window).map(Some);
        let layers = self.store.windows(CHANGES, &all, &content, &*step)?;
        step.finish();
        let about = notes([(note::LENGTH, ranges.total().to_string())]);
        let manifest = Manifest::new(PAYLOAD, layers, about);
        let bytes =
            format::text(&manifest).map_err(|source| Error::Document { what: "a manifest", source })?;
        // a name of its own keeps it from being cleared away with the indices that list it
        let tag = format!("payload-{}", Digest::of(&bytes));
        let bytes = self.store.manifest(&manifest, Some(&tag))?;
        Ok(Descriptor::listed(PAYLOAD, &bytes, Notes::new()))
    }

    /// Puts the signature there, before what it is of: nobody ever finds an index that has none.
    fn sign(&self, index: &[u8]) -> Result<()> {
        let digest = Digest::of(index);
        let comment = format!("{} sha256:{digest}", self.name);
        let signature = self.sender.key.sign(index, &comment);
        let layer = self.store.blob(MINISIG, signature.as_bytes(), Notes::new())?;
        let mut manifest = Manifest::new(SIGNATURE, vec![layer], Notes::new());
        manifest.subject = Some(Descriptor::of(OCI_INDEX, index, Notes::new()));
        self.store.manifest(&manifest, Some(&signature_tag(&digest)))?;
        Ok(())
    }
}

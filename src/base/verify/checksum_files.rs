//! Lists of digests and their signatures: where they are, and what they prove.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::Url;

use super::{Keyring, SignatureError, Sums, Trust};
use crate::base::cache::{Cache, files, memo};
use crate::base::{Digest, Error, Options, PURPOSE, Result};
use crate::catalog::shown;
use crate::http::{self, Agent, file_name};
use crate::io::read_small;
use crate::progress::Progress;

/// What is known of an image before it is fetched.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) digest: Option<Digest>,
    pub(crate) trust: Trust,
}

impl Expected {
    /// What the user accepts though nothing is known.
    pub(crate) const NOTHING: Self = Self { digest: None, trust: Trust::Nothing };
}

/// A list of digests that is believed.
pub(crate) struct Listed {
    pub(crate) sums: Sums,
    trust: Trust,
}

/// A list of digests and its signature, as they were fetched. What is kept in the cache is these, not
/// what was concluded from them: they are checked again each time.
pub(crate) struct ChecksumFiles {
    pub(crate) sums: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

impl ChecksumFiles {
    /// What is kept in `dir` under this key.
    fn read(dir: &Path, key: &str) -> Option<Self> {
        let (sums, signature) = paths(dir, key);
        Some(Self { sums: Some(files::read_whole(&sums)?), signature: files::read_whole(&signature) })
    }

    /// All that earlier runs kept in the cache.
    pub(crate) fn all(cache: &Cache) -> impl Iterator<Item = Self> {
        let dir = cache.evidence();
        let names = cache.names("evidence").into_iter();
        names.filter_map(move |name| Self::read(&dir, name.strip_suffix(SUMS)?))
    }
}

/// What the names of kept lists end in.
const SUMS: &str = ".sums";

fn paths(dir: &Path, key: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{key}{SUMS}")), dir.join(format!("{key}.gpg")))
}

/// No list of digests or signature comes near these sizes.
const LARGEST_SUMS: u64 = 1 << 20;
const LARGEST_SIGNATURE: u64 = 64 << 10;

/// The image or the folder of images at an address, and what may be believed of it.
pub(crate) struct Verifier<'a> {
    url: &'a Url,
    /// A release of Ubuntu's: only a signature will do.
    pub(crate) known: bool,
    options: &'a Options,
    progress: &'a dyn Progress,
    /// Where the list of digests and its signature should be.
    sums: Url,
    signature: Url,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(
        url: &'a Url,
        known: bool,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let beside = |name| {
            let fault = |reason: String| http::Error::Network {
                url: shown(url),
                reason,
                attempts: 1,
                purpose: &PURPOSE,
            };
            url.join(name).map_err(|e| fault(e.to_string()))
        };
        let (sums, signature) = (beside("SHA256SUMS")?, beside("SHA256SUMS.gpg")?);
        Ok(Self { url, known, options, progress, sums, signature })
    }

    /// The address of the list, for people.
    pub(crate) fn name(&self) -> String {
        shown(&self.sums)
    }

    pub(crate) fn fetch(&self, agent: &Agent<'_>) -> Result<ChecksumFiles> {
        let sums = self.small(agent, &self.sums, LARGEST_SUMS, "a list of digests")?;
        let signature = match &sums {
            Some(_) => self.small(agent, &self.signature, LARGEST_SIGNATURE, "a signature")?,
            None => None,
        };
        Ok(ChecksumFiles { sums, signature })
    }

    /// A file beside the image; a web page is none.
    fn small(
        &self,
        agent: &Agent<'_>,
        url: &Url,
        limit: u64,
        expected: &'static str,
    ) -> Result<Option<Vec<u8>>> {
        match agent.document(url, limit, expected) {
            Err(fault @ http::Error::WebPage { .. }) if self.options.insecure => {
                self.progress.note(&fault.to_string());
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    /// The files that an earlier run kept in `dir` of this address.
    pub(crate) fn kept(&self, dir: &Path) -> Option<ChecksumFiles> {
        ChecksumFiles::read(dir, &memo::url_key(&self.sums))
    }

    pub(crate) fn keep(&self, dir: &Path, fetched: &ChecksumFiles) -> Result<()> {
        let Some(bytes) = &fetched.sums else { return Ok(()) };
        // A list of releases is replaced by that of the next ones, and proves what is in the cache for ever.
        let key = if self.known { Digest::of(bytes).to_string() } else { memo::url_key(&self.sums) };
        let (sums, signature) = paths(dir, &key);
        // an old signature never meets a new list for longer than this takes, and then does not fit
        match &fetched.signature {
            Some(bytes) => files::write_whole(&signature, bytes)?,
            None => drop(std::fs::remove_file(&signature)),
        }
        files::write_whole(&sums, bytes)
    }

    /// What the files prove of the image at this address.
    pub(crate) fn verify(&self, files: &ChecksumFiles) -> Result<Expected> {
        match self.read(files)? {
            Some(list) => self.expected(&list, &file_name(self.url)),
            None => Ok(Expected::NOTHING),
        }
    }

    /// What a list that is believed says of `file`.
    pub(crate) fn expected(&self, list: &Listed, file: &str) -> Result<Expected> {
        match list.sums.get(file) {
            digest @ Some(_) => Ok(Expected { digest, trust: list.trust.clone() }),
            None if self.options.insecure => Ok(Expected::NOTHING),
            None => Err(Error::NotListed {
                sums: shown(&self.sums),
                file: file.to_owned(),
                listed: list.sums.images(),
            }),
        }
    }

    /// The list, if it may be believed; `None` where there is none, and the user accepts that.
    ///
    /// A signature is asked for where the catalog or a keyring promises one. Without one, a list that
    /// came over HTTPS shows at least that the image is what the server's owner put there; over plain
    /// HTTP anybody on the way can change both alike, so it shows nothing.
    pub(crate) fn read(&self, files: &ChecksumFiles) -> Result<Option<Listed>> {
        let insecure = self.options.insecure;
        let Some(sums) = &files.sums else {
            return self.unproven("there is no SHA256SUMS beside it");
        };
        let list = shown(&self.sums);
        let keyring = keyring(self.options, &list)?;
        let demanded = (self.known || self.options.keyring.is_some()) && !insecure;
        let https = self.url.scheme() == "https";
        let signer = match &files.signature {
            Some(signature) => signer(&keyring, (&list, sums, signature), self.progress, |fault| {
                insecure || !demanded && https && matches!(fault, SignatureError::UnknownSigner { .. })
            })?,
            None if demanded => {
                return self.unproven("SHA256SUMS beside it is not signed: there is no SHA256SUMS.gpg");
            }
            None => None,
        };
        let trust = match signer {
            Some(key) => Trust::Signed(key),
            None if insecure => Trust::Nothing,
            None if https => Trust::Listed,
            None => return self.unproven("SHA256SUMS beside it is not signed and came over plain http"),
        };
        match Sums::parse(sums) {
            Ok(sums) => Ok(Some(Listed { sums, trust })),
            Err(source) if insecure => {
                self.progress.note(&format!("ignoring {list}: {source}"));
                Ok(None)
            }
            Err(source) => Err(Error::Sums { url: list, source }),
        }
    }

    fn unproven(&self, reason: &str) -> Result<Option<Listed>> {
        if self.options.insecure {
            return Ok(None);
        }
        Err(Error::Untrusted { url: shown(self.url), reason: reason.to_owned() })
    }
}

/// The keys that may sign `list`.
fn keyring(options: &Options, list: &str) -> Result<Keyring> {
    match &options.keyring {
        Some(path) => Keyring::open(path),
        None => Keyring::ubuntu().map_err(|source| Error::Signature { url: list.to_owned(), source }),
    }
}

/// The key that signed a list, given with its name and signature; `None` where the signature does not
/// hold in a way that is `tolerated`.
fn signer(
    keyring: &Keyring,
    (list, sums, signature): (&str, &[u8], &[u8]),
    progress: &dyn Progress,
    tolerated: impl Fn(&SignatureError) -> bool,
) -> Result<Option<String>> {
    match keyring.verify(sums, signature, SystemTime::now()) {
        Ok(key) => Ok(Some(key)),
        Err(fault) if tolerated(&fault) => {
            progress.note(&format!("the signature of {list} is not relied on: {fault}"));
            Ok(None)
        }
        Err(source) => Err(Error::Signature { url: list.to_owned(), source }),
    }
}

/// What the SHA256SUMS beside a file of the user's own says of it, if there is one that names it. A
/// file is not asked to have one, so a list that cannot be read or is signed by somebody else is no
/// fault of the file's; one whose signature is wrong is.
pub(crate) fn beside(
    given: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Option<(Digest, Trust)>> {
    let Some(name) = given.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    let path = given.with_file_name("SHA256SUMS");
    let Some(sums) = read_if_there(&path, LARGEST_SUMS)? else { return Ok(None) };
    let list = path.display().to_string();
    let digest = Sums::parse(&sums).map(|sums| sums.get(name)).unwrap_or_else(|fault| {
        progress.note(&format!("ignoring {list}: {fault}"));
        None
    });
    let Some(digest) = digest else { return Ok(None) };
    let Some(signature) = read_if_there(&given.with_file_name("SHA256SUMS.gpg"), LARGEST_SIGNATURE)? else {
        return Ok(Some((digest, Trust::Beside)));
    };
    let keyring = keyring(options, &list)?;
    let is_unknown = |fault: &SignatureError| matches!(fault, SignatureError::UnknownSigner { .. });
    let signer = signer(&keyring, (&list, &sums, &signature), progress, is_unknown)?;
    Ok(Some((digest, signer.map_or(Trust::Beside, Trust::Signed))))
}

/// A file that may be missing; one that is too large is no list and no signature.
fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match read_small(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::FileTooLarge) => Ok(None),
        Err(e) => Err(Error::io("reading", path, e)),
    }
}

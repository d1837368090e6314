//! Why the bytes of an image are believed to be the right ones.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::Url;

use super::{Keyring, SignatureError, Sums};
use crate::base::cache::{entry, memo};
use crate::base::fetch::http::{self, Agent};
use crate::base::{Digest, Error, Options, Result, decode};
use crate::catalog::shown;
use crate::progress::Progress;

/// Why the bytes of an image are believed to be the right ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Its digest stands in a list signed by the key with this fingerprint.
    Signed(String),
    /// Its digest was given by the user.
    Given,
    /// Its digest stands in a list that came over HTTPS, but is not signed.
    Listed,
    /// It is the user's own file, and its digest stands in a SHA256SUMS beside it that is not signed.
    Beside,
    /// It is the user's own file.
    Own,
    /// It is part of pibake.
    BuiltIn,
    /// Nothing vouches for it, and the user accepted that.
    Nothing,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(key) => write!(f, "signed by {key}"),
            Self::Given => f.write_str("has the digest that was given"),
            Self::Listed => f.write_str("listed in SHA256SUMS, fetched over HTTPS"),
            Self::Beside => f.write_str("a file of your own, listed in the SHA256SUMS beside it"),
            Self::Own => f.write_str("a file of your own"),
            Self::BuiltIn => f.write_str("built in"),
            Self::Nothing => f.write_str("unverified"),
        }
    }
}

/// What is known of an image before it is fetched.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) digest: Option<Digest>,
    pub(crate) trust: Trust,
}

/// A list of digests and its signature, as they were fetched. What is kept in the cache is these, not
/// what was concluded from them: they are judged anew each time.
pub(crate) struct Evidence {
    pub(crate) sums: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

/// No list of digests or signature comes near these sizes.
const LARGEST_SUMS: u64 = 1 << 20;
const LARGEST_SIGNATURE: u64 = 64 << 10;

/// The image at an address, and what may be believed of it.
pub(crate) struct Judge<'a> {
    pub(crate) url: &'a Url,
    /// An address of the catalog's: only a signature will do.
    pub(crate) known: bool,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a dyn Progress,
}

impl Judge<'_> {
    fn beside(&self, name: &str) -> Result<Url> {
        self.url.join(name).map_err(|e| Error::Network {
            url: shown(self.url),
            reason: e.to_string(),
            attempts: 1,
        })
    }

    pub(crate) fn fetch(&self, agent: &Agent<'_>) -> Result<Evidence> {
        let sums = self.small(agent, "SHA256SUMS", LARGEST_SUMS, "a list of digests")?;
        let signature = match &sums {
            Some(_) => self.small(agent, "SHA256SUMS.gpg", LARGEST_SIGNATURE, "a signature")?,
            None => None,
        };
        Ok(Evidence { sums, signature })
    }

    /// A file beside the image; a web page is none.
    fn small(
        &self,
        agent: &Agent<'_>,
        name: &str,
        limit: u64,
        expected: &'static str,
    ) -> Result<Option<Vec<u8>>> {
        let url = self.beside(name)?;
        match agent.small(&url, limit)? {
            Some(bytes) if decode::is_web_page(&bytes) => {
                let fault = Error::WebPage { url: shown(&url), expected };
                if !self.options.insecure {
                    return Err(fault);
                }
                self.progress.note(&fault.to_string());
                Ok(None)
            }
            other => Ok(other),
        }
    }

    /// The evidence that an earlier run kept in `dir`.
    pub(crate) fn kept(&self, dir: &Path) -> Option<Evidence> {
        let (sums, signature) = self.files(dir).ok()?;
        Some(Evidence { sums: Some(entry::read_whole(&sums)?), signature: entry::read_whole(&signature) })
    }

    pub(crate) fn keep(&self, dir: &std::path::Path, evidence: &Evidence) -> Result<()> {
        let (sums, signature) = self.files(dir)?;
        let Some(bytes) = &evidence.sums else { return Ok(()) };
        // an old signature never meets a new list for longer than this takes, and then does not fit
        match &evidence.signature {
            Some(bytes) => entry::write_whole(&signature, bytes)?,
            None => drop(std::fs::remove_file(&signature)),
        }
        entry::write_whole(&sums, bytes)
    }

    fn files(&self, dir: &Path) -> Result<(PathBuf, PathBuf)> {
        let key = memo::url_key(&self.beside("SHA256SUMS")?);
        Ok((dir.join(format!("{key}.sums")), dir.join(format!("{key}.gpg"))))
    }

    /// What the evidence proves.
    ///
    /// A signature is asked for where the catalog or a keyring promises one. Without one, a list that
    /// came over HTTPS shows at least that the image is what the server's owner put there; over plain
    /// HTTP anybody on the way can change both alike, so it shows nothing.
    pub(crate) fn judge(&self, evidence: &Evidence) -> Result<Expected> {
        let insecure = self.options.insecure;
        let Some(sums) = &evidence.sums else {
            return self.unproven("there is no SHA256SUMS beside it");
        };
        let trust = match self.check_signature(sums, evidence.signature.as_deref())? {
            Some(key) => Trust::Signed(key),
            None if insecure => Trust::Nothing,
            None if self.url.scheme() == "https" => Trust::Listed,
            None => return self.unproven("SHA256SUMS beside it is not signed and came over plain http"),
        };
        let sums_url = self.beside("SHA256SUMS").map(|u| shown(&u))?;
        let file = http::file_name(self.url);
        let digest = match Sums::parse(sums) {
            Ok(list) => list.get(&file),
            Err(source) if insecure => {
                self.progress.note(&format!("ignoring {sums_url}: {source}"));
                None
            }
            Err(source) => return Err(Error::Sums { url: sums_url, source }),
        };
        match digest {
            Some(_) => Ok(Expected { digest, trust }),
            None if insecure => Ok(Expected { digest: None, trust: Trust::Nothing }),
            None => {
                let listed = Sums::parse(sums).map(|list| list.images()).unwrap_or_default();
                Err(Error::NotListed { sums: sums_url, file, listed })
            }
        }
    }

    /// The key that signed the list; `None` where none did and none has to.
    fn check_signature(&self, sums: &[u8], signature: Option<&[u8]>) -> Result<Option<String>> {
        let keyring = match &self.options.keyring {
            Some(path) => Keyring::open(path)?,
            None => Keyring::ubuntu().map_err(|e| self.bad(e))?,
        };
        let demanded = (self.known || self.options.keyring.is_some()) && !self.options.insecure;
        let Some(signature) = signature else {
            return match demanded {
                true => self
                    .unproven("SHA256SUMS beside it is not signed: there is no SHA256SUMS.gpg")
                    .map(|_| None),
                false => Ok(None),
            };
        };
        match keyring.verify(sums, signature, SystemTime::now()) {
            Ok(key) => Ok(Some(key)),
            Err(source) if self.options.insecure => {
                self.progress.note(&format!("the signature of SHA256SUMS is not relied on: {source}"));
                Ok(None)
            }
            Err(source @ SignatureError::UnknownSigner { .. })
                if !demanded && self.url.scheme() == "https" =>
            {
                self.progress.note(&format!("the signature of SHA256SUMS is not relied on: {source}"));
                Ok(None)
            }
            Err(source) => Err(self.bad(source)),
        }
    }

    fn bad(&self, source: SignatureError) -> Error {
        let url = self.beside("SHA256SUMS").map_or_else(|_| shown(self.url), |u| shown(&u));
        Error::Signature { url, source }
    }

    fn unproven(&self, reason: &str) -> Result<Expected> {
        if self.options.insecure {
            return Ok(Expected { digest: None, trust: Trust::Nothing });
        }
        Err(Error::Untrusted { url: shown(self.url), reason: reason.to_owned() })
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
    let (Some(name), list) = (given.file_name().and_then(|n| n.to_str()), given.with_file_name("SHA256SUMS"))
    else {
        return Ok(None);
    };
    let Some(sums) = read_small(&list, LARGEST_SUMS)? else { return Ok(None) };
    let digest = match Sums::parse(&sums) {
        Ok(sums) => sums.get(name),
        Err(fault) => {
            progress.note(&format!("ignoring {}: {fault}", list.display()));
            None
        }
    };
    let Some(digest) = digest else { return Ok(None) };
    let Some(signature) = read_small(&given.with_file_name("SHA256SUMS.gpg"), LARGEST_SIGNATURE)? else {
        return Ok(Some((digest, Trust::Beside)));
    };
    let fault = |source| Error::Signature { url: list.display().to_string(), source };
    let keyring = match &options.keyring {
        Some(path) => Keyring::open(path)?,
        None => Keyring::ubuntu().map_err(fault)?,
    };
    match keyring.verify(&sums, &signature, SystemTime::now()) {
        Ok(key) => Ok(Some((digest, Trust::Signed(key)))),
        Err(source @ SignatureError::UnknownSigner { .. }) => {
            let list = list.display();
            progress.note(&format!("the signature of {list} is not relied on: {source}"));
            Ok(Some((digest, Trust::Beside)))
        }
        Err(source) => Err(fault(source)),
    }
}

/// A file that may be missing; too large is as good as not there, for what it is looked into for.
fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let reading = |e| Error::io("reading", path, e);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(reading(e)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(reading)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

//! Why the bytes of an image are believed to be the right ones.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::Url;

use super::http::{Agent, shown};
use super::{Digest, Error, Keyring, Options, Result, SignatureError, Sums, download, entry, memo};
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
            Self::Own => f.write_str("a file of your own"),
            Self::BuiltIn => f.write_str("built in"),
            Self::Nothing => f.write_str("unverified"),
        }
    }
}

/// What is known of an image before it is fetched.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) digest: Option<Digest>,
    pub(super) trust: Trust,
}

/// A list of digests and its signature, as they were fetched. What is kept in the cache is these, not
/// what was concluded from them: they are judged anew each time.
pub(super) struct Evidence {
    sums: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

/// No list of digests or signature comes near these sizes.
const LARGEST_SUMS: u64 = 1 << 20;
const LARGEST_SIGNATURE: u64 = 64 << 10;

/// The image at an address, and what may be believed of it.
pub(super) struct Judge<'a> {
    pub(super) url: &'a Url,
    /// An address of the catalog's: only a signature will do.
    pub(super) known: bool,
    pub(super) options: &'a Options,
    pub(super) progress: &'a dyn Progress,
}

impl Judge<'_> {
    fn beside(&self, name: &str) -> Result<Url> {
        self.url.join(name).map_err(|e| Error::Network {
            url: shown(self.url),
            reason: e.to_string(),
            attempts: 1,
        })
    }

    pub(super) fn fetch(&self, agent: &Agent<'_>) -> Result<Evidence> {
        let sums = agent.small(&self.beside("SHA256SUMS")?, LARGEST_SUMS)?;
        let signature = match &sums {
            Some(_) => agent.small(&self.beside("SHA256SUMS.gpg")?, LARGEST_SIGNATURE)?,
            None => None,
        };
        Ok(Evidence { sums, signature })
    }

    /// The evidence that an earlier run kept in `dir`.
    pub(super) fn kept(&self, dir: &std::path::Path) -> Option<Evidence> {
        let (sums, signature) = self.files(dir).ok()?;
        Some(Evidence { sums: Some(std::fs::read(sums).ok()?), signature: std::fs::read(signature).ok() })
    }

    pub(super) fn keep(&self, dir: &std::path::Path, evidence: &Evidence) -> Result<()> {
        let (sums, signature) = self.files(dir)?;
        let Some(bytes) = &evidence.sums else { return Ok(()) };
        // an old signature never meets a new list for longer than this takes, and then does not fit
        match &evidence.signature {
            Some(bytes) => entry::write_whole(&signature, bytes)?,
            None => drop(std::fs::remove_file(&signature)),
        }
        entry::write_whole(&sums, bytes)
    }

    fn files(&self, dir: &std::path::Path) -> Result<(PathBuf, PathBuf)> {
        let key = memo::url_key(&self.beside("SHA256SUMS")?);
        Ok((dir.join(format!("{key}.sums")), dir.join(format!("{key}.gpg"))))
    }

    /// What the evidence proves.
    ///
    /// A signature is asked for where the catalog or a keyring promises one. Without one, a list that
    /// came over HTTPS shows at least that the image is what the server's owner put there; over plain
    /// HTTP anybody on the way can change both alike, so it shows nothing.
    pub(super) fn judge(&self, evidence: &Evidence) -> Result<Expected> {
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
        let file = download::file_name(self.url);
        let digest = match Sums::parse(sums) {
            Ok(list) => list.get(&file),
            Err(source) if insecure => {
                self.progress.note(&format!("{sums_url} is of no use: {source}"));
                None
            }
            Err(source) => return Err(Error::Sums { url: sums_url, source }),
        };
        match digest {
            Some(_) => Ok(Expected { digest, trust }),
            None if insecure => Ok(Expected { digest: None, trust: Trust::Nothing }),
            None => Err(Error::NotListed { sums: sums_url, file }),
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

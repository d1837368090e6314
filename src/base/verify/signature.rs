//! OpenPGP signatures over lists of digests, in files of their own or around the list.
//!
//! What is accepted is a small part of what OpenPGP allows: a signature of version 4 or 6, with SHA-2 or
//! SHA-3, by a key of the keyring that may sign, is neither expired nor revoked, over exactly the bytes given.

use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::{CleartextSignedMessage, Deserializable, DetachedSignature};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, SignatureVersion, SubpacketData};

use super::error::{SignatureError, date};
use super::key::Candidate;
use super::keyring::Keyring;

/// How far a signer's clock may be ahead of this machine's, in seconds.
const CLOCK_SKEW: i64 = 24 * 60 * 60;

/// Of a text with its signature around it; the longest InRelease of Debian and Ubuntu has some 5,000.
const MOST_LINES: usize = 40_000;

impl Keyring {
    /// Checks that `signature` (binary or armoured, one or several signatures) is one over exactly
    /// `content` by an accepted key, at the time `now`. Returns the fingerprint of the primary key.
    ///
    /// One good signature is enough: a list may be signed by an old and by a new key.
    ///
    /// # Errors
    /// [`SignatureError`] of the signature that came nearest to being good.
    pub fn verify(
        &self,
        content: &[u8],
        signature: &[u8],
        now: SystemTime,
    ) -> Result<String, SignatureError> {
        let (list, _) = DetachedSignature::from_reader_many(signature).map_err(malformed)?;
        let list = list.map(|found| found.map(|detached| detached.signature).map_err(malformed));
        // a text signature holds for any line ends, so it does not fix the bytes
        self.any(list, content, SignatureType::Binary, now)
    }

    /// The same for a text that has its signature around it (RFC 9580, 7), as apt's InRelease files have: returns
    /// the text that is signed, with CR LF at the ends of its lines, and the fingerprint.
    ///
    /// # Errors
    /// As for [`Self::verify`]; anything before or behind what is signed, too.
    pub fn verify_cleartext(
        &self,
        signed: &[u8],
        now: SystemTime,
    ) -> Result<(String, String), SignatureError> {
        let text = std::str::from_utf8(signed).map_err(|e| SignatureError::Malformed(e.to_string()))?;
        // the parser's time grows with the square of the lines
        if text.lines().count() > MOST_LINES {
            return Err(SignatureError::Malformed(format!("it has more than {MOST_LINES} lines")));
        }
        let (message, _) = CleartextSignedMessage::from_string(text).map_err(malformed)?;
        let list = message.signatures().iter().cloned().map(Ok);
        let content = message.signed_text();
        let fingerprint = self.any(list, content.as_bytes(), SignatureType::Text, now)?;
        Ok((content, fingerprint))
    }

    fn any(
        &self,
        list: impl Iterator<Item = Result<Signature, SignatureError>>,
        content: &[u8],
        kind: SignatureType,
        now: SystemTime,
    ) -> Result<String, SignatureError> {
        let now = seconds(now);
        let mut nearest: Option<SignatureError> = None;
        for found in list {
            let fault = match found.and_then(|signature| self.check(&signature, content, kind, now)) {
                Ok(fingerprint) => return Ok(fingerprint),
                Err(fault) => fault,
            };
            // a broken packet ends the list: the parser does not find its way back
            let ends = matches!(fault, SignatureError::Malformed(_));
            // who signed with a key that we know is told more than that others signed as well
            if nearest.as_ref().is_none_or(|n| matches!(n, SignatureError::UnknownSigner { .. })) {
                nearest = Some(fault);
            }
            if ends {
                break;
            }
        }
        Err(nearest.unwrap_or(SignatureError::NoSignature))
    }

    fn check(
        &self,
        signature: &Signature,
        content: &[u8],
        kind: SignatureType,
        now: i64,
    ) -> Result<String, SignatureError> {
        let config =
            signature.config().ok_or_else(|| SignatureError::Kind("an unknown version".to_owned()))?;
        check_kind(signature.version(), config, kind)?;
        let candidates: Vec<Candidate<'_>> =
            self.keys().iter().flat_map(Candidate::all).filter(|c| c.is_named_by(config)).collect();
        let mut nearest = None;
        for candidate in candidates {
            // first the cryptography: only a signature that is real can say anything about its time
            let checked = candidate
                .verify(signature, content)
                .and_then(|()| candidate.check_fit(now))
                .and_then(|()| check_time(config, now));
            match checked {
                Ok(()) => return Ok(candidate.primary_fingerprint()),
                Err(fault) if nearest.is_none() => nearest = Some(fault),
                Err(_) => {}
            }
        }
        Err(nearest.unwrap_or_else(|| SignatureError::UnknownSigner {
            signer: signer(config),
            accepted: self.fingerprints().join(", "),
        }))
    }
}

/// Refuses what does not cover exactly the bytes, or covers them badly.
fn check_kind(
    version: SignatureVersion,
    config: &SignatureConfig,
    kind: SignatureType,
) -> Result<(), SignatureError> {
    if !matches!(version, SignatureVersion::V4 | SignatureVersion::V6) {
        return Err(SignatureError::Kind(format!("version {version:?}")));
    }
    if config.typ() != kind {
        return Err(SignatureError::Kind(format!("{:?} instead of {kind:?}", config.typ())));
    }
    match config.hash_alg {
        HashAlgorithm::Sha256
        | HashAlgorithm::Sha384
        | HashAlgorithm::Sha512
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_512 => {}
        weak => return Err(SignatureError::WeakDigest(weak.to_string())),
    }
    // RFC 9580, 5.2.3.7: what is critical and not understood makes the signature void
    let unknown = config.hashed_subpackets().filter(|s| s.is_critical).find(|s| {
        matches!(
            s.data,
            SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(_)
        )
    });
    match unknown {
        Some(_) => Err(SignatureError::Kind("it holds a critical part that is not understood".to_owned())),
        None => Ok(()),
    }
}

fn check_time(config: &SignatureConfig, now: i64) -> Result<(), SignatureError> {
    let created = config
        .created()
        .ok_or_else(|| SignatureError::Kind("it does not say when it was made".to_owned()))?
        .as_secs();
    if i64::from(created) > now.saturating_add(CLOCK_SKEW) {
        return Err(SignatureError::NotYet(date(i64::from(created))));
    }
    let lasts = config.hashed_subpackets().find_map(|s| match s.data {
        SubpacketData::SignatureExpirationTime(d) => Some(d.as_secs()),
        _ => None,
    });
    match lasts {
        // RFC 9580, 5.2.3.18: zero means never
        Some(lasts) if lasts > 0 && i64::from(created) + i64::from(lasts) <= now => {
            Err(SignatureError::Expired(date(i64::from(created) + i64::from(lasts))))
        }
        _ => Ok(()),
    }
}

fn malformed(error: pgp::errors::Error) -> SignatureError {
    SignatureError::Malformed(error.to_string())
}

fn signer(config: &SignatureConfig) -> String {
    let fingerprint = config.issuer_fingerprint().first().map(ToString::to_string);
    let id = config.issuer_key_id().first().map(ToString::to_string);
    fingerprint.or(id).map_or_else(|| "an unnamed key".to_owned(), |name| format!("the key {name}"))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_secs()).ok()).unwrap_or(0)
}

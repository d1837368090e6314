//! Which part of a certificate may have signed, and whether it was allowed to.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureConfig, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, PublicParams, Tag};

use super::error::{SignatureError, date};

/// A primary key, or a subkey with its primary key.
pub(crate) struct Candidate<'a> {
    certificate: &'a SignedPublicKey,
    subkey: Option<&'a SignedPublicSubKey>,
}

/// RSA keys shorter than this, in bytes of the modulus, can be broken (NIST SP 800-131A: 2048 bits).
const SHORTEST_RSA: usize = 2048 / 8;

impl<'a> Candidate<'a> {
    pub(crate) fn all(certificate: &'a SignedPublicKey) -> impl Iterator<Item = Self> {
        let subkeys = certificate.public_subkeys.iter().map(Some);
        std::iter::once(None).chain(subkeys).map(move |subkey| Self { certificate, subkey })
    }

    pub(crate) fn primary_fingerprint(&self) -> String {
        self.certificate.fingerprint().to_string()
    }

    fn fingerprint(&self) -> String {
        self.subkey.map_or_else(|| self.certificate.fingerprint(), |s| s.key.fingerprint()).to_string()
    }

    /// Whether the signature names this key, or no key at all.
    pub(crate) fn is_named_by(&self, config: &SignatureConfig) -> bool {
        let (fingerprint, id) = match self.subkey {
            None => (self.certificate.fingerprint(), self.certificate.legacy_key_id()),
            Some(s) => (s.key.fingerprint(), s.key.legacy_key_id()),
        };
        let (fingerprints, ids) = (config.issuer_fingerprint(), config.issuer_key_id());
        if fingerprints.is_empty() {
            ids.is_empty() || ids.contains(&&id)
        } else {
            fingerprints.contains(&&fingerprint)
        }
    }

    /// Whether this key made `signature` over `content`.
    pub(crate) fn verify(&self, signature: &Signature, content: &[u8]) -> Result<(), SignatureError> {
        let params = match self.subkey {
            None => self.certificate.public_params(),
            Some(s) => s.key.public_params(),
        };
        let strong = match params {
            PublicParams::RSA(rsa) => rsa.write_len() >= SHORTEST_RSA,
            PublicParams::DSA(_) | PublicParams::Elgamal(_) | PublicParams::Unknown { .. } => false,
            _ => true,
        };
        if !strong {
            return Err(SignatureError::WeakKey(self.fingerprint()));
        }
        match self.subkey {
            None => signature.verify(&self.certificate.primary_key, content),
            Some(s) => signature.verify(&s.key, content),
        }
        .map_err(|_| SignatureError::Wrong)
    }

    /// Whether the owner means this key to sign at the time `now`.
    pub(crate) fn check_fit(&self, now: i64) -> Result<(), SignatureError> {
        let primary = self.check_primary(now)?;
        match self.subkey {
            Some(subkey) => self.check_subkey(subkey, now),
            // RFC 9580, 5.2.3.29: without flags a key may do what it can
            None if has_flags(primary) && !primary.key_flags().sign() => {
                Err(SignatureError::KeyUnfit(self.primary_fingerprint(), "it was not made for signing"))
            }
            None => Ok(()),
        }
    }

    /// Checks the primary key and returns the self-signature that governs it.
    fn check_primary(&self, now: i64) -> Result<&'a Signature, SignatureError> {
        let newest = self.governing()?;
        check_expiry(&self.primary_fingerprint(), self.primary_end(newest), now)?;
        Ok(newest)
    }

    /// The self-signature that governs the primary key.
    fn governing(&self) -> Result<&'a Signature, SignatureError> {
        let certificate = self.certificate;
        let key = &certificate.primary_key;
        let details = &certificate.details;
        if details.revocation_signatures.iter().any(|s| s.verify_key(key).is_ok()) {
            return Err(SignatureError::KeyRevoked(self.primary_fingerprint()));
        }
        let direct = details
            .direct_signatures
            .iter()
            .filter(|s| s.typ() == Some(SignatureType::Key) && s.verify_key(key).is_ok());
        let named = details.users.iter().filter_map(|user| {
            let valid =
                user.signatures.iter().filter(|s| s.verify_certification(key, Tag::UserId, &user.id).is_ok());
            // the newest word of the owner about a name decides
            valid.max_by_key(|s| s.created()).filter(|s| s.typ() != Some(SignatureType::CertRevocation))
        });
        direct.chain(named).max_by_key(|s| s.created()).ok_or_else(|| {
            SignatureError::KeyUnfit(self.primary_fingerprint(), "no name on it is signed by itself")
        })
    }

    fn primary_end(&self, governing: &Signature) -> Option<i64> {
        end(self.certificate.created_at().as_secs(), governing)
    }

    /// When this key ends, in seconds since 1970, though it may sign until then: `Err` where it may not, `Ok(None)`
    /// where it has no end.
    pub(crate) fn end(&self) -> Result<Option<i64>, SignatureError> {
        self.check_fit(i64::MIN)?;
        let primary = self.primary_end(self.governing()?);
        let Some(subkey) = self.subkey else { return Ok(primary) };
        let own = end(subkey.key.created_at().as_secs(), self.binding(subkey)?);
        Ok([primary, own].into_iter().flatten().min())
    }

    fn check_subkey(&self, subkey: &SignedPublicSubKey, now: i64) -> Result<(), SignatureError> {
        let end = end(subkey.key.created_at().as_secs(), self.binding(subkey)?);
        check_expiry(&self.fingerprint(), end, now)
    }

    /// The signature by which the primary key vouches for a subkey that may sign.
    fn binding(&self, subkey: &'a SignedPublicSubKey) -> Result<&'a Signature, SignatureError> {
        let primary = &self.certificate.primary_key;
        let unfit = |why| SignatureError::KeyUnfit(self.fingerprint(), why);
        let valid: Vec<&Signature> = subkey
            .signatures
            .iter()
            .filter(|s| s.verify_subkey_binding(primary, &subkey.key).is_ok())
            .collect();
        if valid.iter().any(|s| s.typ() == Some(SignatureType::SubkeyRevocation)) {
            return Err(SignatureError::KeyRevoked(self.fingerprint()));
        }
        let binding = valid
            .into_iter()
            .filter(|s| s.typ() == Some(SignatureType::SubkeyBinding))
            .max_by_key(|s| s.created())
            .ok_or_else(|| unfit("its primary key does not vouch for it"))?;
        if !binding.key_flags().sign() {
            return Err(unfit("it was not made for signing"));
        }
        // without the subkey's own word anybody could adopt somebody else's signing key
        let agrees = binding
            .embedded_signature()
            .is_some_and(|s| s.verify_primary_key_binding(&subkey.key, primary).is_ok());
        if !agrees {
            return Err(unfit("it does not vouch for its primary key"));
        }
        Ok(binding)
    }
}

/// When a key made at `created` ends by this signature of its owner's; zero means never (RFC 9580, 5.2.3.13).
fn end(created: u32, governing: &Signature) -> Option<i64> {
    let lasts = governing.key_expiration_time().map_or(0, |d| i64::from(d.as_secs()));
    (lasts > 0).then(|| i64::from(created) + lasts)
}

fn check_expiry(key: &str, end: Option<i64>, now: i64) -> Result<(), SignatureError> {
    match end {
        Some(end) if end <= now => Err(SignatureError::KeyExpired { key: key.to_owned(), on: date(end) }),
        _ => Ok(()),
    }
}

fn has_flags(signature: &Signature) -> bool {
    signature
        .config()
        .is_some_and(|c| c.hashed_subpackets().any(|s| matches!(s.data, SubpacketData::KeyFlags(_))))
}

//! Signatures in minisign's form (jedisct1.github.io/minisign), so that whoever has minisign can check them, too:
//! Ed25519 over the BLAKE2b-512 of the file, and over that signature with a comment.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest as _};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::error::{Classified, ErrorClass};

/// Ed25519, as keys have it.
const PLAIN: [u8; 2] = *b"Ed";
/// The same over a hash of the file, as signatures have it.
const HASHED: [u8; 2] = *b"ED";
/// BLAKE2b, by which a secret key is checked.
const CHECKED_BY: [u8; 2] = *b"B2";

const ID: usize = 8;
const SEED: usize = 32;
const PUBLIC: usize = 32;
const SIGNED: usize = 64;
/// What a secret key without a password has in the place of how that is hashed: no algorithm, and neither salt (32
/// bytes) nor limits (twice 8).
const NO_PASSWORD: [u8; 2] = [0; 2];
const NO_SALT: [u8; 32 + 8 + 8] = [0; 48];

const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// A text that is no key or no signature of minisign's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not {what} of minisign's form")]
pub struct InvalidSignature {
    what: &'static str,
}

impl Classified for InvalidSignature {
    fn class(&self) -> ErrorClass {
        ErrorClass::Verification
    }
}

const NO_KEY: InvalidSignature = InvalidSignature { what: "a key" };
const NO_SIGNATURE: InvalidSignature = InvalidSignature { what: "a signature" };

/// Tells keys apart; no proof of anything.
type KeyId = [u8; ID];

/// As minisign shows it: the number that the bytes are in little-endian.
fn shown(id: &KeyId) -> String {
    format!("{:016X}", u64::from_le_bytes(*id))
}

/// What signatures are checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    id: KeyId,
    key: [u8; PUBLIC],
}

impl PublicKey {
    /// What minisign calls it, to tell it from others.
    #[must_use]
    pub fn id(&self) -> String {
        shown(&self.id)
    }
}

/// One line, as `minisign -P` takes it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode([&PLAIN[..], &self.id, &self.key].concat()))
    }
}

impl FromStr for PublicKey {
    type Err = InvalidSignature;

    /// One line, or all of a file of minisign's.
    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(UNTRUSTED));
        let bytes = BASE64_STANDARD.decode(line.unwrap_or_default()).map_err(|_| NO_KEY)?;
        let (algorithm, rest) = bytes.split_first_chunk::<2>().ok_or(NO_KEY)?;
        let (id, key) = rest.split_first_chunk().ok_or(NO_KEY)?;
        let key = key.try_into().map_err(|_| NO_KEY)?;
        if *algorithm == PLAIN { Ok(Self { id: *id, key }) } else { Err(NO_KEY) }
    }
}

/// What signs.
pub struct SigningKey {
    public: PublicKey,
    pair: Ed25519KeyPair,
}

/// Shows nothing of it but its name.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.id()).finish()
    }
}

impl SigningKey {
    /// A new one as a text, as `minisign -G -W` makes it: without a password, so it is kept where nobody else reads.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn make() -> Result<String, getrandom::Error> {
        let (mut id, mut seed) = ([0; ID], [0; SEED]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut seed)?;
        // of 32 bytes there is always a pair
        let public =
            Ed25519KeyPair::from_seed_unchecked(&seed).map(|pair| pair.public_key().as_ref().to_vec());
        let secret = [&seed[..], &public.unwrap_or_default()].concat();
        let bytes = [&PLAIN[..], &NO_PASSWORD, &CHECKED_BY, &NO_SALT, &id, &secret];
        let whole = [&bytes.concat()[..], &checksum(&id, &secret)].concat();
        Ok(format!("{UNTRUSTED}minisign secret key {}\n{}\n", shown(&id), BASE64_STANDARD.encode(whole)))
    }

    /// What others check with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// A signature of `content`, as a text. `comment` is one line that is signed, too.
    #[must_use]
    pub fn sign(&self, content: &[u8], comment: &str) -> String {
        let signed = self.pair.sign(&Blake2b512::digest(content));
        let whole = [signed.as_ref(), comment.as_bytes()].concat();
        let both = self.pair.sign(&whole);
        let first = BASE64_STANDARD.encode([&HASHED[..], &self.public.id, signed.as_ref()].concat());
        let second = BASE64_STANDARD.encode(both.as_ref());
        let id = self.public.id();
        format!("{UNTRUSTED}signature by pibake, key {id}\n{first}\n{TRUSTED}{comment}\n{second}\n")
    }
}

fn checksum(id: &KeyId, secret: &[u8]) -> Vec<u8> {
    let mut hasher = Blake2b::<U32>::new();
    hasher.update(PLAIN);
    hasher.update(id);
    hasher.update(secret);
    hasher.finalize().to_vec()
}

impl FromStr for SigningKey {
    type Err = InvalidSignature;

    /// As [`Self::make`] gives it.
    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        let line = text.lines().find(|line| !line.starts_with(UNTRUSTED)).unwrap_or_default();
        let bytes = BASE64_STANDARD.decode(line.trim()).map_err(|_| NO_KEY)?;
        let (head, rest) = bytes.split_at_checked(2 + 2 + 2 + NO_SALT.len()).ok_or(NO_KEY)?;
        let (id, rest) = rest.split_first_chunk().ok_or(NO_KEY)?;
        let (secret, sum) = rest.split_at_checked(SEED + PUBLIC).ok_or(NO_KEY)?;
        let is_plain = head.get(..2) == Some(&PLAIN[..]) && head.get(2..4) == Some(&NO_PASSWORD[..]);
        if !is_plain || *sum != *checksum(id, secret) {
            return Err(NO_KEY);
        }
        let (seed, public) = secret.split_at_checked(SEED).ok_or(NO_KEY)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| NO_KEY)?;
        let key = public.try_into().map_err(|_| NO_KEY)?;
        Ok(Self { public: PublicKey { id: *id, key }, pair })
    }
}

/// What was read of a signature.
struct Signature<'a> {
    algorithm: [u8; 2],
    id: KeyId,
    signed: [u8; SIGNED],
    comment: &'a str,
    both: Vec<u8>,
}

impl<'a> Signature<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next()?.strip_prefix(UNTRUSTED)?;
        let bytes = BASE64_STANDARD.decode(lines.next()?.trim()).ok()?;
        let (algorithm, rest) = bytes.split_first_chunk()?;
        let (id, signed) = rest.split_first_chunk()?;
        let comment = lines.next()?.strip_prefix(TRUSTED)?;
        let both = BASE64_STANDARD.decode(lines.next()?.trim()).ok()?;
        let signed = signed.try_into().ok()?;
        Some(Self { algorithm: *algorithm, id: *id, signed, comment, both })
    }
}

/// Which of `keys` signed `content` by `signature`; `None` where none of them did.
///
/// # Errors
/// [`InvalidSignature`] for what is no signature.
pub(super) fn signer<'k>(
    content: &[u8],
    signature: &str,
    keys: &'k [PublicKey],
) -> Result<Option<&'k PublicKey>, InvalidSignature> {
    let signature = Signature::read(signature).ok_or(NO_SIGNATURE)?;
    let hash = Blake2b512::digest(content);
    let message = match signature.algorithm {
        HASHED => &hash[..],
        PLAIN => content,
        _ => return Err(NO_SIGNATURE),
    };
    let with_comment = [&signature.signed[..], signature.comment.as_bytes()].concat();
    Ok(keys.iter().filter(|key| key.id == signature.id).find(|key| {
        let key = UnparsedPublicKey::new(&ED25519, key.key);
        key.verify(message, &signature.signed).is_ok() && key.verify(&with_comment, &signature.both).is_ok()
    }))
}

/// What the key is called that a signature says it was made with.
pub(super) fn claimed(signature: &str) -> Option<String> {
    Some(shown(&Signature::read(signature)?.id))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::make().unwrap().parse().unwrap()
    }

    #[test]
    fn what_was_signed_is_known_and_nothing_else_is() {
        let (own, other) = (key(), key());
        let keys = [other.public(), own.public()];
        let signature = own.sign(b"content", "fleet x");
        let by = |content: &[u8], text: &str| signer(content, text, &keys).unwrap().map(PublicKey::id);
        assert_eq!(by(b"content", &signature), Some(keys[1].id()));
        assert_eq!(by(b"other", &signature), None);
        assert_eq!(by(b"content", &signature.replace("fleet x", "fleet y")), None);
        assert_eq!(signer(b"content", &signature, &keys[..1]).unwrap(), None);
        assert_eq!(claimed(&signature), Some(keys[1].id()));
        for bad in ["", "untrusted comment: x\n", &signature[..signature.len() / 2]] {
            signer(b"content", bad, &keys).unwrap_err();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        /// A signature of which one byte is another, or that is none at all, is of nobody.
        #[test]
        fn no_signature_is_too_odd(text in any::<String>(), at in any::<Index>(), byte in any::<u8>()) {
            static KEY: LazyLock<(PublicKey, String)> = LazyLock::new(|| {
                let key = key();
                (key.public(), key.sign(b"content", "fleet x"))
            });
            let (public, right) = &*KEY;
            let by = |text: &str| signer(b"content", text, std::slice::from_ref(public));
            prop_assert!(!matches!(by(&text), Ok(Some(_))));
            prop_assert_eq!(by(right), Ok(Some(public)));
            let mut bytes = right.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // but for the first line, which nothing vouches for
            let second = right.find('\n').unwrap_or_default();
            if let Ok(changed) = String::from_utf8(bytes)
                && at > second
                && changed.trim_end() != right.trim_end()
            {
                prop_assert!(!matches!(by(&changed), Ok(Some(_))), "{changed}");
            }
        }
    }

    #[test]
    fn keys_are_what_they_were_written_as() {
        let text = SigningKey::make().unwrap();
        let key: SigningKey = text.parse().unwrap();
        let public = key.public();
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        let file = format!("untrusted comment: minisign public key\n{public}\n");
        assert_eq!(file.parse::<PublicKey>().unwrap(), public);
        assert!(public.to_string().starts_with("RW"), "{public}");
        assert!(!format!("{key:?}").contains(text.lines().nth(1).unwrap()));
        let mut damaged = text.clone();
        let at = damaged.len() - 20;
        damaged.replace_range(at..=at, if &text[at..=at] == "A" { "B" } else { "A" });
        for bad in ["", "RWQ", &damaged, &public.to_string()] {
            assert!(bad.parse::<SigningKey>().is_err(), "{bad}");
        }
        for bad in ["", "RWQ", &text] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }
}

//! Bootstrap tokens.

use super::Error;
use crate::cluster::Secret;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A bootstrap token, `[a-z0-9]{6}\.[a-z0-9]{16}`
/// (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens).
pub(super) fn make() -> Result<Secret, Error> {
    let mut text = String::with_capacity(23);
    while text.len() < 23 {
        if text.len() == 6 {
            text.push('.');
        }
        let mut byte = [0];
        getrandom::fill(&mut byte)?;
        // 252 is the largest multiple of 36 that fits: above it, letters would not be equally likely.
        if byte[0] < 252 {
            text.extend(ALPHABET.get(usize::from(byte[0] % 36)).map(|b| char::from(*b)));
        }
    }
    Ok(Secret::new(text))
}

/// Whether a text has the form of a token.
pub(super) fn is_token(text: &str) -> bool {
    let good = |part: &str, len| part.len() == len && part.bytes().all(|b| ALPHABET.contains(&b));
    text.split_once('.').is_some_and(|(id, secret)| good(id, 6) && good(secret, 16))
}

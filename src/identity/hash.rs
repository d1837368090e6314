//! What stands on a card in place of a password.

use md4::Md4;
use pbkdf2::pbkdf2_hmac_array;
use sha_crypt::{PasswordHasher, ShaCrypt};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Identity;
use crate::cluster::{Access, Password, Secret, Wifi, WifiKey};

/// The pre-shared key of a radio network, 64 hex digits; `None` for one that has none. From a
/// passphrase it is made as IEEE 802.11 says: PBKDF2 with HMAC-SHA-1, the network's name as salt,
/// 4096 rounds, 256 bits.
#[must_use]
pub fn wifi_psk(wifi: &Wifi) -> Option<Secret> {
    match &wifi.key {
        WifiKey::Open | WifiKey::Enterprise(_) => None,
        WifiKey::Psk(psk) => Some(psk.clone()),
        WifiKey::Passphrase(passphrase) => {
            let key: [u8; 32] =
                pbkdf2_hmac_array::<Sha1, 32>(passphrase.reveal().as_bytes(), wifi.ssid.as_bytes(), 4096);
            Some(Secret::new(hex::encode(key)))
        }
    }
}

/// What MSCHAPv2 is done with instead of the password, in hex: the MD4 digest of its UTF-16 (RFC 2759, 8.3). Who has it
/// can log in as with the password, but does not know that.
#[must_use]
pub fn nt_hash(password: &Secret) -> Secret {
    let utf16: Vec<u8> = password.reveal().encode_utf16().flat_map(u16::to_le_bytes).collect();
    Secret::new(hex::encode(Md4::digest(utf16)))
}

impl Identity {
    /// The login's password as crypt(3) keeps it; `None` where there is none. The salt follows
    /// from the identity and the user, so that the same description gives the same bytes.
    #[must_use]
    pub fn password_hash(&self, access: &Access) -> Option<Secret> {
        match access.password.as_ref()? {
            Password::Hash(hash) => Some(hash.clone()),
            Password::Plain(password) => {
                let mut seed = Sha256::new();
                seed.update(self.salt.reveal());
                seed.update(" password of ");
                seed.update(&access.user);
                let digest = seed.finalize();
                // 12 bytes make 16 characters, the longest salt that SHA-crypt looks at.
                let hash =
                    ShaCrypt::SHA512.hash_password_with_salt(password.reveal().as_bytes(), digest.get(..12)?);
                Some(Secret::new(hash.ok()?.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_password_is_that_of_its_utf_16() {
        for (password, hash) in [
            ("clientPass", "44ebba8d5312b8d611474411f56989ae"), // RFC 2759, 9.2
            ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ] {
            assert_eq!(nt_hash(&Secret::new(password)).reveal(), hash);
        }
    }
}

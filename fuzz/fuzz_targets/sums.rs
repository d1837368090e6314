//! Lists of digests, signatures and keys come from the network: no bytes may do worse than an error.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use pibake::base::{Keyring, Sums};

fuzz_target!(|data: &[u8]| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    if let Ok(sums) = Sums::parse(data) {
        assert!(!sums.is_empty());
    }
    // nobody has made a signature of this: whatever verifies is forged
    if let Ok(keyring) = Keyring::ubuntu() {
        assert!(keyring.verify(b"never signed", data, now).is_err());
    }
    // a keyring of the user's own, and a signature, in one input
    let (keys, signature) = data.split_at(data.len() / 2);
    if let Ok(keyring) = Keyring::parse(keys) {
        let _ = keyring.verify(b"never signed", signature, now);
    }
});

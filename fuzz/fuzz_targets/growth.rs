#![no_main]

use pibake_fuzz::{panics, whole};

libfuzzer_sys::fuzz_target!(init: panics::only_our_own(), |data: &[u8]| whole::growth(data));

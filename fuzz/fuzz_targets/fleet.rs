#![no_main]

use pibake_fuzz::checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::fleet(data));

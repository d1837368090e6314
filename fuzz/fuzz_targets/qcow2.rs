#![no_main]

use pibake_fuzz::whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| whole::qcow2(data));

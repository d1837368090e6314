#![no_main]

use pibake_fuzz::text;

libfuzzer_sys::fuzz_target!(|data: &[u8]| text::description(data));

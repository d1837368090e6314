#![no_main]

#[path = "../patch.rs"]
mod patch;
#[path = "../seeds.rs"]
mod seeds;
#[path = "../whole.rs"]
mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| whole::table_patched(data));

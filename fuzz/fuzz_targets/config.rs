#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vmux_fuzz_targets::config(data));

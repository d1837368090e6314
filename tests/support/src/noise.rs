//! Bytes and numbers without a pattern, the same on every run with the same seed.

pub use rand::rngs::SmallRng as Noise;
use rand::{Rng, SeedableRng};

/// The numbers that follow from `seed`.
pub fn noise(seed: u64) -> Noise {
    Noise::seed_from_u64(seed)
}

/// The first `len` bytes that follow from `seed`.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    fill(&mut noise(seed), len)
}

/// The next `len` bytes.
pub fn fill(noise: &mut Noise, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    noise.fill_bytes(&mut bytes);
    bytes
}

//! The chance of a run: splitmix64, so that a seed means the same for ever.

use std::sync::LazyLock;

use bytes::Bytes;

/// Messages are cut out of these bytes, so that large ones cost nothing to make.
static POOL: LazyLock<Bytes> = LazyLock::new(|| {
    let mut chance = Chance::new(0x5eed);
    (0..POOL_BYTES / 8).flat_map(|_| chance.next().to_le_bytes()).collect()
});
const POOL_BYTES: u64 = 512 * 1024;

/// A generator of pseudo-random numbers.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `least..=most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    pub(super) fn bytes(&mut self, count: u64) -> Bytes {
        let begin = self.below(POOL_BYTES - count) as usize;
        POOL.slice(begin..begin + count as usize)
    }

    pub(super) fn id(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

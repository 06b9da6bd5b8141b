//! Hashing that can be repeated.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Hashes with the system's seed as the key. The same seed goes through a map in the same order, which
/// decides, for one, who goes dormant in a crowd; and who does not know it cannot aim at a bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeded(pub(crate) u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let hash = |seed| Seeded(seed).hash_one("a name");
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}

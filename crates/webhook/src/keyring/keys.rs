//! Which key signs, and which are published, at a moment. Pure: times are handed in.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper::Timestamp;

use super::key::{SEED_BYTES, SigningKey};

/// How long before it signs anything a new key is published: as long as the key set may be cached.
pub const PUBLISH_AHEAD: Duration = Duration::from_secs(300);

/// How long after its last signature a replaced key stays published.
///
/// Receivers should refuse what was signed more than five minutes ago (PROTOCOL.md section 7.1); this is
/// twice that, for clocks that disagree and deliveries under way.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(600);

/// The keys of a server. There is always one that signs.
#[derive(Clone)]
pub(super) struct Keys {
    /// What signs callback and claim tokens.
    pub(super) token: [u8; SEED_BYTES],
    /// Oldest first: each signs until the next takes over.
    pub(super) signing: Vec<Arc<SigningKey>>,
}

impl Keys {
    /// The key that signs now: the latest whose time has come.
    ///
    /// `None` only without any key; a clock before the first one's time does not leave us without.
    pub(super) fn active(&self, now: Timestamp) -> Option<&Arc<SigningKey>> {
        let come = self.signing.iter().rev().find(|key| key.active_from <= now);
        come.or(self.signing.first())
    }

    /// The keys whose signatures a receiver may have to verify now or soon.
    pub(super) fn published(&self, now: Timestamp) -> impl Iterator<Item = &Arc<SigningKey>> {
        let successors = self.signing.iter().skip(1).map(Some).chain([None]);
        let keys = self.signing.iter().zip(successors);
        let lasts = move |next: Option<&Arc<SigningKey>>| {
            next.is_none_or(|next| now < later(next.active_from, REPLAY_WINDOW))
        };
        keys.filter(move |(_, next)| lasts(*next)).map(|(key, _)| key)
    }

    /// Whether the latest key has lived for `lifetime`, so that its successor should be published.
    pub(super) fn is_due(&self, lifetime: Duration, now: Timestamp) -> bool {
        let last = self.signing.last();
        last.is_some_and(|last| later(last.active_from, lifetime) <= later(now, PUBLISH_AHEAD))
    }

    /// These keys and one more that takes over after [`PUBLISH_AHEAD`]; those of the past are left out.
    pub(super) fn rotated(&self, seed: [u8; SEED_BYTES], now: Timestamp) -> Option<Self> {
        let mut signing: Vec<_> = self.published(now).cloned().collect();
        // A clock that went back does not put it before the others.
        let last = signing.last().map_or(now, |last| last.active_from);
        let next = SigningKey::from_seed(seed, later(now, PUBLISH_AHEAD).max(last))?;
        signing.push(Arc::new(next));
        Some(Self { token: self.token, signing })
    }
}

/// A moment and a while after it.
fn later(moment: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(moment.as_millis().saturating_add(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn first() -> Keys {
        let key = SigningKey::from_seed([1; 32], at(100)).unwrap();
        Keys { token: [0; 32], signing: vec![Arc::new(key)] }
    }

    fn published(keys: &Keys, now: Timestamp) -> Vec<&str> {
        keys.published(now).map(|key| key.kid()).collect()
    }

    #[test]
    fn a_new_key_is_published_first_and_the_old_one_as_long_as_it_may_be_needed() {
        let keys = first().rotated([2; 32], at(200)).unwrap();
        let [old, new] = [keys.signing[0].kid(), keys.signing[1].kid()];
        assert_ne!(old, new);
        // Minute, who signs, who is published.
        let cases = [
            (200, old, vec![old, new]),
            (204, old, vec![old, new]),
            (205, new, vec![old, new]),
            (214, new, vec![old, new]),
            (215, new, vec![new]),
        ];
        for (minute, active, known) in cases {
            assert_eq!(keys.active(at(minute)).unwrap().kid(), active, "{minute}");
            assert_eq!(published(&keys, at(minute)), known, "{minute}");
        }
    }

    #[test]
    fn a_key_is_due_early_enough_for_its_successor_to_be_published() {
        let hour = Duration::from_secs(3600);
        assert!(!first().is_due(hour, at(154)));
        assert!(first().is_due(hour, at(155)));
        let rotated = first().rotated([2; 32], at(155)).unwrap();
        assert!(!rotated.is_due(hour, at(156)));
    }

    #[test]
    fn a_clock_that_went_back_still_finds_a_key() {
        assert!(first().active(at(0)).is_some());
        assert_eq!(published(&first(), at(0)).len(), 1);
    }

    #[test]
    fn keys_of_the_past_are_dropped_at_a_rotation() {
        let keys = first().rotated([2; 32], at(200)).unwrap().rotated([3; 32], at(300)).unwrap();
        assert_eq!(keys.signing.len(), 2);
    }
}

//! When a stream was last used, noted by readers without a message to its actor.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use streamkeeper_protocol::Timestamp;
use streamkeeper_protocol::stream::{Expiry, StreamState};

/// The last use of a stream with a TTL.
///
/// Each read moves it, in memory. It is recorded when the recorded time lags by more than a tenth of
/// the TTL ([`step`]), so that reading costs few writes; after a restart the lag is added back
/// ([`recovered`]), so that a stream never ends earlier than it would have.
#[derive(Debug)]
pub(crate) struct Touch {
    latest: AtomicI64,
    recorded: AtomicI64,
}

/// How far the recorded time of last use may lag.
fn step(expiry: Expiry) -> Option<Duration> {
    match expiry {
        Expiry::Ttl(ttl) => {
            let tenth = ttl.duration() / 10;
            Some(tenth.clamp(Duration::from_millis(50), Duration::from_secs(3600)))
        }
        Expiry::Never | Expiry::At(_) => None,
    }
}

/// The last use that a stream's records admit: at most a step later than they tell.
fn recovered(recorded: Timestamp, expiry: Expiry, now: Timestamp) -> Timestamp {
    let step = step(expiry).unwrap_or_default();
    // Twice, because the record of the last step may have been in flight.
    recorded.plus(2 * step).min(now).max(recorded)
}

impl Default for Touch {
    /// Never used.
    fn default() -> Self {
        Self { latest: AtomicI64::new(i64::MIN), recorded: AtomicI64::new(i64::MIN) }
    }
}

impl Touch {
    /// Of a stream whose last use nobody noted but its records.
    pub(crate) fn recovered(state: &StreamState, now: Timestamp) -> Self {
        let touch = Self::default();
        touch.recover(state, now);
        touch
    }

    /// Takes up what records tell of the last use; more than they tell may be known already.
    pub(crate) fn recover(&self, state: &StreamState, now: Timestamp) {
        let recorded = state.touched_at;
        let latest = match self.latest.load(Ordering::Acquire) {
            i64::MIN => recovered(recorded, state.config.expiry, now),
            _ => recorded,
        };
        self.latest.fetch_max(latest.as_millis(), Ordering::AcqRel);
        self.recorded.store(recorded.as_millis(), Ordering::Release);
    }

    #[cfg(test)]
    fn new(at: Timestamp) -> Self {
        let touch = Self::default();
        touch.reset(at);
        touch
    }

    pub(crate) fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest.load(Ordering::Acquire))
    }

    /// Notes a use. Returns whether it is time to record one; tells so to one caller only.
    pub(crate) fn note(&self, now: Timestamp, expiry: Expiry) -> bool {
        let Some(step) = step(expiry) else { return false };
        self.latest.fetch_max(now.as_millis(), Ordering::AcqRel);
        let recorded = self.recorded.load(Ordering::Acquire);
        let due = now.since(Timestamp::from_millis(recorded)) > step;
        due && self
            .recorded
            .compare_exchange(recorded, now.as_millis(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Notes a use that a record tells.
    pub(crate) fn record(&self, at: Timestamp) {
        self.latest.fetch_max(at.as_millis(), Ordering::AcqRel);
        self.recorded.fetch_max(at.as_millis(), Ordering::AcqRel);
    }

    /// Begins anew with another life of the stream.
    pub(crate) fn reset(&self, at: Timestamp) {
        self.latest.store(at.as_millis(), Ordering::Release);
        self.recorded.store(at.as_millis(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper_protocol::Ttl;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn reads_move_the_last_use_and_record_it_now_and_then() {
        let ttl = Expiry::Ttl(Ttl::parse(b"10").unwrap());
        let touch = Touch::new(at(0));
        let recorded: Vec<i64> =
            (0..=30).map(|i| i * 100).filter(|t| touch.note(at(*t), ttl)).collect();
        assert_eq!(recorded, [1100, 2200]);
        assert_eq!(touch.latest(), at(3000));
        assert!(!touch.note(at(99_999), Expiry::Never));
    }

    #[test]
    fn a_recovered_stream_never_ends_earlier() {
        let ttl = Expiry::Ttl(Ttl::parse(b"10").unwrap());
        let touch = Touch::new(at(0));
        let mut recorded = at(0);
        for now in (0..20_000).step_by(70).map(at) {
            if touch.note(now, ttl) {
                recorded = now;
            }
            assert!(recovered(recorded, ttl, now) >= touch.latest());
            assert!(
                recovered(recorded, ttl, now.plus(Duration::from_secs(60)))
                    <= recorded.plus(Duration::from_secs(2))
            );
        }
    }
}

//! A clock that a test moves, and that counts how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use streamkeeper::{Clock, Timestamp};

/// Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestClock {
    millis: Arc<AtomicI64>,
    asked: Arc<AtomicU64>,
}

impl TestClock {
    /// A clock that shows so many milliseconds.
    pub(crate) fn at(millis: i64) -> Self {
        let clock = Self::default();
        clock.set(millis);
        clock
    }

    pub(crate) fn set(&self, millis: i64) {
        self.millis.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn millis(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }

    /// Moves this clock, and tokio's (which must be paused) with it, so that timers fire.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.jump(duration);
        tokio::time::sleep(duration).await;
    }

    /// Moves this clock only, as if no timer had been quick enough.
    pub(crate) fn jump(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).expect("a short time");
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// How often the time was asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_millis(self.millis())
    }
}

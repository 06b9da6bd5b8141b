//! What retention has done so far, and what it tells of itself.

use std::time::Duration;

use parking_lot::Mutex;
use streamkeeper_protocol::{StreamName, Timestamp};

/// What retention does and has done since the system was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionStatus {
    /// How often the scheduler looks for streams that are due.
    pub interval: Duration,
    /// When it looked last.
    pub last_run: Option<Timestamp>,
    /// How many streams have a policy, as far as they are known: after a start they are gathered in the
    /// background.
    pub streams: usize,
    /// How many streams are due and wait for a worker.
    pub due: usize,
    /// The streams that have a worker.
    pub running: Vec<StreamName>,
    /// How many times something was dropped of a stream.
    pub compactions: u64,
    /// How many messages were dropped. What a fork had inherited is not counted.
    pub dropped_messages: u64,
    /// How many bytes were dropped, in stored form. Forks may keep some of them.
    pub dropped_bytes: u64,
    /// How many workers have failed. Each such stream is tried again at the next look.
    pub failures: u64,
    /// The last one.
    pub last_failure: Option<RetentionFailure>,
}

/// A worker that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionFailure {
    /// The stream that it was to compact.
    pub stream: StreamName,
    /// Why it failed.
    pub cause: String,
    /// When.
    pub at: Timestamp,
}

/// What was dropped of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dropped {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// The figures. They outlive a scheduler that crashes.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Figures>);

#[derive(Debug, Default, Clone)]
pub(super) struct Figures {
    pub(super) last_run: Option<Timestamp>,
    pub(super) compactions: u64,
    pub(super) dropped: Dropped,
    pub(super) failures: u64,
    pub(super) last_failure: Option<RetentionFailure>,
}

impl Ledger {
    pub(super) fn ran(&self, at: Timestamp) {
        self.0.lock().last_run = Some(at);
    }

    /// Notes what became durable.
    pub(crate) fn dropped(&self, dropped: Dropped) {
        let mut figures = self.0.lock();
        figures.compactions += 1;
        figures.dropped.messages += dropped.messages;
        figures.dropped.bytes += dropped.bytes;
    }

    pub(super) fn failed(&self, stream: &StreamName, cause: &str, at: Timestamp) {
        let mut figures = self.0.lock();
        figures.failures += 1;
        figures.last_failure =
            Some(RetentionFailure { stream: stream.clone(), cause: cause.to_owned(), at });
    }

    pub(super) fn figures(&self) -> Figures {
        self.0.lock().clone()
    }
}

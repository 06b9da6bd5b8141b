//! What an actor is busy with, for observers: numbers that it leaves where they can be read.
//!
//! Each side of a mailbox counts on a cache line of its own, and nothing is ordered by these numbers:
//! a request costs one relaxed addition by its caller and plain stores by the actor.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{OnceLock, Weak};

/// The numbers of one incarnation of a stream's actor.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    callers: Callers,
    actor: Worker,
    subscribers: OnceLock<Weak<()>>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Callers {
    sent: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Worker {
    taken: AtomicU64,
    commits: AtomicUsize,
    waiters: AtomicUsize,
}

impl Gauge {
    /// A caller is about to send a request.
    pub(crate) fn sent(&self) {
        self.callers.sent.fetch_add(1, Relaxed);
    }

    /// The mailbox did not take it.
    pub(crate) fn not_sent(&self) {
        self.callers.sent.fetch_sub(1, Relaxed);
    }

    /// The actor takes a request out of its mailbox. Only the actor may call this.
    pub(crate) fn taken(&self) {
        self.actor.taken.store(self.actor.taken.load(Relaxed) + 1, Relaxed);
    }

    /// What waits in the actor. Only the actor may call this.
    pub(crate) fn holds(&self, commits: usize, waiters: usize) {
        self.actor.commits.store(commits, Relaxed);
        self.actor.waiters.store(waiters, Relaxed);
    }

    /// Whose holders, but for one, are subscribers.
    pub(crate) fn subscribers_hold(&self, lease: Weak<()>) {
        // An actor says so once.
        let _ = self.subscribers.set(lease);
    }

    /// Requests in the mailbox.
    pub(crate) fn mailbox(&self) -> u64 {
        let taken = self.actor.taken.load(Relaxed);
        self.callers.sent.load(Relaxed).saturating_sub(taken)
    }

    /// Commits, and answers that wait for them.
    pub(crate) fn commits(&self) -> usize {
        self.actor.commits.load(Relaxed)
    }

    /// Long-polls that wait; some may have given up.
    pub(crate) fn waiters(&self) -> usize {
        self.actor.waiters.load(Relaxed)
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.get().map_or(0, |lease| lease.strong_count().saturating_sub(1))
    }
}

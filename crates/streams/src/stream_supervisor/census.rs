//! How many actors there are, and a coarse clock that tells which of them are in use.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::RwLock;
use ractor::ActorRef;
use tokio::time::Instant;

use crate::dormancy::Message;

/// Counts actors and notes when there are too many.
#[derive(Debug)]
pub(crate) struct Census {
    actors: AtomicUsize,
    limit: usize,
    /// Milliseconds since the beginning, plus one, as of the last look at the actors.
    now: AtomicU32,
    began: Instant,
    /// Somebody was told, and has not looked yet.
    told: AtomicBool,
    whom: RwLock<Option<ActorRef<Message>>>,
}

impl Census {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            actors: AtomicUsize::new(0),
            limit,
            now: AtomicU32::new(1),
            began: Instant::now(),
            told: AtomicBool::new(false),
            whom: RwLock::new(None),
        }
    }

    pub(crate) fn when_crowded(&self, whom: ActorRef<Message>) {
        *self.whom.write() = Some(whom);
        self.told.store(false, Ordering::Release);
    }

    /// The time of the last look.
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Looks at the clock.
    pub(crate) fn tick(&self) -> u32 {
        let millis = self.began.elapsed().as_millis();
        let now = u32::try_from(millis).unwrap_or(u32::MAX).saturating_add(1);
        self.now.fetch_max(now, Ordering::Relaxed).max(now)
    }

    pub(crate) fn one_more(&self) {
        let actors = self.actors.fetch_add(1, Ordering::Relaxed) + 1;
        if actors > self.limit
            && !self.told.swap(true, Ordering::AcqRel)
            && let Some(whom) = &*self.whom.read()
        {
            // One that has just ended is started again and asks anew.
            let _ = whom.cast(Message::Crowded);
        }
    }

    pub(crate) fn fewer(&self, actors: usize) {
        self.actors.fetch_sub(actors, Ordering::Relaxed);
    }

    /// How many actors to let go, with some more so that one need not look again at once.
    pub(crate) fn excess(&self) -> usize {
        self.told.store(false, Ordering::Release);
        let excess = self.actors.load(Ordering::Relaxed).saturating_sub(self.limit);
        excess + self.limit / 16
    }
}

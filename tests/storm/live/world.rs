//! What all clients of a live storm share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use streamkeeper::{ContentType, StreamName, Streamkeeper};

use crate::kit::{Book, Fate, Weather, name};

/// How many streams of each lasting fate there are.
const STREAMS: [(Fate, usize); 7] = [
    (Fate::Calm, 40),
    (Fate::Panics, 8),
    (Fate::Fails, 8),
    (Fate::Killed, 8),
    (Fate::Stops, 4),
    (Fate::Doomed, 4),
    (Fate::Cursed, 2),
];

/// What all clients share.
pub(super) struct World {
    pub(super) keeper: Streamkeeper,
    pub(super) weather: Arc<Weather>,
    pub(super) book: Book,
    /// The streams that last from the beginning to the end of the storm.
    pub(super) streams: Vec<(Fate, StreamName)>,
    ticks: Arc<AtomicU64>,
    stopped: AtomicBool,
}

impl World {
    pub(super) fn new(
        keeper: Streamkeeper,
        weather: Arc<Weather>,
        book: Book,
        ticks: Arc<AtomicU64>,
    ) -> Arc<Self> {
        let of = |(fate, count): (Fate, usize)| {
            (0..count).map(move |i| (fate, name(&format!("{}/{i}", fate.prefix()))))
        };
        let streams = STREAMS.into_iter().flat_map(of).collect();
        Arc::new(Self { keeper, weather, book, streams, ticks, stopped: AtomicBool::new(false) })
    }

    /// The next tick of the common count.
    pub(super) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Clients come to their end from now on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

pub(super) fn text() -> Option<ContentType> {
    ContentType::parse("text/plain").ok()
}

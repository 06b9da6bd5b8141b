//! What all clients of a live storm share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streamkeeper::{ContentType, StreamName, Streamkeeper};
use tokio::time::sleep;

use super::brief;
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
    pub(super) kills: AtomicU64,
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
        let (stopped, kills) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { keeper, weather, book, streams, ticks, stopped, kills })
    }

    /// Kills actors of those streams whose fate it is, until the storm is over.
    pub(super) async fn kill(self: Arc<Self>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let lasting = self.streams.iter().filter(|(fate, _)| *fate == Fate::Killed);
        let victims: Vec<StreamName> = lasting
            .map(|(_, name)| name.clone())
            // The others have time to go dormant.
            .chain(brief::names().into_iter().step_by(2).map(|(name, _)| name))
            .collect();
        while !self.is_stopped() {
            let victim = &victims[rng.random_range(0..victims.len())];
            self.kills.fetch_add(u64::from(self.keeper.kill(victim)), Ordering::Relaxed);
            sleep(Duration::from_millis(rng.random_range(5..60))).await;
        }
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

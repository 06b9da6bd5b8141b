//! Readers: each reads one stream in its own way, until it has seen the end of it.

use std::sync::Arc;
use std::time::Duration;

use crc32c::crc32c_append;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streamkeeper::{Offset, Page, ReadError, ReadFrom, Unavailable};
use tokio::time::{sleep, timeout};

use super::world::World;
use crate::kit::Fate;

/// Pages are small, so that there are many.
const PAGE: u64 = 16 << 10;

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    CatchUp,
    LongPoll,
    Subscription,
}

/// A page that was read: where it begins and ends, and a checksum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) sum: u32,
}

/// A reader.
pub(super) struct Reader {
    world: Arc<World>,
    rng: SmallRng,
    way: Way,
    pub(super) stream: usize,
    at: u64,
    pub(super) closed: bool,
    pub(super) seen: Vec<Seen>,
    pub(super) errors: u64,
}

impl Reader {
    pub(super) fn new(world: &Arc<World>, id: usize, seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed.wrapping_mul(2_000_003).wrapping_add(id as u64));
        let streams = world.streams.len();
        Self {
            world: world.clone(),
            rng,
            way: [Way::CatchUp, Way::LongPoll, Way::Subscription][(id + id / streams) % 3],
            stream: id % streams,
            at: 0,
            closed: false,
            seen: Vec::new(),
            errors: 0,
        }
    }

    /// Reads until the stream is closed.
    pub(super) async fn run(mut self) -> Self {
        while !self.closed {
            let read = match self.way {
                Way::CatchUp => self.catch_up().await,
                Way::LongPoll => self.long_poll().await,
                Way::Subscription => self.subscribe().await,
            };
            if let Err(error) = read {
                self.failed(&error).await;
            }
        }
        self
    }

    async fn catch_up(&mut self) -> Result<(), ReadError> {
        let name = &self.world.streams[self.stream].1;
        let page = self.world.keeper.read(name, self.from(), PAGE).await?;
        let at_tail = page.up_to_date;
        self.note(&page);
        if at_tail && !self.closed {
            sleep(Duration::from_millis(self.rng.random_range(1..30))).await;
            if self.rng.random_ratio(1, 8) && !self.world.is_stopped() {
                // Once more, from somewhere in the past.
                self.at = self.seen[self.rng.random_range(0..self.seen.len())].start;
            }
        }
        Ok(())
    }

    async fn long_poll(&mut self) -> Result<(), ReadError> {
        let name = &self.world.streams[self.stream].1;
        let wait = Duration::from_millis(self.rng.random_range(1..500));
        let page = self.world.keeper.read_live(name, self.from(), PAGE, wait).await?;
        self.note(&page);
        Ok(())
    }

    async fn subscribe(&mut self) -> Result<(), ReadError> {
        let name = &self.world.streams[self.stream].1;
        let mut subscription = self.world.keeper.subscribe(name, self.from(), PAGE).await?;
        let pages = self.rng.random_range(1..2_000);
        for _ in 0..pages {
            // It is cancel safe: what is not waited for is not lost.
            let wait = Duration::from_millis(self.rng.random_range(1..1_000));
            let Ok(page) = timeout(wait, subscription.next()).await else { continue };
            let Some(page) = page? else { break };
            self.note(&page);
        }
        Ok(())
    }

    fn from(&self) -> ReadFrom {
        ReadFrom::At(Offset::new(self.at))
    }

    fn note(&mut self, page: &Page) {
        let name = &self.world.streams[self.stream].1;
        let (start, end) = (page.start.position(), page.next_offset.position());
        assert_eq!(start, self.at, "{name}: a page begins elsewhere");
        assert_eq!(end - start, page.size() as u64, "{name}: a page ends elsewhere");
        let sum = page.payloads().iter().fold(0, |sum, payload| crc32c_append(sum, payload));
        if end > start || self.seen.is_empty() {
            self.seen.push(Seen { start, end, sum });
        }
        self.at = end;
        self.closed = page.closed;
    }

    async fn failed(&mut self, error: &ReadError) {
        let (fate, name) = &self.world.streams[self.stream];
        let expected = match error {
            ReadError::Unavailable(Unavailable::Quarantined { .. }) => fate.is_quarantined(),
            ReadError::Unavailable(Unavailable::Restarting | Unavailable::Storage(_)) => {
                *fate != Fate::Calm
            }
            _ => false,
        };
        assert!(expected, "a {:?} of {name}: {error:?}", self.way);
        self.errors += 1;
        sleep(Duration::from_millis(self.rng.random_range(1..20))).await;
    }
}

//! Writers: each appends to a few streams, and writes down what it was told.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streamkeeper::storage::StorageError;
use streamkeeper::{AppendError, AppendRequest, Outcome, Producer, Unavailable};
use streamkeeper_protocol::ProducerId;
use tokio::time::{Instant, sleep};

use super::world::{World, text};
use crate::kit::Fate;

/// How many streams one writer writes to.
const STREAMS: usize = 4;

/// One message, and what its writer was told of it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// The stream's place in the world's list.
    pub(super) stream: usize,
    pub(super) text: String,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It was written, and the stream's tail was this then; not told for a retry.
    Written(Option<u64>),
    /// Nothing was done.
    Refused,
    /// It may have been written.
    Unknown,
}

/// A writer.
pub(super) struct Writer {
    world: Arc<World>,
    id: usize,
    /// Whether it is an idempotent producer, and tries again until it knows.
    idempotent: bool,
    rng: SmallRng,
    lanes: Vec<Lane>,
    count: u64,
    pub(super) sent: Vec<Sent>,
    /// How long appends to calm streams took.
    pub(super) waits: Vec<Duration>,
    pub(super) retries: u64,
}

/// What a writer does to one stream.
struct Lane {
    stream: usize,
    /// The producer's next number.
    seq: u64,
    /// The message whose outcome is open, because the stream went into quarantine.
    open: Option<usize>,
    /// The tail that was told last.
    tail: u64,
}

impl Writer {
    pub(super) fn new(world: &Arc<World>, id: usize, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(id as u64));
        let mut streams: Vec<usize> =
            rand::seq::index::sample(&mut rng, world.streams.len(), STREAMS).into_vec();
        // Together the writers leave no stream out.
        streams[0] = id % world.streams.len();
        streams.sort_unstable();
        streams.dedup();
        let lane = |stream| Lane { stream, seq: 0, open: None, tail: 0 };
        Self {
            world: world.clone(),
            id,
            idempotent: id % 2 == 1,
            rng,
            lanes: streams.into_iter().map(lane).collect(),
            count: 0,
            sent: Vec::new(),
            waits: Vec::new(),
            retries: 0,
        }
    }

    /// Writes until the storm is over.
    pub(super) async fn run(mut self) -> Self {
        while !self.world.is_stopped() {
            let lane = self.rng.random_range(0..self.lanes.len());
            if self.lanes[lane].open.is_none() {
                self.write(lane).await;
            }
            sleep(Duration::from_micros(self.rng.random_range(500..8_000))).await;
        }
        self
    }

    /// Brings what is open to its end, once the weather is calm.
    pub(super) async fn finish(mut self) -> Self {
        for lane in 0..self.lanes.len() {
            if let Some(index) = self.lanes[lane].open.take() {
                self.insist(lane, index, 2).await;
                assert!(self.lanes[lane].open.is_none(), "the quarantine was lifted");
            }
        }
        self
    }

    async fn write(&mut self, lane: usize) {
        let pad = "x".repeat(self.rng.random_range(0..60));
        let text = format!("{}.{}.{pad};", self.id, self.count);
        self.count += 1;
        let stream = self.lanes[lane].stream;
        let begin = self.world.tick();
        let told = Told::Unknown;
        self.sent.push(Sent { stream, text, begin, end: u64::MAX, told });
        let index = self.sent.len() - 1;
        match self.idempotent {
            true => self.insist(lane, index, 1).await,
            false => {
                let began = Instant::now();
                let told = self.attempt(lane, index, 1).await;
                self.told(lane, index, told.0);
                if self.fate(lane) == Fate::Calm {
                    self.waits.push(began.elapsed());
                }
            }
        }
        if self.rng.random_ratio(1, 16) {
            self.read_own_write(lane).await;
        }
    }

    /// Tries, with this attempt as the first, until the message is written, or the stream is in quarantine.
    async fn insist(&mut self, lane: usize, index: usize, first: u32) {
        for attempt in first.. {
            let (told, quarantined) = self.attempt(lane, index, attempt).await;
            if matches!(told, Told::Written(_)) {
                self.lanes[lane].seq += 1;
                return self.told(lane, index, told);
            }
            if quarantined {
                self.lanes[lane].open = Some(index);
                return;
            }
            self.retries += 1;
            sleep(Duration::from_millis(self.rng.random_range(1..20))).await;
        }
    }

    /// Appends once; tells also whether the stream is in quarantine.
    async fn attempt(&mut self, lane: usize, index: usize, attempt: u32) -> (Told, bool) {
        let producer = self.idempotent.then(|| Producer {
            id: ProducerId::parse(format!("writer-{}", self.id).as_bytes()).expect("an id"),
            epoch: 0,
            seq: self.lanes[lane].seq,
        });
        let body = self.sent[index].text.clone().into();
        let request = AppendRequest { content_type: text(), body, producer, ..Default::default() };
        let (fate, name) = self.world.streams[self.lanes[lane].stream].clone();
        match self.world.keeper.append(&name, request).await {
            Ok(appended) if appended.outcome == Outcome::Appended => {
                (Told::Written(Some(appended.next_offset.position())), false)
            }
            Ok(appended) => {
                assert_eq!(appended.outcome, Outcome::Duplicate, "{name}");
                assert!(attempt > 1, "{name}: a duplicate of nothing");
                (Told::Written(None), false)
            }
            Err(AppendError::Unavailable(why)) if fate != Fate::Calm => told(fate, &why),
            Err(error) => panic!("an append to {name}: {error:?}"),
        }
    }

    fn told(&mut self, lane: usize, index: usize, told: Told) {
        if let Told::Written(Some(tail)) = told {
            self.lanes[lane].tail = tail;
        }
        let end = self.world.tick();
        let sent = &mut self.sent[index];
        (sent.told, sent.end) = (told, end);
    }

    /// What was acknowledged can be read at once.
    async fn read_own_write(&self, lane: usize) {
        let (fate, name) = &self.world.streams[self.lanes[lane].stream];
        match self.world.keeper.metadata(name).await {
            Ok(metadata) => {
                let tail = metadata.next_offset.position();
                assert!(tail >= self.lanes[lane].tail, "{name} has lost its tail");
            }
            Err(error) => assert_ne!(*fate, Fate::Calm, "{name}: {error:?}"),
        }
    }

    fn fate(&self, lane: usize) -> Fate {
        self.world.streams[self.lanes[lane].stream].0
    }
}

/// What a failure tells of the message; and whether the stream is in quarantine.
fn told(fate: Fate, why: &Unavailable) -> (Told, bool) {
    match why {
        Unavailable::Quarantined { reason } => {
            assert!(fate.is_quarantined(), "{fate:?} in quarantine: {reason}");
            (Told::Refused, true)
        }
        Unavailable::Restarting => (Told::Refused, false),
        Unavailable::OutcomeUnknown => (Told::Unknown, false),
        Unavailable::Storage(StorageError::Full) => (Told::Refused, false),
        Unavailable::Storage(_) => (Told::Unknown, false),
        Unavailable::Overloaded | Unavailable::ShuttingDown => {
            panic!("{fate:?}: {why}")
        }
    }
}

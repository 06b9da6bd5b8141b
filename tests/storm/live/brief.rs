//! Clients of streams that come and go: everything races with everything, the deadline of a TTL and the
//! end of idle actors included.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streamkeeper::{
    AppendError, AppendRequest, CreateError, CreateRequest, DeleteError, Expiry, ReadError,
    ReadFrom, StreamName,
};
use streamkeeper_protocol::Ttl;
use streamkeeper_protocol::stream::{AppendRejection, CreateRejection};
use tokio::time::sleep;

use super::world::{World, text};
use crate::kit::{Call, Seen, Told, name};

/// The TTL of streams that have one: the shortest that there is.
pub(super) const TTL: Duration = Duration::from_secs(1);

/// More than a brief stream ever holds.
const ALL: u64 = 64 << 20;

/// How many names are without a TTL.
const LASTING: usize = 4;
/// How many names have one.
const EXPIRING: usize = 12;
/// How many clients there are: three for each name without a TTL, two for each with one.
pub(super) const CLIENTS: usize = 3 * LASTING + 2 * EXPIRING;

/// The names of all brief streams, each with the TTL of all its lives.
pub(super) fn names() -> Vec<(StreamName, Option<Duration>)> {
    let lasting = (0..LASTING).map(|i| (name(&format!("brief/{i}")), None));
    let expiring = (0..EXPIRING).map(|i| (name(&format!("brief/ttl/{i}")), Some(TTL)));
    lasting.chain(expiring).collect()
}

/// A client of one name.
pub(super) struct Client {
    world: Arc<World>,
    id: usize,
    rng: SmallRng,
    pub(super) name: StreamName,
    ttl: Option<Duration>,
    pub(super) calls: Vec<Call>,
}

impl Client {
    pub(super) fn new(world: &Arc<World>, id: usize, seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed.wrapping_mul(3_000_017).wrapping_add(id as u64));
        let index = match id {
            id if id < 3 * LASTING => id % LASTING,
            id => LASTING + id % EXPIRING,
        };
        let (name, ttl) = names().swap_remove(index);
        Self { world: world.clone(), id, rng, name, ttl, calls: Vec::new() }
    }

    pub(super) async fn run(mut self) -> Self {
        for i in 0.. {
            if self.world.is_stopped() {
                break;
            }
            let text = format!("{}.{i};", self.id);
            let (begin, at) = (self.world.tick(), self.world.keeper.now().as_millis());
            let told = match self.rng.random_range(0..100) {
                0..20 => self.create(text).await,
                20..60 => self.append(text).await,
                60..68 => self.delete().await,
                _ => self.read().await,
            };
            let (end, until) = (self.world.tick(), self.world.keeper.now().as_millis());
            self.calls.push(Call { begin, end, at, until, told });
            sleep(self.pause()).await;
        }
        self
    }

    /// Mostly short; about as long as an idle actor stays, or as a TTL lasts, now and then.
    fn pause(&mut self) -> Duration {
        let micros = match self.rng.random_range(0..100) {
            0..10 => 50_000..150_000,
            10..30 if self.ttl.is_some() => 900_000..1_300_000,
            _ => 100..10_000,
        };
        Duration::from_micros(self.rng.random_range(micros))
    }

    async fn create(&mut self, content: String) -> Told {
        let closed = self.rng.random_ratio(1, 20);
        let expiry = self.ttl.map_or(Expiry::Never, |ttl| {
            let seconds = ttl.as_secs().to_string();
            Expiry::Ttl(Ttl::parse(seconds.as_bytes()).expect("a TTL"))
        });
        let request = CreateRequest {
            content_type: text(),
            expiry: Some(expiry),
            body: content.clone().into(),
            closed,
            ..Default::default()
        };
        match self.world.keeper.create(&self.name, request).await {
            Ok(created) if created.fresh => {
                Told::Wrote(content, Some(created.next_offset.position()))
            }
            Ok(created) if created.closed => Told::Refused(Some(content), Seen::Closed),
            Ok(_) | Err(CreateError::Rejected(CreateRejection::Conflict(_))) => {
                Told::Refused(Some(content), Seen::Present)
            }
            Err(CreateError::Unavailable(_)) => Told::Unknown(Some(content)),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn append(&mut self, content: String) -> Told {
        let close = self.rng.random_ratio(1, 30);
        let body = content.clone().into();
        let request = AppendRequest { content_type: text(), body, close, ..Default::default() };
        match self.world.keeper.append(&self.name, request).await {
            Ok(appended) => Told::Wrote(content, Some(appended.next_offset.position())),
            Err(AppendError::Rejected(AppendRejection::NotFound)) => {
                Told::Refused(Some(content), Seen::Absent)
            }
            Err(AppendError::Rejected(AppendRejection::Closed { .. })) => {
                Told::Refused(Some(content), Seen::Closed)
            }
            Err(AppendError::Unavailable(_)) => Told::Unknown(Some(content)),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn delete(&mut self) -> Told {
        match self.world.keeper.delete(&self.name).await {
            Ok(()) => Told::Deleted,
            Err(DeleteError::Rejected(_)) => Told::Refused(None, Seen::Absent),
            Err(DeleteError::Unavailable(_)) => Told::Unknown(None),
        }
    }

    async fn read(&mut self) -> Told {
        match self.world.keeper.read(&self.name, ReadFrom::Start, ALL).await {
            Ok(page) => {
                assert!(page.up_to_date, "a brief stream is small");
                let content = page.payloads().concat();
                let content = String::from_utf8(content).expect("texts are read");
                Told::Saw(Seen::Content(content, page.closed))
            }
            Err(ReadError::NotFound) => Told::Saw(Seen::Absent),
            Err(ReadError::Unavailable(_)) => Told::Unknown(None),
            Err(other) => panic!("{other:?}"),
        }
    }
}

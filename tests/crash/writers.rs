//! 64 writers that share streams: plain ones, ones with `Stream-Seq`, and idempotent producers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::client::{Answer, Client, Request};
use crate::message::Message;
use crate::world::{SEQUENCED, SHARED, World, count};

pub(crate) const WRITERS: usize = 64;

/// The server is ending, or something is wrong: nothing more in this cycle.
pub(crate) struct Stop;

/// A writer. It lives through all cycles and keeps what a client would keep.
pub(crate) struct Writer {
    index: usize,
    /// Whether it is an idempotent producer.
    producer: bool,
    streams: Vec<usize>,
    number: u64,
    standings: HashMap<usize, Standing>,
    rng: SmallRng,
}

/// Where a writer stands with one stream.
#[derive(Default)]
struct Standing {
    life: u64,
    epoch: u64,
    next_seq: u64,
    /// Sent, and not answered.
    pending: Option<Pending>,
    /// The last append that was acknowledged.
    last: Option<Pending>,
}

#[derive(Clone)]
struct Pending {
    key: String,
    message: Message,
    epoch: u64,
    seq: u64,
}

impl Writer {
    pub(crate) fn new(index: usize, seed: u64) -> Self {
        // The first ones are alone on a stream with their `Stream-Seq`, but not alone on the stream.
        let streams = match index {
            0..SEQUENCED => vec![index],
            _ => vec![index % SHARED, (index * 7 + 3) % SHARED],
        };
        Self {
            index,
            producer: index >= SEQUENCED && index.is_multiple_of(2),
            streams,
            number: 0,
            standings: HashMap::new(),
            rng: SmallRng::seed_from_u64(seed ^ (index as u64) << 32),
        }
    }

    /// Appends until the server ends.
    pub(crate) async fn run(mut self, world: Arc<World>, address: SocketAddr) -> Self {
        let mut client = Client::new(address);
        while self.step(&world, &mut client).await.is_ok() {
            let pause = Duration::from_millis(self.rng.random_range(0..8));
            tokio::time::sleep(pause).await;
        }
        self
    }

    async fn step(&mut self, world: &World, client: &mut Client) -> Result<(), Stop> {
        let stream = self.streams[self.rng.random_range(0..self.streams.len())];
        let life = world.shared[stream].lock().life;
        let standing = self.standings.entry(stream).or_default();
        if standing.life != life {
            *standing = Standing { life, ..Standing::default() };
        }
        let pending = standing.pending.clone();
        let last = standing.last.clone();
        match (pending, last) {
            (Some(pending), _) => self.resume(world, client, stream, pending).await,
            (None, Some(last)) if self.rng.random_bool(0.05) => {
                self.repeat(world, client, stream, last).await
            }
            _ => {
                let next = self.next(world, stream);
                self.send(world, client, stream, next, "200 (or 204 for a plain append)").await
            }
        }
    }

    fn next(&mut self, world: &World, stream: usize) -> Pending {
        self.number += 1;
        let json = world.shared[stream].lock().json;
        let restarts = self.rng.random_bool(0.02);
        let standing = self.standings.entry(stream).or_default();
        if restarts && standing.next_seq > 0 {
            (standing.epoch, standing.next_seq) = (standing.epoch + 1, 0);
        }
        let (epoch, seq) = (standing.epoch, standing.next_seq);
        let key = format!("{stream}.{}.{}.{}", standing.life, self.index, self.number);
        let message = Message::draw(json, &key, &mut self.rng);
        Pending { key, message, epoch, seq }
    }

    fn request(&self, world: &World, stream: usize, pending: &Pending) -> Request {
        let shared = world.shared[stream].lock();
        let request = Request::new("POST", &shared.name);
        let request = request.body(shared.json, pending.message.body.clone());
        match self.index {
            _ if self.producer => request.producer(self.index, pending.epoch, pending.seq),
            0..SEQUENCED => request.header("Stream-Seq", sequence(&pending.key)),
            _ => request,
        }
    }

    /// Sends an append that is not there yet.
    async fn send(
        &mut self,
        world: &World,
        client: &mut Client,
        stream: usize,
        pending: Pending,
        expected: &str,
    ) -> Result<(), Stop> {
        let request = self.request(world, stream, &pending);
        world.begin(stream, self.index, &pending.key, pending.message.stored.clone());
        self.forget(world, stream);
        let standing = self.standings.entry(stream).or_default();
        standing.pending = Some(pending.clone());
        let answer = self.answer(world, client, stream, &request).await?;
        if answer.status != if self.producer { 200 } else { 204 } {
            world.unexpected(stream, &pending.key, expected, &answer);
            return Err(Stop);
        }
        world.acknowledged(stream, &pending.key, &answer);
        self.settle(world, stream, pending);
        Ok(())
    }

    /// After a crash: the checker has looked whether the append is there, and the server must know.
    async fn resume(
        &mut self,
        world: &World,
        client: &mut Client,
        stream: usize,
        pending: Pending,
    ) -> Result<(), Stop> {
        let there = world.shared[stream].lock().resolved.get(&pending.key).copied();
        if there != Some(true) {
            let retry = self.producer || self.index < SEQUENCED;
            let next = if retry { pending } else { self.next(world, stream) };
            let expected = "200 or 204: the append of unknown outcome is not there";
            return self.send(world, client, stream, next, expected).await;
        }
        if !self.producer && self.index >= SEQUENCED {
            self.settle(world, stream, pending);
            return Ok(());
        }
        self.repeat(world, client, stream, pending).await
    }

    /// Sends once more what is there: it must be recognised.
    async fn repeat(
        &mut self,
        world: &World,
        client: &mut Client,
        stream: usize,
        pending: Pending,
    ) -> Result<(), Stop> {
        let expected = match self.index {
            _ if self.producer => 204,
            0..SEQUENCED => 409,
            _ => return Ok(()),
        };
        let request = self.request(world, stream, &pending);
        let answer = self.answer(world, client, stream, &request).await?;
        if answer.status != expected {
            let expected = format!("{expected}: it is there already");
            world.unexpected(stream, &pending.key, &expected, &answer);
            return Err(Stop);
        }
        count(&world.counts.duplicates_refused);
        self.settle(world, stream, pending);
        Ok(())
    }

    async fn answer(
        &self,
        world: &World,
        client: &mut Client,
        stream: usize,
        request: &Request,
    ) -> Result<Answer, Stop> {
        match client.send(request).await {
            // Refused, or not: the outcome is as unknown as without an answer.
            Ok(answer) if answer.status == 503 && world.is_ending() => {
                count(&world.counts.unknown);
                Err(Stop)
            }
            Ok(answer) => Ok(answer),
            Err(error) => {
                let name = world.shared[stream].lock().name.clone();
                world.broken(&name, &error);
                Err(Stop)
            }
        }
    }

    /// Nothing may be concluded from what was acknowledged before, while there is more in flight.
    fn forget(&self, world: &World, stream: usize) {
        let mut shared = world.shared[stream].lock();
        if self.producer {
            shared.producers.remove(&self.index);
        } else if self.index < SEQUENCED {
            shared.sequence = None;
        }
    }

    fn settle(&mut self, world: &World, stream: usize, pending: Pending) {
        let standing = self.standings.entry(stream).or_default();
        let mut shared = world.shared[stream].lock();
        if self.producer {
            standing.next_seq = pending.seq + 1;
            shared.producers.insert(self.index, (pending.epoch, pending.seq));
        } else if self.index < SEQUENCED {
            shared.sequence = Some(sequence(&pending.key));
        }
        standing.pending = None;
        standing.last = Some(pending);
    }
}

/// The `Stream-Seq` of an append: its number, so written that text sorts as numbers do.
fn sequence(key: &str) -> String {
    let number = key.rsplit('.').next().and_then(|number| number.parse::<u64>().ok());
    format!("{:012}", number.unwrap_or_default())
}

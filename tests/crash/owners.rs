//! Owners of streams of their own: created, deleted and created again; closed; with a TTL.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::client::{Answer, Client, Request, content_type};
use crate::closer::Closer;
use crate::family::Family;
use crate::message::Message;
use crate::solo::{Content, State, Step};
use crate::world::World;
use crate::writers::Stop;

pub(crate) const OWNERS: usize = 18;

/// A client with streams of its own. It lives through all cycles.
pub(crate) struct Owner {
    role: Role,
    desk: Desk,
}

enum Role {
    Phoenix,
    Closer(Closer),
    Mortal(Mortal),
    Family(Family),
}

/// What every owner works with.
pub(crate) struct Desk {
    pub(crate) index: usize,
    pub(crate) json: bool,
    pub(crate) rng: SmallRng,
    /// Counts messages and lives.
    pub(crate) number: u64,
}

impl Owner {
    pub(crate) fn new(index: usize, seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed ^ 0xface ^ (index as u64) << 24);
        let role = match index % 9 {
            0..3 => Role::Phoenix,
            3..5 => Role::Closer(Closer::default()),
            5..7 => Role::Mortal(Mortal { ttl: 1 + (index % 4) as u64, idle_until: None }),
            _ => Role::Family(Family::default()),
        };
        Self { role, desk: Desk { index, json: index % 2 == 1, rng, number: 0 } }
    }

    /// Goes on until the server ends.
    pub(crate) async fn run(mut self, world: Arc<World>, address: SocketAddr) -> Self {
        let mut client = Client::new(address);
        while self.step(&world, &mut client).await.is_ok() {
            let pause = Duration::from_millis(self.desk.rng.random_range(1..12));
            tokio::time::sleep(pause).await;
        }
        self
    }

    /// Goes on for so many steps, and for longer if it waits for something that must happen.
    pub(crate) async fn steps(mut self, world: &World, address: SocketAddr, steps: usize) -> Self {
        let mut client = Client::new(address);
        let mut taken = 0;
        while taken < steps || matches!(&self.role, Role::Family(family) if family.waits()) {
            if self.step(world, &mut client).await.is_err() {
                break;
            }
            taken += 1;
        }
        self
    }

    async fn step(&mut self, world: &World, client: &mut Client) -> Result<(), Stop> {
        match &mut self.role {
            Role::Phoenix => self.desk.phoenix(world, client).await,
            Role::Mortal(mortal) => mortal.step(&mut self.desk, world, client).await,
            Role::Closer(closer) => closer.step(&mut self.desk, world, client).await,
            Role::Family(family) => family.step(&mut self.desk, world, client).await,
        }
    }
}

impl Desk {
    /// The next message. Its key tells the stream's owner, the life, and a number of its own.
    pub(crate) fn message(&mut self, life: u64) -> Message {
        self.number += 1;
        let key = format!("owner{}.{life}.{}", self.index, self.number);
        Message::draw(self.json, &key, &mut self.rng)
    }

    /// Creates a stream with a first message.
    pub(crate) async fn create(
        &mut self,
        world: &World,
        client: &mut Client,
        name: &str,
        ttl: Option<u64>,
    ) -> Result<Answer, Stop> {
        // The number only grows, so it can count lives too.
        let life = self.number + 1;
        let message = self.message(life);
        let mut request = Request::new("PUT", name).body(self.json, message.body);
        world.solo(name, self.json, |solo| solo.begins_life(life));
        if let Some(ttl) = ttl {
            request = request.header("Stream-TTL", ttl);
            world.solo(name, self.json, |solo| solo.expires_after(Duration::from_secs(ttl)));
        }
        let next = State::Live(Content { bytes: message.stored, closed: false });
        self.act(world, client, name, request, 201, next).await
    }

    /// Appends a message, and perhaps closes the stream with it.
    pub(crate) async fn append(
        &mut self,
        world: &World,
        client: &mut Client,
        name: &str,
        now: Content,
    ) -> Result<Answer, Stop> {
        let message = self.message(0);
        let request = Request::new("POST", name).body(self.json, message.body);
        let bytes = [now.bytes, message.stored].concat();
        let end = bytes.len() as u64;
        let next = State::Live(Content { bytes, ..now });
        let answer = self.act(world, client, name, request, 204, next).await?;
        self.ends_at(world, name, &answer, end)?;
        Ok(answer)
    }

    pub(crate) async fn act(
        &self,
        world: &World,
        client: &mut Client,
        name: &str,
        request: Request,
        accept: u16,
        next: State,
    ) -> Result<Answer, Stop> {
        world.act(client, self.json, Step { name, request, accept, next, along: &[] }).await
    }

    pub(crate) fn ends_at(
        &self,
        world: &World,
        name: &str,
        answer: &Answer,
        end: u64,
    ) -> Result<(), Stop> {
        if answer.next_offset() == Some(end) || answer.status == 404 {
            return Ok(());
        }
        let what = format!("told to end at {:?}, ends at {end}", answer.next_offset());
        world.solo(name, self.json, |solo| world.violation(name, &what, solo.lines()));
        Err(Stop)
    }

    /// A request that must be answered so, and change nothing.
    pub(crate) async fn expect(
        &self,
        world: &World,
        client: &mut Client,
        name: &str,
        request: Request,
        status: u16,
    ) -> Result<Answer, Stop> {
        let answer = world.ask(client, name, self.json, &request).await?;
        if answer.status == status {
            return Ok(answer);
        }
        let what = format!("{request:.300?}: expected {status}, got {}", answer.summary());
        world.solo(name, self.json, |solo| world.violation(name, &what, solo.lines()));
        Err(Stop)
    }

    /// A stream that is deleted and created again under the same name.
    async fn phoenix(&mut self, world: &World, client: &mut Client) -> Result<(), Stop> {
        let name = format!("phoenix/{}", self.index);
        let State::Live(now) = world.state(&name, self.json) else {
            return self.create(world, client, &name, None).await.map(drop);
        };
        match self.rng.random_range(0..100) {
            0..15 => {
                let request = Request::new("DELETE", &name);
                self.act(world, client, &name, request, 204, State::Absent).await?;
                let over = self.number + 1;
                world.solo(&name, self.json, |solo| solo.begins_life(over));
            }
            15..25 => world.look(client, &name).await?,
            25..30 => {
                let request = Request::new("PUT", &name);
                let request = request.header("Content-Type", content_type(self.json));
                self.expect(world, client, &name, request, 200).await?;
            }
            _ => drop(self.append(world, client, &name, now).await?),
        }
        Ok(())
    }
}

/// Uses a stream with a TTL now and then, and sometimes leaves it alone until it has ended.
struct Mortal {
    ttl: u64,
    idle_until: Option<Instant>,
}

impl Mortal {
    async fn step(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
    ) -> Result<(), Stop> {
        if self.idle_until.is_some_and(|until| Instant::now() < until) {
            return if world.is_ending() { Err(Stop) } else { Ok(()) };
        }
        let name = format!("mortal/{}", desk.index);
        let ttl = Duration::from_secs(self.ttl);
        let idle = match desk.rng.random_bool(0.04) {
            true => ttl.mul_f64(desk.rng.random_range(0.9..2.0)) + Duration::from_millis(500),
            false => Duration::from_millis(desk.rng.random_range(0..100)),
        };
        self.idle_until = Some(Instant::now() + idle);
        let State::Live(now) = world.state(&name, desk.json) else {
            return desk.create(world, client, &name, Some(self.ttl)).await.map(drop);
        };
        match desk.rng.random_bool(0.5) {
            true => world.look(client, &name).await,
            false => desk.append(world, client, &name, now).await.map(drop),
        }
    }
}

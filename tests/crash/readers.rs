//! Readers: catch-up from where they left off, long-poll and server-sent events. They record what
//! they were shown, because what was shown must never be taken back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::client::{Client, Request, offset, position};
use crate::message::stored;
use crate::solo::Content;
use crate::world::{Lines, SHARED, Shown, World, count};
use crate::writers::Stop;

pub(crate) const READERS: usize = 20;

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    CatchUp,
    LongPoll,
    Sse,
    /// Whole streams that come and go.
    Solo,
}

/// A reader. It remembers its offset through crashes, as a client would.
pub(crate) struct Reader {
    mode: Mode,
    stream: usize,
    life: u64,
    offset: u64,
    rng: SmallRng,
}

impl Reader {
    pub(crate) fn new(index: usize, seed: u64) -> Self {
        let modes = [Mode::CatchUp, Mode::LongPoll, Mode::Sse, Mode::Solo];
        let mut rng = SmallRng::seed_from_u64(seed ^ 0xbeef ^ (index as u64) << 40);
        let stream = rng.random_range(0..SHARED);
        Self { mode: modes[index % modes.len()], stream, life: 0, offset: 0, rng }
    }

    /// Reads until the server ends.
    pub(crate) async fn run(mut self, world: Arc<World>, address: SocketAddr) -> Self {
        let mut client = Client::new(address);
        while self.step(&world, &mut client).await.is_ok() {
            let pause = Duration::from_millis(self.rng.random_range(1..20));
            tokio::time::sleep(pause).await;
        }
        self
    }

    async fn step(&mut self, world: &World, client: &mut Client) -> Result<(), Stop> {
        if self.mode == Mode::Solo {
            return self.solo(world, client).await;
        }
        if self.mode == Mode::CatchUp && self.rng.random_bool(0.2) {
            self.stream = self.rng.random_range(0..SHARED);
            self.offset = 0;
        }
        let (name, json, life) = {
            let shared = world.shared[self.stream].lock();
            (shared.name.clone(), shared.json, shared.life)
        };
        if self.life != life {
            (self.life, self.offset) = (life, 0);
        }
        let read = match self.mode {
            Mode::Sse => self.events(world, client, &name, json).await,
            _ => self.page(world, client, &name, json).await,
        };
        read.map_err(|error| {
            if !world.is_ending() {
                let what = format!("{:?} from {}: {error}", self.mode, self.offset);
                world.violation(&name, &what, &world.shared[self.stream].lock().lines);
            }
            Stop
        })
    }

    async fn page(
        &mut self,
        world: &World,
        client: &mut Client,
        name: &str,
        json: bool,
    ) -> io::Result<()> {
        let live = if self.mode == Mode::LongPoll { "&live=long-poll" } else { "" };
        let target = format!("{name}?offset={}{live}", offset(self.offset));
        let answer = client.send(&Request::get(&target)).await?;
        match answer.status {
            200 => {}
            204 if self.mode == Mode::LongPoll => return Ok(()),
            _ => return Err(io::Error::other(answer.summary())),
        }
        let how = if self.mode == Mode::LongPoll { "long-poll" } else { "catch-up" };
        self.record(world, how, stored(json, &answer.body));
        self.stands_at(answer.next_offset())
    }

    /// One connection of server-sent events, to its end.
    async fn events(
        &mut self,
        world: &World,
        client: &mut Client,
        name: &str,
        json: bool,
    ) -> io::Result<()> {
        let target = format!("{name}?offset={}&live=sse", offset(self.offset));
        let answer = client.begin(&Request::get(&target)).await?;
        if answer.status != 200 {
            return Err(io::Error::other(answer.summary()));
        }
        let mut text = String::new();
        while let Some(chunk) = client.chunk().await? {
            text += std::str::from_utf8(&chunk).map_err(io::Error::other)?;
            while let Some(end) = text.find("\n\n") {
                let rest = text.split_off(end + 2);
                let event = std::mem::replace(&mut text, rest);
                self.event(world, json, &event)?;
            }
        }
        Ok(())
    }

    fn event(&mut self, world: &World, json: bool, event: &str) -> io::Result<()> {
        let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        if event.starts_with("event: control\n") {
            let control: Value = serde_json::from_str(&data)?;
            return self.stands_at(control["streamNextOffset"].as_str().and_then(position));
        }
        let bytes = match json {
            true => stored(true, data.as_bytes()),
            false => STANDARD.decode(data).map_err(io::Error::other)?,
        };
        self.record(world, "sse", bytes);
        Ok(())
    }

    fn record(&mut self, world: &World, how: &'static str, bytes: Vec<u8>) {
        count(&world.counts.pages_shown);
        let from = self.offset;
        self.offset += bytes.len() as u64;
        world.shared[self.stream].lock().shown.push(Shown { how, from, bytes });
    }

    /// What the server says about where a reader stands agrees with what it has sent.
    fn stands_at(&self, said: Option<u64>) -> io::Result<()> {
        match said == Some(self.offset) {
            true => Ok(()),
            false => {
                let what = format!("the reader stands at {}, was told {said:?}", self.offset);
                Err(io::Error::other(what))
            }
        }
    }

    async fn solo(&mut self, world: &World, client: &mut Client) -> Result<(), Stop> {
        let drawn = {
            let solos = world.solos.lock();
            let among = solos.iter().filter(|(name, _)| name.starts_with("phoenix"));
            let among: Vec<_> = among.collect();
            let drawn = among.get(self.rng.random_range(0..among.len().max(1)));
            drawn.map(|(name, solo)| ((*name).clone(), solo.json, solo.min_life()))
        };
        let Some((name, json, min_life)) = drawn else { return Ok(()) };
        match client.send(&Request::get(&format!("{name}?offset=-1"))).await {
            Ok(answer) if answer.status == 200 => {
                count(&world.counts.pages_shown);
                let bytes = stored(json, &answer.body);
                let closed = answer.is_closed();
                world.shown(&name, json, min_life, Content { bytes, closed });
            }
            Ok(answer) if answer.status == 404 => {}
            Ok(_) if world.is_ending() => return Err(Stop),
            Ok(answer) => {
                world.violation(&name, &answer.summary(), &Lines::default());
                return Err(Stop);
            }
            Err(error) => {
                world.broken(&name, &error);
                return Err(Stop);
            }
        }
        Ok(())
    }
}

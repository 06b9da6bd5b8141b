//! Kills the real server again and again under load, and checks that the log kept every promise.
//!
//! A cycle: start the server on the same data, hold what it serves against all that its clients were
//! told ([`checker`]), let 64 writers, owners of streams and readers loose on it, and end it at a
//! random moment. Nobody waits for anybody, so a crash finds appends, creations, closings, forks and
//! deletions in flight.
//!
//! | variable | |
//! |---|---|
//! | `STREAMKEEPER_CRASH_CYCLES` | how many cycles (default 12) |
//! | `STREAMKEEPER_CRASH_SEED` | what is drawn; moments are not reproduced, so repeat it a few times |
//! | `STREAMKEEPER_BIN` | another executable to test |
#![allow(clippy::expect_used, reason = "in a test, what cannot go on panics, and says why")]

mod checker;
mod client;
mod closer;
mod family;
mod message;
mod owners;
mod probe;
mod readers;
mod server;
mod solo;
mod world;
mod writers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Request};
use crate::owners::{OWNERS, Owner};
use crate::readers::{READERS, Reader};
use crate::server::{READY_WITHIN, Server};
use crate::world::{SHARED, World};
use crate::writers::{WRITERS, Writer};

/// How long the clients may take to notice that the server is gone.
const NOTICE_WITHIN: Duration = Duration::from_secs(60);

/// One server at a time: what is measured is the server, not the other test.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Terminate,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_sigkill() {
    run("kill", End::Kill, cycles(12)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_sigterm() {
    run("term", End::Terminate, cycles(12).div_ceil(3)).await;
}

fn cycles(default: usize) -> usize {
    variable("STREAMKEEPER_CRASH_CYCLES").map_or(default, |cycles| cycles as usize)
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

async fn run(name: &str, end: End, cycles: usize) {
    let _one = ONE.lock().await;
    let seed = variable("STREAMKEEPER_CRASH_SEED").unwrap_or_else(rand::random);
    eprintln!("{name}: {cycles} cycles, STREAMKEEPER_CRASH_SEED={seed}");
    let mut hunt = Hunt::new(seed, end);
    for cycle in 0..cycles {
        hunt.cycle = cycle;
        hunt.cycle().await;
    }
    hunt.cycle = cycles;
    hunt.last_look().await;
    eprintln!("{name}: {}", hunt.figures());
    assert!(hunt.acknowledged() > 0, "nothing was acknowledged, so nothing was tested");
}

/// A run of the test.
struct Hunt {
    seed: u64,
    cycle: usize,
    end: End,
    rng: SmallRng,
    /// `None` only after a violation: the directory is kept.
    dir: Option<TempDir>,
    world: Arc<World>,
    writers: Vec<Writer>,
    owners: Vec<Owner>,
    readers: Vec<Reader>,
    starts: Vec<Duration>,
}

impl Hunt {
    fn new(seed: u64, end: End) -> Self {
        Self {
            seed,
            cycle: 0,
            end,
            rng: SmallRng::seed_from_u64(seed),
            dir: Some(TempDir::with_prefix("streamkeeper-crash-").expect("a directory")),
            world: Arc::new(World::new()),
            writers: (0..WRITERS).map(|index| Writer::new(index, seed)).collect(),
            owners: (0..OWNERS).map(|index| Owner::new(index, seed)).collect(),
            readers: (0..READERS).map(|index| Reader::new(index, seed)).collect(),
            starts: Vec::new(),
        }
    }

    async fn cycle(&mut self) {
        let server = self.start().await;
        self.check(server.address, self.cycle % 25 == 24).await;
        let before = self.acknowledged();
        let clients = self.let_loose(server.address);
        // Counted from the first answer, so that a slow machine gets something done too.
        let patience = Instant::now() + NOTICE_WITHIN;
        while self.acknowledged() == before && Instant::now() < patience {
            sleep(Duration::from_millis(2)).await;
        }
        sleep(Duration::from_millis(self.rng.random_range(50..800))).await;
        self.world.ending.store(true, Ordering::SeqCst);
        self.stop(server).await;
        self.gather(clients).await;
        self.verdict();
    }

    /// Looks at everything, and lets the server end as it should.
    async fn last_look(&mut self) {
        let server = self.start().await;
        self.check(server.address, true).await;
        let owners = self.owners_alone(server.address).await;
        self.owners = owners;
        self.check(server.address, true).await;
        self.end = End::Terminate;
        self.world.ending.store(true, Ordering::SeqCst);
        self.stop(server).await;
        self.verdict();
    }

    /// Gives the owners some quiet time, after which they are all done with what was cut short.
    async fn owners_alone(&mut self, address: SocketAddr) -> Vec<Owner> {
        self.world.ending.store(false, Ordering::SeqCst);
        let world = &self.world;
        let tasks: Vec<_> = std::mem::take(&mut self.owners)
            .into_iter()
            .map(|owner| {
                let world = world.clone();
                tokio::spawn(async move { owner.steps(&world, address, 100).await })
            })
            .collect();
        join(tasks).await
    }

    async fn start(&mut self) -> Server {
        self.world.ending.store(false, Ordering::SeqCst);
        let binary = streamkeeper_conformance::binary::path().expect("the server is built");
        let dir = self.dir().to_owned();
        // Recovery must be safe to repeat: now and then it is cut short.
        while self.cycle > 0 && self.rng.random_bool(0.3) {
            let after = Duration::from_millis(self.rng.random_range(0..40));
            let run = format!("{}-cut-short-{}", self.cycle, self.starts.len());
            let killed = Server::start_and_kill(binary, &dir, &run, after);
            self.fine("a start that was cut short", killed);
        }
        let started = Server::start(binary, &dir, &self.cycle.to_string());
        let server = self.fine("start", started);
        self.starts.push(server.started_in);
        let answer = Client::new(server.address).send(&Request::at("/readyz")).await;
        let answer = self.fine("/readyz", answer);
        assert_eq!(answer.status, 200, "/readyz: {}", answer.summary());
        assert!(server.started_in < READY_WITHIN, "ready after {:?}", server.started_in);
        server
    }

    async fn check(&mut self, address: SocketAddr, thorough: bool) {
        if self.cycle == 0 && self.acknowledged() == 0 {
            let mut client = Client::new(address);
            for index in 0..SHARED {
                let created = probe::create(&self.world, &mut client, index).await;
                created.expect("a stream is created");
            }
        }
        let seed = self.rng.random();
        checker::check(&self.world, address, seed, thorough).await;
        self.verdict();
    }

    fn let_loose(&mut self, address: SocketAddr) -> Clients {
        let world = &self.world;
        let writers = std::mem::take(&mut self.writers).into_iter();
        let owners = std::mem::take(&mut self.owners).into_iter();
        let readers = std::mem::take(&mut self.readers).into_iter();
        Clients {
            writers: writers.map(|one| tokio::spawn(one.run(world.clone(), address))).collect(),
            owners: owners.map(|one| tokio::spawn(one.run(world.clone(), address))).collect(),
            readers: readers.map(|one| tokio::spawn(one.run(world.clone(), address))).collect(),
        }
    }

    async fn gather(&mut self, clients: Clients) {
        self.writers = join(clients.writers).await;
        self.owners = join(clients.owners).await;
        self.readers = join(clients.readers).await;
    }

    async fn stop(&mut self, server: Server) {
        match self.end {
            End::Kill => self.fine("SIGKILL", server.kill()),
            End::Terminate => {
                let ended = tokio::task::spawn_blocking(|| server.terminate()).await;
                let status = self.fine("SIGTERM", ended.expect("no panic"));
                if !status.success() {
                    self.fine("SIGTERM", Err(std::io::Error::other(status.to_string())))
                }
            }
        }
    }

    /// Unwraps what the server did as it should.
    fn fine<T>(&mut self, what: &str, outcome: std::io::Result<T>) -> T {
        outcome.unwrap_or_else(|error| {
            self.verdict();
            self.fail(&format!("{what}: {error}"))
        })
    }

    /// Fails if a promise was broken.
    fn verdict(&mut self) {
        let violations = self.world.violations();
        if !violations.is_empty() {
            self.fail(&violations.join("\n"));
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        let kept = self.dir.take().map(TempDir::keep).unwrap_or_default();
        let (seed, cycle, figures) = (self.seed, self.cycle, self.figures());
        panic!("seed {seed}, cycle {cycle}, data kept in {}\n{figures}\n{what}", kept.display());
    }

    fn dir(&self) -> &Path {
        self.dir.as_ref().expect("there is a directory until a test has failed").path()
    }

    fn acknowledged(&self) -> u64 {
        self.world.counts.acknowledged.load(Ordering::Relaxed)
    }

    fn figures(&self) -> String {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let median = starts.get(starts.len() / 2).copied().unwrap_or_default();
        let longest = starts.last().copied().unwrap_or_default();
        let world = self.world.figures();
        format!("{} starts, median {median:?}, longest {longest:?}; {world}", starts.len())
    }
}

/// The clients of a cycle.
struct Clients {
    writers: Vec<JoinHandle<Writer>>,
    owners: Vec<JoinHandle<Owner>>,
    readers: Vec<JoinHandle<Reader>>,
}

async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut joined = Vec::new();
    for task in tasks {
        let one =
            timeout(NOTICE_WITHIN, task).await.expect("a client notices that the server is gone");
        joined.push(one.expect("a client does not panic"));
    }
    joined
}

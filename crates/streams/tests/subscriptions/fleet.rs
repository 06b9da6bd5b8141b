//! A thousand subscriptions over a thousand streams, with workers that crash, leases that expire and
//! systems that are killed: every append is processed in the end, no fenced worker moves a cursor, and no
//! cursor goes back.
//!
//! `FLEET_ROUNDS` says how often the system is killed; more find more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streamkeeper::protocol::subscription::{ClaimRequest, Claimed};
use streamkeeper::{AckError, Offset, ReadFrom, Streamkeeper};
use tokio::time::Instant;

use crate::kit::{World, acks, name, subscription};

const SUBSCRIPTIONS: usize = 1000;
const STREAMS: usize = 1000;
/// Each stream is matched by `SUBSCRIPTIONS / TOPICS` subscriptions.
const TOPICS: usize = 200;
const APPENDS_A_ROUND: usize = 200;
const WORKERS: u64 = 16;

/// What all workers share.
struct Fleet {
    /// The system of the day.
    keeper: Mutex<Streamkeeper>,
    /// How far the workers have read the wake stream.
    read: tokio::sync::Mutex<Offset>,
    over: AtomicBool,
    /// The highest generation that was claimed, by subscription.
    claimed: Mutex<HashMap<String, u64>>,
    /// The highest cursors that were told, by subscription and stream.
    cursors: Mutex<HashMap<(String, String), u64>>,
    /// Workers that crashed with the work in their hands, and come back late.
    zombies: Mutex<Vec<(Instant, String, Claimed)>>,
    acked: AtomicU64,
    crashed: AtomicU64,
    fenced: AtomicU64,
}

fn stream(number: usize) -> String {
    format!("t{}/{number}", number % TOPICS)
}

fn rounds() -> usize {
    std::env::var("FLEET_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

#[tokio::test(start_paused = true)]
async fn every_append_is_processed_and_no_fenced_worker_moves_a_cursor() {
    let mut world = World::new().await;
    let mut chance = StdRng::seed_from_u64(7);
    for number in 0..STREAMS / 2 {
        world.create(&stream(number), "1").await;
    }
    for number in 0..SUBSCRIPTIONS {
        let config = format!(
            r#"{{"type":"pull-wake","pattern":"t{}/*","wake_stream":"wakes","lease_ttl_ms":1000}}"#,
            number % TOPICS
        );
        world.subscribe_as(&format!("s{number}"), &config).await;
    }
    let fleet = Arc::new(Fleet::new(world.keeper.clone()));
    let workers: Vec<_> = (0..WORKERS).map(|seed| tokio::spawn(fleet.clone().work(seed))).collect();
    // The other half appears on the way.
    for number in STREAMS / 2..STREAMS {
        world.create(&stream(number), "1").await;
    }
    for _ in 0..rounds() {
        for _ in 0..APPENDS_A_ROUND {
            world.append(&stream(chance.random_range(0..STREAMS))).await;
            if chance.random_bool(0.1) {
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..500))).await;
            }
        }
        world.kill().await;
        *fleet.keeper.lock() = world.keeper.clone();
    }
    fleet.wait_until_all_is_processed(&world).await;
    fleet.over.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.expect("a worker");
    }
    for counter in [&fleet.acked, &fleet.crashed, &fleet.fenced] {
        assert!(counter.load(Ordering::SeqCst) > 100, "too little has happened: {fleet}");
    }
}

impl std::fmt::Display for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [acked, crashed, fenced] = [&self.acked, &self.crashed, &self.fenced];
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        write!(f, "{} acks, {} crashes, {} fenced", count(acked), count(crashed), count(fenced))
    }
}

impl Fleet {
    fn new(keeper: Streamkeeper) -> Self {
        Self {
            keeper: Mutex::new(keeper),
            read: tokio::sync::Mutex::new(Offset::ZERO),
            over: AtomicBool::new(false),
            claimed: Mutex::default(),
            cursors: Mutex::default(),
            zombies: Mutex::default(),
            acked: AtomicU64::new(0),
            crashed: AtomicU64::new(0),
            fenced: AtomicU64::new(0),
        }
    }

    fn keeper(&self) -> Streamkeeper {
        self.keeper.lock().clone()
    }

    /// One worker: reads of wakes, claims, and does the work, or not.
    async fn work(self: Arc<Self>, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        while !self.over.load(Ordering::SeqCst) {
            for id in self.woken().await {
                self.take(&id, seed, &mut chance).await;
            }
            let zombie = {
                let mut zombies = self.zombies.lock();
                let due = zombies.iter().position(|(at, ..)| *at <= Instant::now());
                due.map(|due| zombies.swap_remove(due))
            };
            if let Some((_, id, claimed)) = zombie {
                self.come_back(&id, &claimed).await;
            }
        }
    }

    /// The subscriptions of the next wake events.
    async fn woken(&self) -> Vec<String> {
        let mut read = self.read.lock().await;
        let from = ReadFrom::At(*read);
        let wait = Duration::from_millis(300);
        let page = self.keeper().read_live(&name("wakes"), from, 1000, wait).await;
        let Ok(page) = page else {
            // The system was killed; another is on its way.
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Vec::new();
        };
        *read = page.next_offset;
        let array = streamkeeper::protocol::json::wrap_to_vec(&page.payloads());
        let events: Vec<serde_json::Value> = serde_json::from_slice(&array).expect("JSON");
        let id = |event: serde_json::Value| event["subscription_id"].as_str().map(str::to_owned);
        events.into_iter().filter_map(id).collect()
    }

    async fn take(&self, id: &str, worker: u64, chance: &mut StdRng) {
        let request = ClaimRequest { worker: format!("w{worker}") };
        let claimed = self.keeper().subscriptions().claim(&subscription(id), request).await;
        let Ok(claimed) = claimed else { return };
        let before = self.claimed.lock().insert(id.to_owned(), claimed.generation);
        assert!(before < Some(claimed.generation), "{id} was claimed twice");
        self.check_cursors(id, claimed.streams.iter().map(|s| (s.path.to_string(), s.acked)));
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..20))).await;
        if chance.random_bool(0.2) {
            self.crashed.fetch_add(1, Ordering::SeqCst);
            let back = Duration::from_millis(chance.random_range(0..5000));
            self.zombies.lock().push((Instant::now() + back, id.to_owned(), claimed));
            return;
        }
        let mut request = acks(&claimed, true);
        if chance.random_bool(0.2) {
            request.acks.truncate(1);
        }
        let acked = self.keeper().subscriptions();
        if acked.ack(&subscription(id), &claimed.token, request).await.is_ok() {
            self.acked.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A worker that had crashed acks at last: only if nobody else has the work by now.
    async fn come_back(&self, id: &str, claimed: &Claimed) {
        let stale = self.claimed.lock().get(id).is_some_and(|last| *last > claimed.generation);
        let request = acks(claimed, true);
        let subscriptions = self.keeper().subscriptions();
        let acked = subscriptions.ack(&subscription(id), &claimed.token, request).await;
        match acked {
            Ok(_) => assert!(!stale, "a fenced worker has moved a cursor of {id}"),
            Err(AckError::Fenced) => drop(self.fenced.fetch_add(1, Ordering::SeqCst)),
            Err(AckError::Unavailable(_)) => {}
            Err(error) => panic!("{id}: {error}"),
        }
    }

    fn check_cursors(&self, id: &str, told: impl Iterator<Item = (String, u64)>) {
        let mut cursors = self.cursors.lock();
        for (path, acked) in told {
            let cursor = cursors.entry((id.to_owned(), path)).or_insert(0);
            assert!(acked >= *cursor, "a cursor of {id} went back from {cursor} to {acked}");
            *cursor = acked;
        }
    }

    async fn wait_until_all_is_processed(&self, world: &World) {
        for number in 0..SUBSCRIPTIONS {
            let id = format!("s{number}");
            let streams = (0..STREAMS).filter(|stream| stream % TOPICS == number % TOPICS);
            let mut tails = Vec::new();
            for number in streams {
                let metadata =
                    world.keeper.metadata(&name(&stream(number))).await.expect("it is there");
                tails.push((stream(number), metadata.next_offset.position()));
            }
            tails.sort();
            let done = async {
                while world.cursors(&id).await != tails {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            if tokio::time::timeout(Duration::from_secs(3600), done).await.is_err() {
                panic!("{id} is stuck: {:?}, and not {tails:?}", world.cursors(&id).await);
            }
            self.check_cursors(&id, tails.into_iter());
        }
    }
}

//! Storms: many clients do anything to a few streams, upon a storage that is slow and crashes, and all
//! that they were told is held against what became durable.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{
    AppendError, AppendRequest, CreateError, CreateRequest, DeleteError, ReadError, ReadFrom,
    StreamName, Streamkeeper,
};
use streamkeeper_protocol::stream::{AppendRejection, CreateRejection};

use crate::kit::*;
use crate::linear::{Call, Seen, Told, check};

const NAMES: [&str; 3] = ["x", "y/z", "w"];
const CLIENTS: u64 = 12;
const CALLS: u64 = 60;

/// One client: does something, over and over, and writes down what it was told.
struct Client {
    keeper: Streamkeeper,
    ticks: Arc<AtomicU64>,
    rng: StdRng,
    id: u64,
    calls: Vec<(StreamName, Call)>,
}

impl Client {
    async fn run(mut self) -> Vec<(StreamName, Call)> {
        for i in 0..CALLS {
            let s = name(NAMES[self.rng.random_range(0..NAMES.len())]);
            let text = format!("{}.{i};", self.id);
            let begin = self.ticks.fetch_add(1, Ordering::SeqCst);
            let told = match self.rng.random_range(0..100) {
                0..20 => self.create(&s, text).await,
                20..60 => self.append(&s, text).await,
                60..68 => self.delete(&s).await,
                68..94 => self.read(&s).await,
                _ => self.leave(&s, text).await,
            };
            let end = self.ticks.fetch_add(1, Ordering::SeqCst);
            self.calls.push((s, Call { begin, end, told }));
        }
        self.calls
    }

    async fn create(&mut self, s: &StreamName, text: String) -> Told {
        let closed = self.rng.random_ratio(1, 20);
        let request = CreateRequest { body: text.clone().into(), closed, ..stream() };
        match self.keeper.create(s, request).await {
            Ok(created) if created.fresh => Told::Wrote(text, Some(created.next_offset.position())),
            Ok(created) if created.closed => Told::Refused(Some(text), Seen::Closed),
            Ok(_) | Err(CreateError::Rejected(CreateRejection::Conflict(_))) => {
                Told::Refused(Some(text), Seen::Present)
            }
            Err(CreateError::Unavailable(_)) => Told::Unknown(Some(text)),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn append(&mut self, s: &StreamName, text: String) -> Told {
        let close = self.rng.random_ratio(1, 30);
        let request = AppendRequest { close, ..message(text.clone()) };
        match self.keeper.append(s, request).await {
            Ok(appended) => Told::Wrote(text, Some(appended.next_offset.position())),
            Err(AppendError::Rejected(AppendRejection::NotFound)) => {
                Told::Refused(Some(text), Seen::Absent)
            }
            Err(AppendError::Rejected(AppendRejection::Closed { .. })) => {
                Told::Refused(Some(text), Seen::Closed)
            }
            Err(AppendError::Unavailable(_)) => Told::Unknown(Some(text)),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn delete(&mut self, s: &StreamName) -> Told {
        match self.keeper.delete(s).await {
            Ok(()) => Told::Deleted,
            Err(DeleteError::Rejected(_)) => Told::Refused(None, Seen::Absent),
            Err(DeleteError::Unavailable(_)) => Told::Unknown(None),
        }
    }

    async fn read(&mut self, s: &StreamName) -> Told {
        match self.keeper.read(s, ReadFrom::Start, ALL).await {
            Ok(page) => Told::Saw(Seen::Content(page.id, texts(&page).concat(), page.closed)),
            Err(ReadError::NotFound) => Told::Saw(Seen::Absent),
            Err(ReadError::Unavailable(_)) => Told::Unknown(None),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// An append whose caller leaves.
    async fn leave(&mut self, s: &StreamName, text: String) -> Told {
        let micros = self.rng.random_range(0..2_000);
        let call = append(&self.keeper, s, message(text.clone()));
        match tokio::time::timeout(Duration::from_micros(micros), call).await {
            Ok(Ok(appended)) => Told::Wrote(text, Some(appended.next_offset.position())),
            _ => Told::Unknown(Some(text)),
        }
    }
}

async fn storm(seed: u64, policy: StandardPolicy, slow: f64, crash: f64) {
    let storage = Scripted::new();
    let mut rng = StdRng::seed_from_u64(seed);
    storage.script(move |_| {
        if rng.random_bool(crash) {
            return if rng.random() { Fault::Panic } else { Fault::PanicAfter };
        }
        if rng.random_bool(slow) { Fault::Slow } else { Fault::None }
    });
    let policy = policy.intensity(1_000_000, Duration::from_secs(60)).backoff(Backoff::NONE);
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy).seed(seed);
    let keeper = builder.start().await.unwrap();
    let ticks = Arc::new(AtomicU64::new(1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|id| {
            let rng = StdRng::seed_from_u64(seed * 1_000 + id);
            let (keeper, ticks) = (keeper.clone(), ticks.clone());
            tokio::spawn(Client { keeper, ticks, rng, id, calls: Vec::new() }.run())
        })
        .collect();
    let mut by_name: HashMap<StreamName, Vec<Call>> = HashMap::new();
    for client in clients {
        for (s, call) in client.await.unwrap() {
            by_name.entry(s).or_default().push(call);
        }
    }
    // What callers who left had begun comes to its end.
    keeper.shutdown(Duration::from_secs(10)).await;
    storage.release_all();
    let journal = storage.journal();
    for (s, calls) in by_name {
        let entries: Vec<_> = journal.iter().filter(|entry| entry.name == s).collect();
        let known = calls.iter().filter(|call| !matches!(call.told, Told::Unknown(_))).count();
        assert!(2 * known > calls.len(), "seed {seed}: too few were told anything");
        check(&entries, &calls);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upon_a_quick_storage() {
    for seed in 0..40 {
        storm(seed, StandardPolicy::transient(), 0.0, 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upon_a_slow_storage() {
    for seed in 100..115 {
        storm(seed, StandardPolicy::transient(), 0.5, 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_crashes() {
    for seed in 200..220 {
        storm(seed, StandardPolicy::transient(), 0.1, 0.03).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_crashes_and_no_restarts() {
    for seed in 300..320 {
        storm(seed, StandardPolicy::temporary(), 0.1, 0.03).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_crashes_and_restarts_always() {
    for seed in 400..410 {
        storm(seed, StandardPolicy::permanent(), 0.1, 0.03).await;
    }
}

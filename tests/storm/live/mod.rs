//! The storm in real time: 200 writers and 200 readers on streams that crash, on storage that fails, on
//! actors that are killed and that go dormant; beside them, streams that come and go.
//!
//! At the end every acknowledged append is there exactly once and in order, streams without a fault
//! never saw an error, those that crash too often are in quarantine, as configured, and come out of it.

mod brief;
mod finale;
mod readers;
mod report;
mod world;
mod writers;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use streamkeeper::storage::{MemoryStorage, Storage};
use streamkeeper::{CreateRequest, Limits, Streamkeeper};
use streamkeeper_storage_log::{LogOptions, LogStorage, OpenReport};
use streamkeeper_tests::eventually;
use tokio::time::sleep;

use self::finale::Finale;
use self::readers::Reader;
use self::world::{World, text};
use self::writers::Writer;
use crate::kit::{Book, Climate, Weather, prepare};

const WRITERS: usize = 200;
const READERS: usize = 200;

/// How long a restart counts; short, so that streams that have crashed go dormant, too.
const PERIOD: Duration = Duration::from_secs(2);
/// Idle actors go soon, so that streams go dormant and are woken all the time.
const DORMANT_AFTER: Duration = Duration::from_millis(40);
/// Fewer than there are streams, so that there is always a crowd.
const AWAKE_STREAMS: usize = 64;

/// How long the storm lasts: `STREAMKEEPER_STORM_SECONDS`, or 8 seconds.
fn duration() -> Duration {
    let seconds = std::env::var("STREAMKEEPER_STORM_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(8))
}

/// What is drawn; moments are not reproduced, so repeat a seed a few times.
fn seed() -> u64 {
    let seed = std::env::var("STREAMKEEPER_STORM_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upon_memory() {
    storm("memory", Arc::new(MemoryStorage::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upon_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    // Small segments, so that they are filed and merged during the storm.
    let options = LogOptions { segment_bytes: 4 << 20, ..LogOptions::default() };
    let (log, _) = LogStorage::open(dir.path(), options).expect("a new log opens");
    let finale = storm("log", Arc::new(log)).await;
    // All of it is on disk: another process would find the same.
    let (log, report) = open_again(dir.path(), options).await;
    assert!(report.damage.is_empty(), "{report:?}");
    let keeper = Streamkeeper::builder().storage(Arc::new(log)).start().await.expect("it starts");
    finale.compare(&keeper).await;
    assert!(keeper.shutdown(Duration::from_secs(30)).await.is_clean());
}

/// The directory is locked until the last commit of the storm is done with.
async fn open_again(dir: &Path, options: LogOptions) -> (LogStorage, OpenReport) {
    let mut opened = None;
    eventually("the log opens again", async || {
        opened = LogStorage::open(dir, options).ok();
        opened.is_some()
    })
    .await;
    opened.expect("it has opened")
}

async fn storm(backend: &str, storage: Arc<dyn Storage>) -> Finale {
    prepare();
    let seed = seed();
    eprintln!("storm on {backend}: STREAMKEEPER_STORM_SEED={seed}");
    let world = begin(storage, seed).await;
    let writers: Vec<_> =
        (0..WRITERS).map(|id| tokio::spawn(Writer::new(&world, id, seed).run())).collect();
    let readers: Vec<_> =
        (0..READERS).map(|id| tokio::spawn(Reader::new(&world, id, seed).run())).collect();
    let clients: Vec<_> = (0..brief::CLIENTS)
        .map(|id| tokio::spawn(brief::Client::new(&world, id, seed).run()))
        .collect();
    let killer = tokio::spawn(world.clone().kill(seed));
    sleep(duration()).await;
    world.stop();
    killer.await.expect("the killer");
    let writers = join_all(writers).await.into_iter().map(|writer| writer.expect("a writer"));
    let clients = join_all(clients).await.into_iter().map(|client| client.expect("a client"));
    let (writers, clients) = (writers.collect(), clients.collect());
    let mut finale = Finale::play(&world, writers, readers, clients).await;
    finale.report(backend, duration(), &world);
    finale.shut_down(world).await;
    finale
}

async fn begin(storage: Arc<dyn Storage>, seed: u64) -> Arc<World> {
    let ticks = Arc::new(AtomicU64::new(1));
    let tick = {
        let ticks = ticks.clone();
        Arc::new(move || ticks.fetch_add(1, Ordering::SeqCst))
    };
    let weather = Weather::over(storage, seed, Climate::default(), Arc::default(), tick);
    let book = Book::new(PERIOD);
    let limits = Limits {
        dormant_after: DORMANT_AFTER,
        awake_streams: AWAKE_STREAMS,
        restart_patience: Duration::from_secs(20),
        ..Limits::default()
    };
    let builder = Streamkeeper::builder().storage(weather.clone()).policy(book.clone());
    let keeper = builder.limits(limits).seed(seed).start().await.expect("it starts");
    let world = World::new(keeper, weather, book, ticks);
    for (fate, name) in &world.streams {
        let request = CreateRequest { content_type: text(), ..Default::default() };
        // Whoever meets with a fault here tries again.
        while let Err(error) = world.keeper.create(name, request.clone()).await {
            assert_ne!(*fate, crate::kit::Fate::Calm, "{name}: {error:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }
    world
}

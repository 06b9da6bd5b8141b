//! The embedding API on the memory storage: an actor's round trip, and finding a stream among many.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use streamkeeper::{AppendRequest, ContentType, CreateRequest, ReadFrom, StreamName, Streamkeeper};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn text() -> ContentType {
    ContentType::parse("text/plain").expect("a content type")
}

fn append() -> AppendRequest {
    AppendRequest {
        content_type: Some(text()),
        body: bytes::Bytes::from_static(&[b'x'; 100]),
        ..Default::default()
    }
}

/// A system with some streams that were all appended to once.
fn system(streams: usize) -> (Runtime, Streamkeeper, Vec<StreamName>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let names: Vec<_> = (0..streams)
        .map(|stream| StreamName::new(&format!("bench/{stream}")).expect("a name"))
        .collect();
    let keeper = runtime.block_on(async {
        let keeper = Streamkeeper::builder().seed(1).start().await.expect("a system");
        for name in &names {
            let create = CreateRequest { content_type: Some(text()), ..Default::default() };
            keeper.create(name, create).await.expect("a stream");
            keeper.append(name, append()).await.expect("an append");
        }
        keeper
    });
    (runtime, keeper, names)
}

/// Appends in flight at once, each to a stream of its own.
#[divan::bench(args = [1, 64])]
fn actor_round_trip(bencher: Bencher<'_, '_>, in_flight: usize) {
    let (runtime, keeper, names) = system(in_flight);
    bencher.counter(ItemsCount::new(in_flight)).bench_local(|| {
        runtime.block_on(async {
            let mut appends = tokio::task::JoinSet::new();
            for name in &names {
                let (keeper, name) = (keeper.clone(), name.clone());
                appends.spawn(async move { keeper.append(&name, append()).await });
            }
            while let Some(appended) = appends.join_next().await {
                appended.expect("no panic").expect("an append");
            }
        });
    });
}

/// Metadata of one stream after the other: a look into the registry and at a view.
#[divan::bench(args = [64, 100_000], sample_count = 100, sample_size = 1000)]
fn registry_lookup(bencher: Bencher<'_, '_>, streams: usize) {
    let (runtime, keeper, names) = system(streams);
    let mut at = 0;
    bencher.bench_local(|| {
        // A step without a common factor visits all, none beside the one before.
        at = (at + 61_803) % names.len();
        runtime.block_on(keeper.metadata(black_box(&names[at]))).expect("metadata")
    });
}

/// The last message of a stream, from the messages that its actor keeps at hand.
#[divan::bench]
fn read_at_the_tail(bencher: Bencher<'_, '_>) {
    let (runtime, keeper, names) = system(1);
    bencher.bench_local(|| {
        runtime
            .block_on(keeper.read(black_box(&names[0]), ReadFrom::Start, 1 << 20))
            .expect("a page")
    });
}

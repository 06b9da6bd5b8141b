//! Supervision events: what listeners, the log and the counters are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use parking_lot::Mutex;
use streamkeeper::supervisor::{ExitReason, StandardPolicy};
use streamkeeper::{
    EVENT_BACKLOG, Events, Limits, Streamkeeper, SupervisionEvent, SupervisionEvent as Event,
};
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::kit::*;

/// The events that were told until now.
async fn told(events: &mut Events) -> Vec<SupervisionEvent> {
    let mut told = Vec::new();
    // With paused time: this waits until nothing happens any more.
    while let Ok(Some(event)) = timeout(Duration::from_millis(1), events.next()).await {
        told.push(event);
    }
    told
}

/// An event in a word or two.
fn word(event: &SupervisionEvent) -> String {
    let name = event.name().map_or("", |name| name.as_str());
    let what = match event {
        Event::Started { .. } => "started".into(),
        Event::Crashed { cause, .. } => format!("crashed {}", cause.kind()),
        Event::Restarting { restarts, .. } => format!("restarting {restarts}"),
        Event::Quarantined { reason, .. } => format!("quarantined {}", reason.kind()),
        Event::Dormant { .. } => "dormant".into(),
        Event::Woken { .. } => "woken".into(),
        Event::Stopped { .. } => "stopped".into(),
        other => format!("{other:?}"),
    };
    format!("{name} {what}")
}

async fn words(events: &mut Events) -> Vec<String> {
    told(events).await.iter().map(word).collect()
}

#[tokio::test(start_paused = true)]
async fn a_life_with_a_crash_a_quarantine_and_a_deletion() {
    let storage = Scripted::new();
    let policy = StandardPolicy::transient().intensity(1, Duration::from_secs(60));
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy);
    let keeper = builder.start().await.unwrap();
    let mut events = keeper.events();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    assert_eq!(words(&mut events).await, ["s started"]);

    storage.script(|_| Fault::Panic);
    assert!(keeper.append(&s, message("x")).await.is_err());
    settle().await;
    assert_eq!(words(&mut events).await, ["s crashed panicked", "s restarting 1", "s started"]);

    storage.script(|_| Fault::Refuse(streamkeeper::storage::StorageError::Conflict));
    assert!(keeper.append(&s, message("x")).await.is_err());
    settle().await;
    assert_eq!(words(&mut events).await, ["s crashed failed", "s quarantined failed"]);

    storage.calm();
    keeper.lift_quarantine(&s).await.unwrap();
    keeper.delete(&s).await.unwrap();
    settle().await;
    assert_eq!(words(&mut events).await, ["s started", "s stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_restart_is_a_crash_too() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut events = keeper.events();
    storage.script(when("s", "append", Fault::Panic));
    storage.fail_loads(&s, 1);
    assert!(keeper.append(&s, message("x")).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let causes: Vec<_> = told(&mut events)
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Crashed { cause, .. } => Some(cause),
            _ => None,
        })
        .collect();
    assert!(matches!(&causes[..], [ExitReason::Panicked(_), ExitReason::StartFailed(_)]));
}

#[tokio::test(start_paused = true)]
async fn sleep_and_waking() {
    let limits = Limits { dormant_after: Duration::from_secs(4), ..Limits::default() };
    let keeper = Streamkeeper::builder().limits(limits).start().await.unwrap();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut events = keeper.events();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(words(&mut events).await, ["s dormant"]);
    keeper.metadata(&s).await.unwrap();
    assert_eq!(words(&mut events).await, ["s woken", "s started"]);
}

#[tokio::test(start_paused = true)]
async fn they_end_with_the_system() {
    let keeper = Streamkeeper::builder().start().await.unwrap();
    let mut events = keeper.events();
    keeper.create(&name("s"), stream()).await.unwrap();
    keeper.shutdown(Duration::from_secs(5)).await;
    let all: Vec<String> = events.by_ref().map(|event| word(&event)).collect().await;
    assert_eq!(all, ["s started", "s stopped"]);
    assert_eq!(keeper.events().next().await, None, "nothing comes after the end");
}

#[tokio::test(start_paused = true)]
async fn two_systems_tell_each_their_own() {
    let (one, other) = (keeper(&Scripted::new()).await, keeper(&Scripted::new()).await);
    let (mut of_one, mut of_other) = (one.events(), other.events());
    one.create(&name("a"), stream()).await.unwrap();
    other.create(&name("b"), stream()).await.unwrap();
    assert_eq!(words(&mut of_one).await, ["a started"]);
    assert_eq!(words(&mut of_other).await, ["b started"]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_lags_is_told_how_much_it_has_missed() {
    let keeper = Streamkeeper::builder().start().await.unwrap();
    let mut events = keeper.events();
    for i in 0..EVENT_BACKLOG + 3 {
        keeper.create(&name(&format!("{i}")), stream()).await.unwrap();
    }
    let told = told(&mut events).await;
    assert_eq!(told[0], Event::Missed(3));
    assert_eq!(word(&told[1]), "3 started");
    assert_eq!(told.len(), EVENT_BACKLOG + 1);
}

/// Each event is counted, and written to the log once.
#[test]
fn the_log_and_the_counters_agree_with_the_events() {
    let (counters, log) = (Counters::default(), Log::default());
    // With one subscriber alone, `tracing` asks for the interest in an event on the thread that first meets
    // it, and other tests run beside this one, without a subscriber.
    let _another = tracing::Dispatch::new(Log::default());
    // On this thread, so that what it runs is counted here.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let told = tracing::subscriber::with_default(log.clone(), || {
        metrics::with_local_recorder(&counters, || {
            runtime.block_on(async {
                let storage = Scripted::new();
                let limits = Limits { dormant_after: Duration::from_secs(4), ..Limits::default() };
                let policy = StandardPolicy::transient().intensity(1, Duration::from_secs(60));
                let builder = Streamkeeper::builder().storage(storage.clone()).limits(limits);
                let keeper = builder.policy(policy).start().await.unwrap();
                let mut events = keeper.events();
                let s = name("s");
                keeper.create(&s, stream()).await.unwrap();
                tokio::time::sleep(Duration::from_secs(20)).await;
                storage.script(|_| Fault::Panic);
                for _ in 0..2 {
                    assert!(keeper.append(&s, message("x")).await.is_err());
                    settle().await;
                }
                told(&mut events).await
            })
        })
    });
    let expected = [
        "s started",
        "s dormant",
        "s woken",
        "s started",
        "s crashed panicked",
        "s restarting 1",
        "s started",
        "s crashed panicked",
        "s quarantined panicked",
    ];
    assert_eq!(told.iter().map(word).collect::<Vec<_>>(), expected);
    let counted = counters.0.lock().clone();
    let count = |name: &str| counted.get(&format!("streamkeeper_stream_{name}")).copied();
    assert_eq!(count("started_total"), Some(3));
    assert_eq!(count("crashed_total cause=panicked"), Some(2));
    assert_eq!(count("restarting_total"), Some(1));
    assert_eq!(count("quarantined_total cause=panicked"), Some(1));
    for once in ["dormant_total", "woken_total"] {
        assert_eq!(count(once), Some(1), "{once}");
    }
    let logged = log.0.lock().clone();
    let of_streams: Vec<&str> =
        logged.iter().map(String::as_str).filter(|line| line.starts_with("stream ")).collect();
    assert_eq!(of_streams.len(), expected.len(), "{logged:?}");
    // The supervisor leaves that to the events of streams.
    let twice = ["child exited", "child restarting", "child quarantined", "child stopped"];
    assert!(!logged.iter().any(|line| twice.contains(&line.as_str())), "{logged:?}");
}

/// Counters that are read by the test.
#[derive(Default)]
struct Counters(Arc<Mutex<BTreeMap<String, u64>>>);

struct One(String, Arc<Mutex<BTreeMap<String, u64>>>);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        *self.1.lock().entry(self.0.clone()).or_default() += value;
    }

    fn absolute(&self, value: u64) {
        self.1.lock().insert(self.0.clone(), value);
    }
}

impl metrics::Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        Counter::from_arc(Arc::new(One(name, self.0.clone())))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The messages of the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().push(format!("{value:?}"));
        }
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("streamkeeper")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

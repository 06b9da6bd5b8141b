//! Subscriptions on the log: over a restart, and over an export and an import.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper::protocol::subscription::{
    Ack, AckRequest, ClaimRequest, Claimed, Config, SubscriptionId,
};
use streamkeeper::{
    AckError, AppendRequest, ContentType, CreateRequest, Offset, StreamName, Streamkeeper,
};
use streamkeeper_storage_log::{LogOptions, LogStorage, OpenError, export, import};

/// Opens a log. A task of a system that was shut down may hold it for a moment longer.
async fn log(dir: &Path) -> LogStorage {
    for _ in 0..1000 {
        match LogStorage::open(dir, LogOptions::default()) {
            Err(OpenError::InUse) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened.expect("a log").0,
        }
    }
    panic!("the log is never let go");
}

async fn open(dir: &Path) -> Streamkeeper {
    let log = Arc::new(log(dir).await);
    Streamkeeper::builder().storage(log).start().await.expect("a system")
}

fn json() -> Option<ContentType> {
    ContentType::parse("application/json").ok()
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

async fn create(keeper: &Streamkeeper, stream: &str) {
    let request = CreateRequest { content_type: json(), ..Default::default() };
    keeper.create(&name(stream), request).await.expect("a stream");
}

async fn append(keeper: &Streamkeeper, stream: &str) {
    let request = AppendRequest { content_type: json(), body: "1".into(), ..Default::default() };
    keeper.append(&name(stream), request).await.expect("an append");
}

fn id() -> SubscriptionId {
    SubscriptionId::new("workers").expect("an id")
}

async fn claim(keeper: &Streamkeeper) -> Claimed {
    let request = ClaimRequest { worker: "w".into() };
    keeper.subscriptions().claim(&id(), request).await.expect("work")
}

async fn ack(keeper: &Streamkeeper, claimed: &Claimed) -> Result<bool, AckError> {
    let acks = claimed
        .streams
        .iter()
        .map(|stream| Ack { stream: stream.path.clone(), offset: Offset::new(stream.tail) });
    let request = AckRequest {
        wake_id: claimed.wake_id.clone(),
        generation: claimed.generation,
        acks: acks.collect(),
        done: true,
    };
    let acked = keeper.subscriptions().ack(&id(), &claimed.token, request).await;
    acked.map(|acked| acked.next_wake)
}

#[tokio::test]
async fn a_subscription_goes_on_after_a_restart_and_after_a_move() {
    let dirs = tempfile::tempdir().expect("a directory");
    let (here, there) = (dirs.path().join("here"), dirs.path().join("there"));
    let keeper = open(&here).await;
    create(&keeper, "wakes").await;
    create(&keeper, "jobs/1").await;
    let config = br#"{"type":"pull-wake","pattern":"jobs/*","wake_stream":"wakes"}"#;
    let config = Config::from_json(config).expect("a configuration");
    keeper.subscriptions().create(&id(), config.clone(), None).await.expect("a subscription");
    append(&keeper, "jobs/1").await;
    let claimed = claim(&keeper).await;
    keeper.shutdown(Duration::from_secs(5)).await;
    drop(keeper);

    let keeper = open(&here).await;
    assert_eq!(ack(&keeper, &claimed).await, Ok(false), "the claim still holds");
    append(&keeper, "jobs/1").await;
    let claimed = claim(&keeper).await;
    let told = keeper.subscriptions().get(&id()).await.expect("it exists");
    keeper.shutdown(Duration::from_secs(5)).await;
    drop(keeper);

    drop(log(&here).await);

    let mut lines = Vec::new();
    export(&here, "", &mut lines, &mut |_, _| {}).expect("an export");
    import(&mut lines.as_slice(), &there, false, &mut |_, _| {}).expect("an import");
    let keeper = open(&there).await;
    assert_eq!(keeper.subscriptions().get(&id()).await, Ok(told));
    let confirmed = keeper.subscriptions().create(&id(), config, None).await.expect("it exists");
    assert!(!confirmed.fresh);
    assert_eq!(ack(&keeper, &claimed).await, Ok(false));
    assert_eq!(ack(&keeper, &claimed).await, Err(AckError::Fenced));
    keeper.shutdown(Duration::from_secs(5)).await;
}

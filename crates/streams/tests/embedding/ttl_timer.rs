//! The TTL timer: it fires when it should, and only then.

use std::time::Duration;

use streamkeeper::{CreateRequest, DeleteError, Expiry, ReadError, ReadFrom, Streamkeeper};
use streamkeeper::{StreamName, Timestamp};

use streamkeeper_protocol::stream::DeleteRejection;

use crate::kit::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_live_reader_is_told_of_the_expiry() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(10), ..stream() }).await.unwrap();
    clock.pass(5 * SECOND).await;
    // The timer that fires in five seconds finds that the stream was read, and is wound up again.
    let mut subscription = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
    assert!(subscription.next().await.unwrap().unwrap().chunks.is_empty());
    let waiter = tokio::spawn({
        let (keeper, s) = (keeper.clone(), s.clone());
        async move { keeper.read_live(&s, ReadFrom::Now, ALL, HOUR).await }
    });
    settle().await;
    clock.pass(6 * SECOND).await;
    assert!(keeper.metadata(&s).await.is_ok());
    assert!(!waiter.is_finished());
    clock.pass(5 * SECOND).await;
    assert_eq!(waiter.await.unwrap().unwrap_err(), ReadError::NotFound);
    assert_eq!(subscription.next().await.unwrap_err(), ReadError::NotFound);
    assert!(storage.state(&s).is_none(), "it is reclaimed without anybody's asking");
}

#[tokio::test(start_paused = true)]
async fn a_far_away_date_does_no_harm() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    for (i, millis) in [i64::MAX, 253_402_300_799_000].into_iter().enumerate() {
        let s = name(&format!("s{i}"));
        let expiry = Some(Expiry::At(Timestamp::from_millis(millis)));
        keeper.create(&s, CreateRequest { expiry, ..stream() }).await.unwrap();
        clock.pass(HOUR).await;
        assert!(keeper.metadata(&s).await.is_ok());
    }
}

/// How often an idle system asks for the time, in half a second of real time.
async fn questions(clock: &TestClock) -> u64 {
    let before = clock.asked();
    tokio::time::sleep(SECOND / 2).await;
    clock.asked() - before
}

async fn forked(keeper: &Streamkeeper, expiry: Option<Expiry>) -> (StreamName, StreamName) {
    let (source, fork) = (name("source"), name("fork"));
    keeper.create(&source, CreateRequest { expiry, ..stream() }).await.unwrap();
    let never = Some(Expiry::Never);
    keeper.create(&fork, CreateRequest { expiry: never, ..fork_of(&source) }).await.unwrap();
    (source, fork)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_source_keeps_no_timer_spinning() {
    let (storage, clock) = (Scripted::new(), TestClock::at(9_990));
    let keeper = keeper_at(&storage, &clock).await;
    let date = Some(Expiry::At(Timestamp::from_millis(10_000)));
    let (source, _) = forked(&keeper, date).await;
    keeper.delete(&source).await.unwrap();
    clock.set(20_000);
    let asked = questions(&clock).await;
    assert!(asked < 100, "an idle system asked {asked} times for the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_source_keeps_no_timer_spinning() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let (source, _) = forked(&keeper, ttl(10)).await;
    clock.set(20_000);
    let gone = DeleteError::Rejected(DeleteRejection::Gone);
    eventually("the source is gone", async || keeper.delete(&source).await == Err(gone.clone()))
        .await;
    let asked = questions(&clock).await;
    assert!(asked < 100, "an idle system asked {asked} times for the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_keeps_no_timer_spinning() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(3600), ..stream() }).await.unwrap();
    let asked = questions(&clock).await;
    assert!(asked < 100, "an idle system asked {asked} times for the time");
}

/// The timer fires early, over and over, because this clock stands still a millisecond before the
/// date. It has to be wound up again each time, whichever thread is the faster one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_timer_that_fires_early_is_wound_up_again() {
    let (storage, clock) = (Scripted::new(), TestClock::at(999));
    let keeper = keeper_at(&storage, &clock).await;
    let date = Some(Expiry::At(Timestamp::from_millis(1_000)));
    let mut waiters = Vec::new();
    for i in 0..100 {
        let s = name(&format!("s{i}"));
        keeper.create(&s, CreateRequest { expiry: date, ..stream() }).await.unwrap();
        let keeper = keeper.clone();
        waiters.push(tokio::spawn(
            async move { keeper.read_live(&s, ReadFrom::Now, ALL, HOUR).await },
        ));
    }
    tokio::time::sleep(2 * SECOND).await;
    clock.set(1_000);
    let told = async {
        for waiter in waiters.iter_mut() {
            assert_eq!(waiter.await.unwrap().unwrap_err(), ReadError::NotFound);
        }
    };
    let told = tokio::time::timeout(10 * SECOND, told).await;
    let waiting = waiters.iter().filter(|waiter| !waiter.is_finished()).count();
    assert!(told.is_ok(), "{waiting} of 100 streams never expired");
}

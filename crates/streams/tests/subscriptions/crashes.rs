//! What a crash leaves: no work is lost, nothing is acked that was not, fencing still holds.

use std::sync::atomic::Ordering;

use streamkeeper::{AckError, ClaimError, Unavailable};

use crate::kit::{LEASE, World, eventually};

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_the_system_and_expires_on_time() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w1").await.unwrap();
    tokio::time::sleep(LEASE / 2).await;
    world.kill().await;
    assert!(world.claim("s", "w2").await.is_err(), "the lease still holds");
    world.ack("s", &claimed, false).await.expect("so does its token");
    tokio::time::sleep(LEASE / 2).await;
    world.restart().await;
    world.append("e/a").await;
    tokio::time::sleep(LEASE / 2).await;
    let other = world.claim("s", "w2").await.expect("the lease has expired");
    assert_eq!(world.ack("s", &claimed, true).await, Err(AckError::Fenced));
    world.ack("s", &other, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_expired_while_the_system_was_down_is_over() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    world.keeper.shutdown(LEASE).await;
    tokio::time::sleep(LEASE).await;
    world.kill().await;
    assert_eq!(world.ack("s", &claimed, true).await, Err(AckError::Fenced));
    assert_eq!(world.cursors("s").await, [("e/a".to_owned(), 0)]);
    let wakes = world.wait_for_wakes(2).await;
    assert_eq!(wakes[1]["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_was_durable_before_the_crash_wakes_after_it() {
    let mut world = World::new().await;
    world.create("e/linked", "1").await;
    world.subscribe("s").await;
    world.lifeline.no_subscriptions.store(true, Ordering::SeqCst);
    world.append("e/linked").await;
    world.create("e/new", "1").await;
    world.kill().await;
    world.wait_for_wakes(1).await;
    let claimed = world.claim("s", "w").await.unwrap();
    assert!(claimed.streams.iter().all(|stream| stream.has_pending));
    assert_eq!(claimed.streams.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wake_event_is_there_once_however_often_the_system_starts() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    world.wait_for_wakes(1).await;
    for _ in 0..3 {
        world.kill().await;
        world.get("s").await;
        tokio::time::sleep(LEASE).await;
    }
    assert_eq!(world.wakes().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ack_that_was_answered_holds() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "").await;
    for _ in 0..20 {
        let tail = world.append("e/a").await;
        let claimed = eventually(|| async { world.claim("s", "w").await.ok() }).await;
        world.ack("s", &claimed, true).await.unwrap();
        world.kill().await;
        assert_eq!(world.cursors("s").await, [("e/a".to_owned(), tail)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_fails_crashes_the_subscription_and_not_its_work() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    world.lifeline.failing.store(3, Ordering::SeqCst);
    let failed = world.ack("s", &claimed, true).await;
    assert!(matches!(failed, Err(AckError::Unavailable(Unavailable::Storage(_)))), "{failed:?}");
    // Nothing was written, so the claim still holds.
    eventually(|| async { world.ack("s", &claimed, true).await.ok() }).await;
    world.append("e/a").await;
    world.lifeline.failing.store(2, Ordering::SeqCst);
    world.append("e/a").await;
    let claimed = eventually(|| async { world.claim("s", "w").await.ok() }).await;
    world.ack("s", &claimed, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_fails_leaves_nothing_behind() {
    let world = World::new().await;
    world.lifeline.failing.store(1, Ordering::SeqCst);
    let config =
        crate::kit::config(r#"{"type":"pull-wake","pattern":"e/*","wake_stream":"wakes"}"#);
    let id = crate::kit::subscription("s");
    let failed = world.keeper.subscriptions().create(&id, config, None).await;
    assert!(failed.is_err());
    let gone = eventually(|| async {
        match world.claim("s", "w").await {
            Err(ClaimError::Unavailable(_)) => None,
            other => Some(other),
        }
    });
    assert_eq!(gone.await, Err(ClaimError::NotFound));
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    world.claim("s", "w").await.expect("it works");
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_compacted_and_read_back() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "").await;
    let mut last = 0;
    for _ in 0..400 {
        world.append("e/a").await;
        let claimed = world.claim("s", "w").await.unwrap();
        world.ack("s", &claimed, true).await.unwrap();
        last = claimed.generation;
    }
    let stored = world.stored("s").await.unwrap();
    assert!(stored.earliest > 0 && stored.tail - stored.earliest < 100_000, "{stored:?}");
    let before = world.get("s").await;
    world.kill().await;
    assert_eq!(world.get("s").await, before);
    world.append("e/a").await;
    assert_eq!(world.claim("s", "w").await.unwrap().generation, last + 1);
}

//! Pull-wake: wake events, claims, leases, fencing (PROTOCOL.md sections 7.2 and 7.3).

use streamkeeper::protocol::subscription::{ClaimRejection, Status};
use streamkeeper::{AckError, ClaimError};

use crate::kit::{LEASE, World, subscription};

#[tokio::test(start_paused = true)]
async fn a_wake_event_is_written_and_the_work_is_claimed_acked_and_over() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let wakes = world.wait_for_wakes(1).await;
    assert_eq!(wakes[0]["type"], "wake");
    assert_eq!(wakes[0]["subscription_id"], "s");
    assert_eq!(wakes[0]["stream"], "e/a");
    assert_eq!(wakes[0]["generation"], 1);
    assert!(wakes[0]["ts"].as_i64().unwrap() >= 1_700_000_000_000);
    let tail = world.append("e/a").await;
    let claimed = world.claim("s", "w").await.unwrap();
    assert_eq!((claimed.generation, claimed.lease_ttl), (1, LEASE));
    assert_eq!((claimed.streams[0].tail, claimed.streams[0].has_pending), (tail, true));
    assert!(!world.ack("s", &claimed, true).await.unwrap().next_wake);
    assert_eq!(world.cursors("s").await, [("e/a".to_owned(), tail)]);
    let nothing = world.claim("s", "w").await.unwrap_err();
    assert_eq!(nothing, ClaimError::Rejected(ClaimRejection::NoPendingWork));
    assert_eq!(world.wakes().await.len(), 1);
    world.append("e/a").await;
    assert_eq!(world.wait_for_wakes(2).await[1]["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_claim_needs_no_wake_event() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "").await;
    for _ in 0..20 {
        world.append("e/a").await;
        let claimed = world.claim("s", "w").await.unwrap();
        world.ack("s", &claimed, true).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_crashes_loses_its_lease_and_another_is_woken() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let crashed = world.claim("s", "w1").await.unwrap();
    let busy = world.claim("s", "w2").await.unwrap_err();
    let current_holder = "w1".to_owned();
    let claimed = ClaimRejection::AlreadyClaimed { current_holder, generation: 1 };
    assert_eq!(busy, ClaimError::Rejected(claimed));
    tokio::time::sleep(LEASE / 2).await;
    world.ack("s", &crashed, false).await.expect("a heartbeat");
    tokio::time::sleep(LEASE / 2).await;
    let busy = world.claim("s", "w2").await;
    assert!(busy.is_err(), "the heartbeat has extended the lease");
    world.append("e/a").await;
    tokio::time::sleep(LEASE).await;
    let events = world.wait_for_wakes(2).await;
    assert_eq!(events.last().unwrap()["generation"], 2);
    assert_eq!(world.ack("s", &crashed, true).await, Err(AckError::Fenced));
    assert_eq!(world.release("s", &crashed).await, Err(AckError::Fenced));
    let other = world.claim("s", "w2").await.unwrap();
    assert_eq!(world.ack("s", &crashed, true).await, Err(AckError::Fenced));
    world.ack("s", &other, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_of_many_claims_holds() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    for _ in 0..20 {
        let workers: Vec<String> = (0..16).map(|n| format!("w{n}")).collect();
        let claims = workers.iter().map(|worker| world.claim("s", worker));
        let claims = futures::future::join_all(claims).await;
        let held: Vec<_> = claims.into_iter().filter_map(Result::ok).collect();
        assert_eq!(held.len(), 1);
        world.release("s", &held[0]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_is_given_back_wakes_again() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    world.release("s", &claimed).await.unwrap();
    let again = world.claim("s", "w").await.unwrap();
    assert_eq!(again.generation, claimed.generation + 1);
    assert_ne!(again.wake_id, claimed.wake_id);
    assert!(again.streams[0].has_pending);
    world.append("e/a").await;
    assert!(world.ack("s", &again, true).await.unwrap().next_wake);
}

#[tokio::test(start_paused = true)]
async fn a_wake_stream_that_is_missing_gets_its_event_once_it_is_there() {
    let world = World::new().await;
    world.delete("wakes").await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    tokio::time::sleep(LEASE).await;
    assert_eq!(world.get("s").await.status, Status::Failed);
    world.create("wakes", "").await;
    let wakes = world.wait_for_wakes(1).await;
    assert_eq!(wakes[0]["generation"], 1);
    assert_eq!(world.get("s").await.status, Status::Active);
    tokio::time::sleep(LEASE * 20).await;
    assert_eq!(world.wakes().await.len(), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn tokens_prove_one_wake_of_one_subscription() {
    let world = World::new().await;
    world.subscribe("s").await;
    world.subscribe("t").await;
    world.create("e/a", "1").await;
    let mut s = world.claim("s", "w").await.unwrap();
    let t = world.claim("t", "w").await.unwrap();
    s.token.clone_from(&t.token);
    assert_eq!(world.ack("s", &s, true).await, Err(AckError::TokenInvalid));
    for token in ["", "1", "1.", "x.y", "é"] {
        s.token = token.into();
        assert_eq!(world.ack("s", &s, true).await, Err(AckError::TokenInvalid));
    }
    assert_eq!(world.ack("s", &t, true).await, Err(AckError::Fenced), "its wake is of another");
    assert_eq!(world.ack("missing", &t, true).await, Err(AckError::NotFound));
    let request = crate::kit::acks(&t, true);
    let subscriptions = world.keeper.subscriptions();
    let callback = subscriptions.callback(&subscription("t"), &t.token, request).await;
    assert_eq!(callback, Err(AckError::WrongDelivery));
    world.ack("t", &t, true).await.unwrap();
}

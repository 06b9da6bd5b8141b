//! Delivery by webhook: calls, callbacks, the retry schedule (PROTOCOL.md section 7.1).

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use streamkeeper::protocol::subscription::{Ack, AckRequest, Acknowledged, Status};
use streamkeeper::{AckError, CreateSubscriptionError, Limits, Offset, WebhookOutcome};
use tokio::time::Instant;

use crate::kit::{LEASE, World, config, eventually, name, subscription};

/// Calls back for all that a call told.
async fn call_back(
    world: &World,
    id: &str,
    call: &Value,
    done: bool,
) -> Result<Acknowledged, AckError> {
    let acks = call["streams"].as_array().expect("as the text says").iter().map(|stream| Ack {
        stream: name(stream["path"].as_str().expect("as the text says")),
        offset: stream["tail_offset"]
            .as_str()
            .expect("as the text says")
            .parse::<Offset>()
            .expect("as the text says"),
    });
    let request = AckRequest {
        wake_id: call["wake_id"].as_str().expect("as the text says").into(),
        generation: call["generation"].as_u64().expect("as the text says"),
        acks: acks.collect(),
        done,
    };
    let token = call["callback_token"].as_str().expect("as the text says");
    world.keeper.subscriptions().callback(&subscription(id), token, request).await
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_done_at_once_acks_what_it_was_told() {
    let world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    world.receiver().answer(WebhookOutcome::Done);
    world.create("e/a", "1").await;
    let call = world.receiver().call(0).await;
    assert_eq!(call["subscription_id"], "s");
    assert_eq!(call["callback_url"], "http://here/callback");
    assert_eq!(call["streams"][0]["has_pending"], true);
    let tail = call["streams"][0]["tail_offset"].as_str().unwrap().to_owned();
    eventually(|| async {
        (world.get("s").await.links[0].acked_offset.to_string() == tail).then_some(())
    })
    .await;
    assert_eq!(world.receiver().calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_calls_back_and_is_fenced_when_done() {
    let world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    world.create("e/a", "1").await;
    let call = world.receiver().call(0).await;
    tokio::time::sleep(LEASE / 2).await;
    assert!(!call_back(&world, "s", &call, false).await.unwrap().next_wake);
    tokio::time::sleep(LEASE / 2).await;
    world.append("e/a").await;
    assert!(call_back(&world, "s", &call, true).await.unwrap().next_wake);
    assert_eq!(call_back(&world, "s", &call, true).await, Err(AckError::Fenced));
    let next = world.receiver().call(1).await;
    assert_eq!(next["generation"], 2);
    assert_ne!(next["wake_id"], call["wake_id"]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_never_calls_back_is_called_again() {
    let world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    let begun = Instant::now();
    world.create("e/a", "1").await;
    let call = world.receiver().call(0).await;
    let again = world.receiver().call(1).await;
    assert!(begun.elapsed() >= LEASE);
    assert_eq!(again["generation"], 2);
    assert_eq!(call_back(&world, "s", &call, true).await, Err(AckError::Fenced));
    call_back(&world, "s", &again, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failed_calls_are_repeated_on_a_schedule_that_survives_a_kill() {
    let mut world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    for _ in 0..4 {
        world.receiver().answer(WebhookOutcome::Failed("500".into()));
    }
    let mut last = Instant::now();
    world.create("e/a", "1").await;
    let first = world.receiver().call(0).await;
    for attempt in 1..4u32 {
        world.append("e/a").await;
        world.kill().await;
        assert_eq!(world.get("s").await.status, Status::Failed);
        let call = world.receiver().call(attempt as usize).await;
        assert_eq!(call["wake_id"], first["wake_id"], "it is the same wake");
        let base = Duration::from_secs(1 << (attempt - 1));
        let waited = last.elapsed();
        let slack = Duration::from_millis(50);
        assert!(waited >= base * 8 / 10 && waited <= base * 12 / 10 + slack, "{waited:?}");
        last = Instant::now();
    }
    let call = world.receiver().call(4).await;
    call_back(&world, "s", &call, true).await.unwrap();
    assert_eq!(world.get("s").await.status, Status::Active);
    tokio::time::sleep(LEASE * 20).await;
    assert_eq!(world.receiver().calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_with_its_lease() {
    let world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    world.receiver().hanging.store(true, Ordering::SeqCst);
    world.create("e/a", "1").await;
    let call = world.receiver().call(0).await;
    tokio::time::sleep(LEASE + Duration::from_millis(100)).await;
    assert_eq!(world.receiver().at_once.load(Ordering::SeqCst), 0, "it was given up");
    assert_eq!(call_back(&world, "s", &call, true).await, Err(AckError::Fenced));
    world.receiver().hanging.store(false, Ordering::SeqCst);
    let again = world.receiver().call(1).await;
    assert_eq!(again["generation"], 2);
    call_back(&world, "s", &again, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cut_short_by_a_kill_is_made_again_with_the_same_wake() {
    let mut world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    world.receiver().hanging.store(true, Ordering::SeqCst);
    world.create("e/a", "1").await;
    let call = world.receiver().call(0).await;
    world.kill().await;
    world.receiver().hanging.store(false, Ordering::SeqCst);
    let again = world.receiver().call(1).await;
    assert_eq!(again["wake_id"], call["wake_id"]);
    // Whichever of the two does the work.
    call_back(&world, "s", &call, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_so_many_webhooks_are_called_at_once_and_all_have_their_turn() {
    let world = World::with_webhooks(Limits { webhook_calls: 3, ..Limits::default() }).await;
    world.receiver().hanging.store(true, Ordering::SeqCst);
    for number in 0..12 {
        world.hook(&format!("s{number}")).await;
        world.receiver().answer(WebhookOutcome::Done);
    }
    world.create("e/a", "1").await;
    world.receiver().call(2).await;
    tokio::time::sleep(LEASE / 2).await;
    assert_eq!(world.receiver().calls().len(), 3);
    world.receiver().hanging.store(false, Ordering::SeqCst);
    world.receiver().call(11).await;
    assert_eq!(world.receiver().most_at_once.load(Ordering::SeqCst), 3);
    tokio::time::sleep(LEASE).await;
    assert_eq!(world.receiver().calls().len(), 12, "nobody had to wait for a second turn");
}

#[tokio::test(start_paused = true)]
async fn webhooks_need_somebody_who_calls_them_and_a_url_that_may_be_called() {
    let json = r#"{"type":"webhook","pattern":"e/*","webhook":{"url":"http://10.0.0.1/"}}"#;
    let id = subscription("s");
    let without = World::new().await;
    let refused = without.keeper.subscriptions().create(&id, config(json), None).await;
    assert_eq!(refused, Err(CreateSubscriptionError::WebhooksDisabled));
    let with = World::with_webhooks(Limits::default()).await;
    let refused = with.keeper.subscriptions().create(&id, config(json), None).await;
    assert_eq!(refused, Err(CreateSubscriptionError::UrlRejected("https only".into())));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_its_subscription_its_life_and_its_purpose() {
    let world = World::with_webhooks(Limits::default()).await;
    world.hook("s").await;
    world.hook("t").await;
    world.create("e/a", "1").await;
    let calls = [world.receiver().call(0).await, world.receiver().call(1).await];
    let of = |id: &str| calls.iter().find(|call| call["subscription_id"] == id).unwrap().clone();
    let (mut s, t) = (of("s"), of("t"));
    let own = s["callback_token"].clone();
    s["callback_token"] = t["callback_token"].clone();
    assert_eq!(call_back(&world, "s", &s, true).await, Err(AckError::TokenInvalid));
    s["callback_token"] = "expired".into();
    assert_eq!(call_back(&world, "s", &s, true).await, Err(AckError::TokenExpired));
    s["callback_token"] = own.clone();
    let subscriptions = world.keeper.subscriptions();
    let request = AckRequest {
        wake_id: s["wake_id"].as_str().unwrap().into(),
        generation: 1,
        acks: vec![],
        done: true,
    };
    let ack = subscriptions.ack(&subscription("s"), own.as_str().unwrap(), request).await;
    assert_eq!(ack, Err(AckError::TokenInvalid), "a callback's token acks no claim");
    subscriptions.delete(&subscription("s")).await.unwrap();
    world.hook("s").await;
    assert_eq!(call_back(&world, "s", &s, true).await, Err(AckError::TokenInvalid));
}

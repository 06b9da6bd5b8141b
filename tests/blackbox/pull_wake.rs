//! Workers that claim: races, heartbeats, releases, expiring leases, and who is fenced.

use futures::future::join_all;
use serde_json::{Value, json};
use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::subscription::body;
use streamkeeper_tests::{Subscription, eventually};

/// Long enough never to expire in a test.
const LONG_LEASE: u64 = 600_000;

/// The shortest there is.
const SHORT_LEASE: u64 = 1_000;

/// The body of an ack of everything that a claim told of.
fn ack_of(claimed: &Value, done: bool) -> Value {
    let streams = claimed["streams"].as_array().unwrap();
    let ack = |stream: &Value| json!({"stream": stream["path"], "offset": stream["tail_offset"]});
    json!({
        "wake_id": claimed["wake_id"],
        "generation": claimed["generation"],
        "acks": streams.iter().map(ack).collect::<Vec<_>>(),
        "done": done,
    })
}

fn token(claimed: &Value) -> &str {
    claimed["token"].as_str().unwrap()
}

#[tokio::test]
async fn one_of_many_workers_gets_the_claim() {
    let server = Shared::with(PATIENT);
    let subscription = Subscription::pull_wake(server.address(), LONG_LEASE).await;
    subscription.claim("early").await.expect_problem(409, "no_pending_work");
    subscription.append("a").await;
    eventually("a wake event", async || !subscription.wakes().await.is_empty()).await;
    let event = &subscription.wakes().await[0];
    assert_eq!(
        (&event["type"], &event["subscription_id"]),
        (&json!("wake"), &json!(subscription.id))
    );
    assert_eq!(event["stream"], subscription.stream("a"));

    let workers: Vec<String> = (0..8).map(|n| format!("worker-{n}")).collect();
    let claims = join_all(workers.iter().map(|worker| subscription.claim(worker))).await;
    let won: Vec<usize> = (0..8).filter(|n| claims[*n].status == 200).collect();
    let [winner] = won[..] else { panic!("{won:?} have the claim") };
    let claimed = body(&claims[winner]);
    assert_eq!(claimed["generation"], event["generation"]);
    for lost in (0..8).filter(|n| *n != winner) {
        let expected = json!({
            "code": "ALREADY_CLAIMED",
            "current_holder": workers[winner],
            "generation": claimed["generation"],
        });
        assert_eq!(claims[lost].status, 409);
        assert_eq!(body(&claims[lost]), json!({"error": expected}));
    }
    let done = subscription.post("ack", token(&claimed), ack_of(&claimed, true)).await.expect(200);
    assert_eq!(body(&done), json!({"ok": true, "next_wake": false}));
}

#[tokio::test]
async fn an_ack_that_is_not_done_keeps_the_claim_and_a_release_gives_it_to_the_next() {
    let server = Shared::with(PATIENT);
    let subscription = Subscription::pull_wake(server.address(), LONG_LEASE).await;
    let first_tail = subscription.append("a").await;
    let claimed = body(&subscription.claim("one").await.expect(200));
    subscription.post("ack", token(&claimed), ack_of(&claimed, false)).await.expect(200);
    assert_eq!(subscription.cursor("a").await.as_ref(), Some(&first_tail));
    subscription.claim("two").await.expect(409);

    subscription.append("a").await;
    let release = json!({"wake_id": claimed["wake_id"], "generation": claimed["generation"]});
    subscription.post("release", token(&claimed), release.clone()).await.expect(204);
    assert_eq!(subscription.cursor("a").await, Some(first_tail), "nothing was acked");
    let stale = subscription.post("release", token(&claimed), release).await.expect(409);
    assert_eq!(body(&stale), json!({"error": {"code": "FENCED"}}));
    eventually("another wake event", async || subscription.wakes().await.len() == 2).await;
    let next = body(&subscription.claim("two").await.expect(200));
    assert!(next["generation"].as_u64() > claimed["generation"].as_u64());
    assert_ne!(next["wake_id"], claimed["wake_id"]);
}

#[tokio::test]
async fn a_lease_that_expired_goes_to_the_next_and_the_first_is_fenced() {
    let server = Shared::with(PATIENT);
    let subscription = Subscription::pull_wake(server.address(), SHORT_LEASE).await;
    subscription.append("a").await;
    let crashed = body(&subscription.claim("crashed").await.expect(200));
    eventually("the work is to be had again", async || {
        subscription.claim("next").await.status == 200
    })
    .await;
    let before = subscription.cursor("a").await;
    let late = subscription.post("ack", token(&crashed), ack_of(&crashed, true)).await.expect(409);
    assert_eq!(body(&late), json!({"error": {"code": "FENCED"}}));
    assert_eq!(subscription.cursor("a").await, before);
}

#[tokio::test]
async fn acks_that_cannot_be_move_nothing() {
    let server = Shared::with(PATIENT);
    let subscription = Subscription::pull_wake(server.address(), LONG_LEASE).await;
    subscription.append("a").await;
    let claimed = body(&subscription.claim("one").await.expect(200));
    let before = subscription.cursor("a").await;
    for (stream, offset) in [
        (subscription.stream("a"), "0000000000000000_0000000000009999"),
        ("elsewhere".to_owned(), "0000000000000000_0000000000000001"),
    ] {
        let mut ack = ack_of(&claimed, true);
        let more = json!({"stream": stream, "offset": offset});
        ack["acks"].as_array_mut().unwrap().push(more);
        let refused = subscription.post("ack", token(&claimed), ack).await;
        refused.expect_problem(409, "invalid_offset");
        assert_eq!(subscription.cursor("a").await, before, "all or nothing");
    }
    subscription.post("ack", token(&claimed), ack_of(&claimed, true)).await.expect(200);
}

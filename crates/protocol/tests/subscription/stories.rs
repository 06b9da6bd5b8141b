//! What the text of PROTOCOL.md tells, told in examples.

use streamkeeper_protocol::Offset;
use streamkeeper_protocol::subscription::{
    Ack, AckRejection, ClaimRejection, Duty, InvalidAck, LinkType, Outcome, Phase, Signing, Status,
    SubscriptionId,
};

use crate::model::{LEASE, World, name};

const PULL: &str = r#"{"type":"pull-wake","pattern":"events/*","wake_stream":"wake/pool",
    "lease_ttl_ms":1000}"#;
const WEBHOOK: &str = r#"{"type":"webhook","pattern":"events/*","lease_ttl_ms":1000,
    "webhook":{"url":"https://worker.example/"}}"#;

#[test]
fn the_past_is_not_replayed_and_what_comes_later_is_read_from_its_beginning() {
    let mut world = World::new(PULL, &[("events/old", 50)]);
    assert_eq!(world.claim().unwrap_err(), ClaimRejection::NoPendingWork);
    world.append("events/new", 9);
    world.append("elsewhere", 9);
    let told = world.claim().unwrap();
    let streams: Vec<_> = told.tails.keys().map(ToString::to_string).collect();
    assert_eq!(streams, ["events/new", "events/old"]);
    assert_eq!(world.tracker.state().links[&name("events/new")].acked, 0);
    assert_eq!(world.tracker.state().links[&name("events/old")].acked, 50);
}

#[test]
fn a_claim_is_held_until_its_lease_expires_and_then_fenced() {
    let mut world = World::new(PULL, &[]);
    world.append("events/a", 9);
    assert!(matches!(
        world.tracker.duty(world.at(), None),
        Duty::WriteWakeEvent { generation: 1, .. }
    ));
    let told = world.claim().unwrap();
    let other = world.claim().unwrap_err();
    let current_holder = "worker".to_owned();
    assert_eq!(other, ClaimRejection::AlreadyClaimed { current_holder, generation: 1 });
    world.pass(LEASE - 1);
    assert_eq!(world.ack(&told, 0, false), Ok(false), "a heartbeat");
    world.pass(LEASE - 1);
    assert_eq!(world.ack(&told, 50, false), Ok(false));
    world.pass(LEASE);
    assert_eq!(world.tracker.state().generation, 2, "woken again");
    assert_eq!(world.ack(&told, 100, true), Err(AckRejection::Fenced));
    let again = world.claim().unwrap();
    assert_eq!(world.ack(&again, 100, true), Ok(false));
    assert_eq!(world.ack(&again, 100, true), Err(AckRejection::Fenced));
}

#[test]
fn work_that_came_meanwhile_wakes_again() {
    let mut world = World::new(PULL, &[]);
    world.append("events/a", 9);
    let told = world.claim().unwrap();
    world.append("events/a", 9);
    assert_eq!(world.ack(&told, 100, true), Ok(true));
    assert_eq!(world.tracker.state().generation, 2);
    let told = world.claim().unwrap();
    world.release(&told).unwrap();
    assert_eq!(world.tracker.state().generation, 3);
}

#[test]
fn an_ack_moves_all_cursors_or_none() {
    let mut world = World::new(PULL, &[]);
    world.append("events/a", 10);
    world.append("events/b", 10);
    let told = world.claim().unwrap();
    let ack = |stream: &str, position| Ack { stream: name(stream), offset: Offset::new(position) };
    for (stream, position, reason) in
        [("events/a", 11, InvalidAck::BeyondTail), ("elsewhere", 1, InvalidAck::NotLinked)]
    {
        let acks = vec![ack("events/b", 10), ack(stream, position)];
        let stream = name(stream);
        let rejection = AckRejection::InvalidOffset { stream, reason };
        assert_eq!(world.ack_these(&told, acks, true), Err(rejection));
    }
    world.ack_these(&told, vec![ack("events/a", 6)], false).unwrap();
    let back = world.ack_these(&told, vec![ack("events/a", 5)], false).unwrap_err();
    let reason = InvalidAck::BehindCursor;
    assert_eq!(back, AckRejection::InvalidOffset { stream: name("events/a"), reason });
}

#[test]
fn another_life_of_a_stream_begins_anew_and_is_not_acked_by_a_wake_of_the_first() {
    let mut world = World::new(PULL, &[]);
    world.append("events/a", 100);
    let told = world.claim().unwrap();
    world.delete("events/a");
    assert!(!world.tracker.has_work());
    world.append("events/a", 300);
    assert_eq!(world.ack(&told, 100, true), Ok(true), "the worker did nothing wrong");
    assert_eq!(world.tracker.state().links[&name("events/a")].acked, 0);
    let told = world.claim().unwrap();
    assert_eq!(world.ack(&told, 100, true), Ok(false));
}

#[test]
fn an_explicit_link_takes_precedence_and_leaves_the_glob_link_behind() {
    let mut world = World::new(PULL, &[("events/a", 10)]);
    world.add("events/a");
    world.add("later");
    let link_type = |world: &World, stream: &str| {
        world.tracker.state().links.get(&name(stream)).map(|link| link.link_type())
    };
    assert_eq!(link_type(&world, "events/a"), Some(LinkType::Explicit));
    world.remove("events/a");
    world.remove("events/a");
    assert_eq!(link_type(&world, "events/a"), Some(LinkType::Glob));
    assert_eq!(world.tracker.state().links[&name("events/a")].acked, 10);
    world.append("later", 4);
    assert!(world.has_work(), "a stream that did not exist is read from its beginning");
    world.remove("later");
    assert_eq!(link_type(&world, "later"), None);
    assert_eq!(world.tracker.state().phase, Phase::Idle, "its work is gone");
}

#[test]
fn a_webhook_that_is_done_acks_what_it_was_told() {
    let mut world = World::new(WEBHOOK, &[]);
    world.append("events/a", 10);
    let (attempt, _) = world.attempt().unwrap();
    world.append("events/a", 5);
    world.delivered(&attempt, Outcome::Done);
    assert_eq!(world.tracker.state().links[&name("events/a")].acked, 10);
    assert_eq!(world.tracker.state().generation, 2, "what came since wakes again");
}

#[test]
fn a_webhook_that_fails_is_called_again_with_the_same_wake() {
    let mut world = World::new(WEBHOOK, &[]);
    world.append("events/a", 10);
    let (attempt, told) = world.attempt().unwrap();
    world.delivered(&attempt, Outcome::Failed);
    assert_eq!(world.tracker.duty(world.at(), None), Duty::None);
    let id = SubscriptionId::new("s").unwrap();
    assert_eq!(world.tracker.describe(&id).status, Status::Failed);
    world.append("events/a", 10);
    world.restart();
    let retry = world.tracker.deadline(world.at()).unwrap().as_millis() - world.now;
    assert!((800..=1200).contains(&retry), "{retry} ms");
    world.pass(retry - 1);
    assert_eq!(world.tracker.duty(world.at(), None), Duty::None, "the schedule is durable");
    world.pass(1);
    let (again, _) = world.attempt().unwrap();
    assert_eq!((&again.wake_id, again.generation), (&attempt.wake_id, attempt.generation));
    // The first call had arrived after all.
    assert_eq!(world.ack(&told, 100, true), Ok(true));
    assert_eq!(world.tracker.describe(&id).status, Status::Active);
}

#[test]
fn a_webhook_that_does_not_answer_within_its_lease_is_fenced_and_called_anew_after_a_wait() {
    let mut world = World::new(WEBHOOK, &[]);
    world.append("events/a", 10);
    let (attempt, told) = world.attempt().unwrap();
    world.pass(LEASE);
    assert_eq!(world.tracker.state().phase, Phase::Idle);
    world.delivered(&attempt, Outcome::Done);
    assert_eq!(world.ack(&told, 100, true), Err(AckRejection::Fenced));
    world.pass(1200);
    let (again, _) = world.attempt().unwrap();
    assert_eq!(again.generation, 2);
}

#[test]
fn responses_have_the_shapes_of_the_text() {
    let mut world = World::new(WEBHOOK, &[("events/a", 10)]);
    let id = SubscriptionId::new("sub-1").unwrap();
    let signing = Signing { kid: "ds_1".into(), jwks_url: "https://x/jwks.json".into() };
    let body = world.tracker.describe(&id).to_json(Some(&signing));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let expected = serde_json::json!({
        "id": "sub-1", "subscription_id": "sub-1", "type": "webhook", "pattern": "events/*",
        "streams": [{ "path": "events/a", "link_type": "glob",
            "acked_offset": "0000000000000000_0000000000000010" }],
        "webhook": { "url": "https://worker.example/",
            "signing": { "alg": "ed25519", "kid": "ds_1", "jwks_url": "https://x/jwks.json" } },
        "wake_stream": null, "lease_ttl_ms": 1000, "created_at": "1970-01-01T00:00:00.000Z",
        "status": "active", "description": null,
    });
    assert_eq!(body, expected);
    world.append("events/a", 2);
    let (attempt, _) = world.attempt().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&attempt.body(&id, "token")).unwrap();
    let expected = serde_json::json!({
        "subscription_id": "sub-1", "wake_id": attempt.wake_id.as_str(), "generation": 1,
        "streams": [{ "path": "events/a", "link_type": "glob", "has_pending": true,
            "acked_offset": "0000000000000000_0000000000000010",
            "tail_offset": "0000000000000000_0000000000000012" }],
        "callback_url": null, "callback_token": "token",
    });
    assert_eq!(body, expected);
}

//! Which streams are linked, creation and deletion (PROTOCOL.md section 6).

use streamkeeper::protocol::subscription::LinkType;
use streamkeeper::{
    AckError, AppendRequest, ClaimError, CreateRequest, CreateSubscriptionError, ForkFrom,
    ReadError, ReadFrom, SubscriptionError,
};

use crate::kit::{World, config, json, name, names, subscription};

const CONFIG: &str =
    r#"{"type":"pull-wake","pattern":"e/*","wake_stream":"wakes","lease_ttl_ms":10000}"#;

#[tokio::test(start_paused = true)]
async fn a_subscription_is_created_once_and_confirmed_as_described() {
    let world = World::new().await;
    let subscriptions = world.keeper.subscriptions();
    let id = subscription("s");
    let creations = (0..16).map(|_| subscriptions.create(&id, config(CONFIG), None));
    let created = futures::future::join_all(creations).await;
    let fresh = created.iter().filter(|created| created.as_ref().unwrap().fresh);
    assert_eq!(fresh.count(), 1);
    let other = config(r#"{"type":"pull-wake","pattern":"e/**","wake_stream":"wakes"}"#);
    let conflict = subscriptions.create(&id, other, None).await;
    assert_eq!(conflict, Err(CreateSubscriptionError::Conflict));
    assert_eq!(subscriptions.get(&id).await.unwrap().config, config(CONFIG));
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_linked_at_its_tail_and_what_comes_later_at_its_beginning() {
    let world = World::new().await;
    world.create("e/old", "1").await;
    world.create("other", "1").await;
    let tail = world.append("e/old").await;
    let links = world.subscribe("s").await.links;
    assert_eq!((links.len(), links[0].acked_offset.position()), (1, tail));
    assert!(world.claim("s", "w").await.is_err(), "the past is not replayed");
    world.create("e/new", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    let pending: Vec<_> = claimed.streams.iter().filter(|s| s.has_pending).collect();
    assert_eq!((pending.len(), pending[0].path.as_str(), pending[0].acked), (1, "e/new", 0));
}

#[tokio::test(start_paused = true)]
async fn explicit_streams_come_and_go_and_leave_the_glob_link() {
    let world = World::new().await;
    world.create("e/a", "1").await;
    world.create("x", "1").await;
    world.subscribe("s").await;
    let (subscriptions, id) = (world.keeper.subscriptions(), subscription("s"));
    subscriptions.add_streams(&id, names(&["x", "e/a", "later"])).await.unwrap();
    subscriptions.add_streams(&id, names(&["x"])).await.unwrap();
    let links = world.get("s").await.links;
    assert_eq!(links.len(), 3);
    assert!(links.iter().all(|link| link.link_type == LinkType::Explicit));
    assert!(world.claim("s", "w").await.is_err(), "linked at their tails");
    world.append("x").await;
    world.create("later", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    let pending = claimed.streams.iter().filter(|s| s.has_pending).map(|s| s.path.as_str());
    assert_eq!(pending.collect::<Vec<_>>(), ["later", "x"]);
    world.ack("s", &claimed, true).await.unwrap();
    for stream in ["x", "x", "e/a", "later"] {
        subscriptions.remove_stream(&id, &name(stream)).await.unwrap();
    }
    let links = world.get("s").await.links;
    assert_eq!((links.len(), links[0].link_type), (1, LinkType::Glob));
    world.append("x").await;
    assert!(world.claim("s", "w").await.is_err(), "no longer linked");
    world.append("e/a").await;
    world.claim("s", "w").await.expect("still linked");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_deleted_has_no_work_and_begins_anew() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    world.ack("s", &claimed, true).await.unwrap();
    world.append("e/a").await;
    world.delete("e/a").await;
    assert_eq!(world.cursors("s").await, []);
    assert!(world.claim("s", "w").await.is_err());
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    assert_eq!((claimed.streams[0].acked, claimed.streams[0].has_pending), (0, true));
    world.delete("e/a").await;
    world.create("e/a", "[1,2,3]").await;
    let acked = world.ack("s", &claimed, true).await.unwrap();
    assert!(acked.next_wake, "what the worker has done was of the life before");
    assert_eq!(world.cursors("s").await, [("e/a".to_owned(), 0)]);
    world.delete("e/a").await;
    world.kill().await;
    assert_eq!(world.cursors("s").await, []);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_subscription_fences_its_workers_and_its_id_is_free() {
    let mut world = World::new().await;
    world.subscribe("s").await;
    world.create("e/a", "1").await;
    let claimed = world.claim("s", "w").await.unwrap();
    let (subscriptions, id) = (world.keeper.subscriptions(), subscription("s"));
    assert_eq!(subscriptions.delete(&id).await, Ok(true));
    assert_eq!(subscriptions.delete(&id).await, Ok(false));
    assert_eq!(world.ack("s", &claimed, true).await, Err(AckError::NotFound));
    assert_eq!(subscriptions.get(&id).await, Err(SubscriptionError::NotFound));
    assert_eq!(world.claim("s", "w").await, Err(ClaimError::NotFound));
    world.kill().await;
    let subscriptions = world.keeper.subscriptions();
    assert_eq!(subscriptions.get(&id).await, Err(SubscriptionError::NotFound));
    world.subscribe("s").await;
    world.append("e/a").await;
    let anew = world.claim("s", "w").await.unwrap();
    assert_eq!(anew.generation, 1);
    assert_eq!(world.ack("s", &claimed, true).await, Err(AckError::Fenced));
    world.ack("s", &anew, true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_streams_of_subscriptions_are_out_of_reach() {
    let world = World::new().await;
    world.subscribe("s").await;
    let hidden = subscription("s").stream_name();
    let keeper = &world.keeper;
    let read = keeper.read(&hidden, ReadFrom::Start, 100).await;
    assert_eq!(read.err(), Some(ReadError::NotFound));
    assert_eq!(keeper.metadata(&hidden).await, Err(ReadError::NotFound));
    let append =
        AppendRequest { content_type: Some(json()), body: "1".into(), ..Default::default() };
    assert!(keeper.append(&hidden, append).await.is_err());
    assert!(keeper.create(&hidden, CreateRequest::default()).await.is_err());
    assert!(keeper.delete(&hidden).await.is_err());
    let fork = ForkFrom { source: hidden.clone(), offset: None, sub_offset: 0 };
    let fork = CreateRequest { fork: Some(fork), ..Default::default() };
    assert!(keeper.create(&name("fork"), fork).await.is_err());
    world.get("s").await;
    let everything = r#"{"type":"pull-wake","pattern":"**","wake_stream":"wakes"}"#;
    assert_eq!(world.subscribe_as("all", everything).await.links, []);
}

#[tokio::test(start_paused = true)]
async fn two_systems_do_not_disturb_each_other() {
    let (one, other) = (World::new().await, World::new().await);
    one.subscribe("s").await;
    other.subscribe("s").await;
    one.create("e/a", "1").await;
    one.claim("s", "w").await.expect("its own work");
    assert!(other.claim("s", "w").await.is_err());
}

//! Listing: what can be read, page by page.

use streamkeeper::{CreateRequest, StreamName, Streamkeeper};

use crate::kit::*;

async fn all(keeper: &Streamkeeper, prefix: &str, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut after: Option<StreamName> = None;
    loop {
        let page = keeper.list(prefix, after.as_ref(), limit).await.unwrap();
        assert!(page.names.len() <= limit.max(1));
        names.extend(page.names.iter().map(|name| name.as_str().to_owned()));
        let Some(next) = page.next else { return names };
        after = Some(next);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_any_size_tell_every_name_once_and_in_order() {
    let keeper = keeper(&Scripted::new()).await;
    let mut expected: Vec<String> = (0..50).map(|i| format!("a/{i}")).collect();
    expected.sort();
    for s in expected.iter().map(String::as_str).chain(["a", "b/1", "A/1"]) {
        keeper.create(&name(s), stream()).await.unwrap();
    }
    for limit in [0, 1, 7, 16, 49, 50, 51, 1000] {
        assert_eq!(all(&keeper, "a/", limit).await, expected, "{limit}");
    }
    assert_eq!(all(&keeper, "b", 10).await, ["b/1"]);
    assert_eq!(all(&keeper, "", 10).await.len(), 53);
    assert_eq!(all(&keeper, "c", 10).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn neither_the_deleted_nor_the_expired_are_listed_awake_or_not() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let first = keeper_at(&storage, &clock).await;
    for s in ["deleted", "forked", "kept"] {
        first.create(&name(s), stream()).await.unwrap();
    }
    first.create(&name("brief"), CreateRequest { expiry: ttl(10), ..stream() }).await.unwrap();
    first.create(&name("the-fork"), fork_of(&name("forked"))).await.unwrap();
    first.delete(&name("deleted")).await.unwrap();
    first.delete(&name("forked")).await.unwrap();
    assert_eq!(all(&first, "", 10).await, ["brief", "kept", "the-fork"]);
    clock.set(9_000);
    assert_eq!(all(&first, "", 10).await, ["brief", "kept", "the-fork"]);
    clock.set(60_000);
    assert_eq!(all(&first, "", 10).await, ["kept", "the-fork"]);

    // A system that has just begun has no actor of any of them.
    let second = keeper_at(&storage, &clock).await;
    assert_eq!(all(&second, "", 10).await, ["kept", "the-fork"]);
    let page = second.streams(None, 10);
    assert!(!page.streams.iter().any(|stream| stream.name == name("kept")), "listing wakes nobody");
}

#[tokio::test(start_paused = true)]
async fn a_listing_does_not_prolong_a_life() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    keeper.create(&name("brief"), CreateRequest { expiry: ttl(10), ..stream() }).await.unwrap();
    for second in 1..10 {
        clock.set(second * 1_000);
        assert_eq!(all(&keeper, "", 10).await, ["brief"]);
    }
    clock.set(10_001);
    assert_eq!(all(&keeper, "", 10).await, Vec::<String>::new());
}

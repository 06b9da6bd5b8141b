//! Restart policies by the prefix of a name, and the list of what they keep down.

use std::time::Duration;

use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{AppendError, StreamName, Streamkeeper, Unavailable};

use crate::kit::*;

const MINUTE: Duration = Duration::from_secs(60);

/// How often a stream is started again until it stays down.
async fn crashes_until_quarantine(keeper: &Streamkeeper, s: &StreamName) -> u32 {
    for crashes in 0..20 {
        match keeper.append(s, message("x")).await {
            Err(AppendError::Unavailable(Unavailable::OutcomeUnknown)) => settle().await,
            Err(AppendError::Unavailable(Unavailable::Quarantined { .. })) => return crashes,
            other => panic!("{other:?}"),
        }
    }
    panic!("{s} was never kept down");
}

#[tokio::test(start_paused = true)]
async fn each_prefix_has_its_intensity_and_the_longest_wins() {
    let storage = Scripted::new();
    let policy = |max| StandardPolicy::transient().intensity(max, MINUTE).backoff(Backoff::NONE);
    let keeper = Streamkeeper::builder()
        .storage(storage.clone())
        .policy_for("a/b/", policy(3))
        .policy(policy(1))
        .policy_for("a/", policy(2))
        .start()
        .await
        .unwrap();
    let names = [name("c"), name("a/x"), name("a/b/x")];
    for s in &names {
        keeper.create(s, stream()).await.unwrap();
    }
    storage.script(|_| Fault::Panic);
    let mut crashes = Vec::new();
    for s in &names {
        crashes.push(crashes_until_quarantine(&keeper, s).await);
    }
    // The first crash, and as many after restarts as are tolerated.
    assert_eq!(crashes, [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_down_is_listed_with_the_reason_until_it_is_lifted() {
    let storage = Scripted::new();
    let none = StandardPolicy::transient().intensity(0, MINUTE);
    let builder = Streamkeeper::builder().storage(storage.clone()).policy_for("bad/", none);
    let keeper = builder.start().await.unwrap();
    for s in ["bad/2", "bad/1", "good"] {
        keeper.create(&name(s), stream()).await.unwrap();
    }
    assert_eq!(keeper.quarantined(), []);
    storage.script(|_| Fault::Panic);
    for s in ["bad/2", "bad/1", "good"] {
        assert!(keeper.append(&name(s), message("x")).await.is_err());
        settle().await;
    }
    let listed = keeper.quarantined();
    let names: Vec<&str> = listed.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["bad/1", "bad/2"]);
    assert!(listed.iter().all(|stream| stream.reason.contains("scripted crash")), "{listed:?}");

    storage.calm();
    assert_eq!(keeper.lift_quarantine(&name("bad/1")).await, Ok(true));
    assert_eq!(keeper.quarantined().len(), 1);
    keeper.append(&name("bad/1"), message("x")).await.unwrap();
}

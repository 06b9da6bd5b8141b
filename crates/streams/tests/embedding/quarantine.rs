//! A stream that crashes too often is kept down: writes are refused, reads go on.

use std::time::Duration;

use streamkeeper::{
    AppendError, CreateError, CreateRequest, DeleteError, Expiry, ReadError, ReadFrom, StreamName,
    Streamkeeper, Timestamp, Unavailable,
};

use crate::kit::*;

/// Crashes a stream until it stays down.
async fn quarantine(storage: &Scripted, keeper: &Streamkeeper, s: &StreamName) {
    storage.script(|_| Fault::Panic);
    for _ in 0..6 {
        let crashed = keeper.append(s, message("crash")).await;
        assert_eq!(crashed, Err(AppendError::Unavailable(Unavailable::OutcomeUnknown)));
        // Until the supervisor has learned of it.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    storage.calm();
}

fn is_quarantined(why: &Unavailable) -> bool {
    matches!(why, Unavailable::Quarantined { reason } if reason.contains("scripted crash"))
}

#[tokio::test(start_paused = true)]
async fn writes_are_refused_with_the_reason_and_reads_go_on() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("a")).await.unwrap();
    keeper.append(&s, message("b")).await.unwrap();
    quarantine(&storage, &keeper, &s).await;

    match keeper.append(&s, message("c")).await {
        Err(AppendError::Unavailable(why)) => assert!(is_quarantined(&why), "{why:?}"),
        other => panic!("{other:?}"),
    }
    match keeper.delete(&s).await {
        Err(DeleteError::Unavailable(why)) => assert!(is_quarantined(&why), "{why:?}"),
        other => panic!("{other:?}"),
    }
    for request in [stream(), fork_of(&name("other"))] {
        match keeper.create(&s, request).await {
            Err(CreateError::Unavailable(why)) => assert!(is_quarantined(&why), "{why:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read_all(&keeper, &s, 1).await.unwrap(), "ab");
    assert_eq!(keeper.metadata(&s).await.unwrap().next_offset.position(), 2);
    let page = keeper.read_live(&s, ReadFrom::Start, ALL, Duration::from_secs(1)).await.unwrap();
    assert_eq!(texts(&page), ["a", "b"]);
    let error = keeper.read_live(&s, ReadFrom::Now, ALL, Duration::from_secs(1)).await;
    assert!(matches!(error, Err(ReadError::Unavailable(_))), "nothing can come: {error:?}");
}

#[tokio::test(start_paused = true)]
async fn it_lasts_until_it_is_lifted() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    assert_eq!(keeper.lift_quarantine(&s).await, Ok(false));
    quarantine(&storage, &keeper, &s).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(keeper.append(&s, message("a")).await.is_err());
    assert_eq!(keeper.lift_quarantine(&s).await, Ok(true));
    assert_eq!(keeper.lift_quarantine(&s).await, Ok(false));
    keeper.append(&s, message("a")).await.unwrap();
    assert_eq!(contents(&keeper, &s).await, "a");
    // It has a past no more: it may crash as often as before.
    quarantine(&storage, &keeper, &s).await;
    assert_eq!(keeper.lift_quarantine(&s).await, Ok(true));
    assert_eq!(contents(&keeper, &s).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_lift_that_fails_leaves_it_down() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    quarantine(&storage, &keeper, &s).await;
    storage.fail_loads(&s, 1);
    assert!(keeper.lift_quarantine(&s).await.is_err());
    assert!(matches!(
        keeper.append(&s, message("a")).await,
        Err(AppendError::Unavailable(Unavailable::Quarantined { .. }))
    ));
    assert_eq!(keeper.lift_quarantine(&s).await, Ok(true));
    keeper.append(&s, message("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fork_of_it_still_reads_its_data() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (s, fork) = (name("s"), name("fork"));
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("a")).await.unwrap();
    keeper.create(&fork, fork_of(&s)).await.unwrap();
    quarantine(&storage, &keeper, &s).await;
    keeper.append(&fork, message("b")).await.unwrap();
    assert_eq!(read_all(&keeper, &fork, 1).await.unwrap(), "ab");
}

/// Expired is absent, with an actor or without.
#[tokio::test(start_paused = true)]
async fn it_expires_all_the_same() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    let expiry = Some(Expiry::At(Timestamp::from_millis(60_000)));
    keeper.create(&s, CreateRequest { expiry, ..stream() }).await.unwrap();
    quarantine(&storage, &keeper, &s).await;
    assert!(keeper.metadata(&s).await.is_ok());
    clock.set(60_000);
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
}

//! TTL and expiry, on a clock that the test moves: decided on access, to the millisecond.

use std::time::Duration;

use streamkeeper::{
    AppendError, CreateError, CreateRequest, DeleteError, Expiry, ReadError, ReadFrom, StreamName,
    Streamkeeper, Timestamp,
};
use streamkeeper_protocol::stream::{
    AppendRejection, CreateRejection, DeleteRejection, ForkRejection,
};

use crate::kit::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A system whose clock shows zero, with a stream of ten seconds. No timer ever fires.
async fn ten_seconds() -> (std::sync::Arc<Scripted>, TestClock, Streamkeeper, StreamName) {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(10), ..stream() }).await.unwrap();
    (storage, clock, keeper, s)
}

#[tokio::test(start_paused = true)]
async fn expired_is_absent_to_every_operation() {
    for operation in 0..6 {
        let (_, clock, keeper, s) = ten_seconds().await;
        clock.set(9_999);
        assert!(keeper.metadata(&s).await.is_ok());
        clock.set(10_000);
        match operation {
            0 => assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound)),
            1 => {
                let page = keeper.read(&s, ReadFrom::Start, ALL).await;
                assert_eq!(page.unwrap_err(), ReadError::NotFound);
            }
            2 => {
                let not_found = AppendError::Rejected(AppendRejection::NotFound);
                assert_eq!(keeper.append(&s, message("a")).await, Err(not_found));
            }
            3 => {
                let not_found = DeleteError::Rejected(DeleteRejection::NotFound);
                assert_eq!(keeper.delete(&s).await, Err(not_found));
            }
            4 => {
                let not_found = CreateError::Fork(ForkRejection::SourceNotFound);
                assert_eq!(keeper.create(&name("f"), fork_of(&s)).await, Err(not_found));
            }
            _ => {
                let page = keeper.subscribe(&s, ReadFrom::Start, ALL).await;
                assert_eq!(page.unwrap_err(), ReadError::NotFound);
            }
        }
        assert!(keeper.create(&s, stream()).await.unwrap().fresh, "the name is free");
    }
}

#[tokio::test(start_paused = true)]
async fn reads_and_writes_slide_and_metadata_does_not() {
    let (_, clock, keeper, s) = ten_seconds().await;
    let mut now = 0;
    let mut producer = 0;
    for use_it in 0..7 {
        now += 9_000;
        clock.set(now);
        match use_it {
            0 => drop(keeper.read(&s, ReadFrom::Now, ALL).await.unwrap()),
            1 => drop(keeper.append(&s, message("a")).await.unwrap()),
            2 => drop(keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap()),
            3 => {
                let page = keeper.read_live(&s, ReadFrom::Now, ALL, Duration::from_millis(1)).await;
                page.unwrap();
            }
            4 | 5 => {
                let outcome = keeper.append(&s, produced("b", "p", 0, 0)).await.unwrap().outcome;
                assert_eq!(outcome == streamkeeper::Outcome::Duplicate, producer > 0);
                producer += 1;
            }
            _ => drop(keeper.append(&s, closing()).await.unwrap()),
        }
    }
    clock.set(now + 9_000);
    keeper.metadata(&s).await.unwrap();
    keeper.metadata(&s).await.unwrap();
    clock.set(now + 9_999);
    assert!(keeper.metadata(&s).await.is_ok());
    clock.set(now + 10_000);
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn a_date_does_not_slide() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    let expiry = Some(Expiry::At(Timestamp::from_millis(5_000)));
    keeper.create(&s, CreateRequest { expiry, ..stream() }).await.unwrap();
    clock.set(4_999);
    keeper.append(&s, message("a")).await.unwrap();
    assert_eq!(contents(&keeper, &s).await, "a");
    clock.set(5_000);
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn what_is_expired_at_birth_is_created_and_gone() {
    let (storage, clock) = (Scripted::new(), TestClock::at(50_000));
    let keeper = keeper_at(&storage, &clock).await;
    for expiry in [ttl(0), Some(Expiry::At(Timestamp::from_millis(1)))] {
        let s = name("s");
        let request = CreateRequest { expiry, ..stream() };
        assert!(keeper.create(&s, request.clone()).await.unwrap().fresh);
        assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
        assert!(keeper.create(&s, request).await.unwrap().fresh);
        settle().await;
    }
}

/// The reads of a stream, at whatever pace; then the system goes down and comes back later.
#[tokio::test(start_paused = true)]
async fn a_restart_never_makes_it_earlier() {
    for pace in [1, 50, 700, 999, 1_001, 3_000, 9_000] {
        for crash in [false, true] {
            let (storage, clock, keeper, s) = ten_seconds().await;
            for now in (0..=36_000).step_by(pace) {
                clock.set(now);
                keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
            }
            let last = clock.millis();
            settle().await;
            let keeper = match crash {
                true => {
                    storage.script(|_| Fault::Panic);
                    assert!(keeper.append(&s, message("a")).await.is_err());
                    storage.calm();
                    settle().await;
                    keeper
                }
                false => {
                    keeper.shutdown(HOUR).await;
                    keeper_at(&storage, &clock).await
                }
            };
            clock.set(last + 9_999);
            assert!(keeper.metadata(&s).await.is_ok(), "pace {pace}, crash {crash}");
            clock.set(last + 10_000 + 2_001);
            assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound), "at most 2 s later");
        }
    }
}

/// A read whose touch was not recorded yet: the actor crashed under it.
#[tokio::test(start_paused = true)]
async fn a_crash_that_loses_a_touch_does_not_make_it_earlier() {
    let (storage, clock, keeper, s) = ten_seconds().await;
    clock.set(9_000);
    storage.script(when("s", "touch", Fault::Panic));
    keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    settle().await;
    storage.calm();
    clock.set(18_999);
    let metadata = keeper.metadata(&s).await;
    assert!(metadata.is_ok(), "it was read at 9 s and has 10 s to live: {metadata:?}");
}

#[tokio::test(start_paused = true)]
async fn an_expired_source_is_gone_and_lives_on_for_its_forks() {
    let (storage, clock, keeper, s) = ten_seconds().await;
    keeper.append(&s, message("a")).await.unwrap();
    let fork = name("fork");
    let never = Some(Expiry::Never);
    keeper.create(&fork, CreateRequest { expiry: never, ..fork_of(&s) }).await.unwrap();
    clock.set(10_000);
    assert!(keeper.metadata(&s).await.is_err());
    settle().await;
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::Gone));
    let gone = AppendError::Rejected(AppendRejection::Gone);
    assert_eq!(keeper.append(&s, message("b")).await, Err(gone));
    let taken = CreateError::Rejected(CreateRejection::SoftDeleted);
    assert_eq!(keeper.create(&s, stream()).await, Err(taken));
    assert_eq!(contents(&keeper, &fork).await, "a");
    keeper.delete(&fork).await.unwrap();
    eventually("the source is reclaimed", async || storage.state(&s).is_none()).await;
    assert!(keeper.create(&s, stream()).await.unwrap().fresh);
}

#[tokio::test(start_paused = true)]
async fn another_life_has_its_own_time() {
    let (_, clock, keeper, s) = ten_seconds().await;
    clock.set(9_000);
    keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    keeper.delete(&s).await.unwrap();
    keeper.create(&s, CreateRequest { expiry: ttl(3), ..stream() }).await.unwrap();
    clock.set(11_999);
    assert!(keeper.metadata(&s).await.is_ok());
    clock.set(12_000);
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
}

/// Until the next life is durable readers see the last one, by its own deadline: what was absent once
/// does not come back for a moment.
#[tokio::test(start_paused = true)]
async fn the_next_life_does_not_lend_its_time_to_the_last() {
    let (storage, clock, keeper, s) = ten_seconds().await;
    clock.set(10_000);
    storage.script(|_| Fault::Hold);
    let again = tokio::spawn({
        let (keeper, s) = (keeper.clone(), s.clone());
        async move { keeper.create(&s, CreateRequest { expiry: ttl(10), ..stream() }).await }
    });
    settle().await;
    assert_eq!(storage.held(&s), 2, "the end of one life and the beginning of the next");
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
    storage.calm();
    storage.release_all();
    assert!(again.await.unwrap().unwrap().fresh);
    assert!(keeper.metadata(&s).await.is_ok());
}

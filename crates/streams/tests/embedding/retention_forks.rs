//! Retention and forks: a fork keeps what it has inherited, and drops it by its own policy.

use futures::FutureExt;
use streamkeeper::{
    CreateRequest, ForkFrom, Offset, ReadError, Retention, StreamName, Streamkeeper,
};
use streamkeeper_storage::{Range, Storage};

use crate::kit::*;

/// A source that keeps two of its ten messages of two bytes, with a fork that keeps everything.
async fn family(keeper: &Streamkeeper) -> (StreamName, StreamName) {
    let (source, fork) = (name("source"), name("fork"));
    keeper.create(&source, keeping(2)).await.unwrap();
    append_all(keeper, &source, (0..10).map(|i| format!("{i};"))).await;
    let all = Some(Retention::default());
    keeper.create(&fork, CreateRequest { retention: all, ..fork_of(&source) }).await.unwrap();
    (source, fork)
}

/// Where the messages begin that storage holds of a stream's life.
fn begin(storage: &Scripted, s: &StreamName) -> Option<u64> {
    let id = storage.state(s)?.id;
    let range = Range { id, from: 0, until: u64::MAX, max_bytes: 1 };
    let chunks = storage.read(range).now_or_never().expect("memory is ready").ok()?;
    Some(chunks.first()?.position)
}

#[tokio::test(start_paused = true)]
async fn a_fork_keeps_what_it_refers_to_until_it_ends() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (source, fork) = family(&keeper).await;
    append_all(&keeper, &fork, ["own;".into()]).await;
    assert_eq!(compacted(&keeper).await.dropped_messages, 8);
    assert_eq!(contents(&keeper, &source).await, "8;9;");
    assert_eq!(contents(&keeper, &fork).await, "0;1;2;3;4;5;6;7;8;9;own;");
    assert_eq!(begin(&storage, &source), Some(0));
    keeper.delete(&fork).await.unwrap();
    eventually("the space is given back", async || begin(&storage, &source) == Some(16)).await;
    assert_eq!(contents(&keeper, &source).await, "8;9;");
}

#[tokio::test(start_paused = true)]
async fn a_fork_after_the_cut_begins_there() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (source, _) = family(&keeper).await;
    compacted(&keeper).await;
    let late = name("late");
    keeper.create(&late, fork_of(&source)).await.unwrap();
    assert_eq!(contents(&keeper, &late).await, "8;9;");
    let fork = ForkFrom { source: source.clone(), offset: Some(Offset::new(4)), sub_offset: 1 };
    let dropped = CreateRequest { fork: Some(fork), ..Default::default() };
    let refused = keeper.create(&name("f"), dropped).await.unwrap_err();
    use streamkeeper::CreateError::Fork;
    use streamkeeper_protocol::stream::ForkRejection::BeforeEarliest;
    assert_eq!(refused, Fork(BeforeEarliest { earliest: Offset::new(16) }));
}

#[tokio::test(start_paused = true)]
async fn of_a_fork_only_its_own_messages_count_and_the_inherited_go_first() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (source, _) = family(&keeper).await;
    let fork = name("counted");
    let retention = keeping(3).retention;
    keeper.create(&fork, CreateRequest { retention, ..fork_of(&source) }).await.unwrap();
    append_all(&keeper, &fork, ["a;".into(), "b;".into(), "c;".into()]).await;
    compacted(&keeper).await;
    assert_eq!(contents(&keeper, &fork).await, "0;1;2;3;4;5;6;7;8;9;a;b;c;");
    append_all(&keeper, &fork, ["d;".into()]).await;
    compacted(&keeper).await;
    assert_eq!(contents(&keeper, &fork).await, "b;c;d;");
    assert_eq!(contents(&keeper, &name("fork")).await, "0;1;2;3;4;5;6;7;8;9;");
}

/// Bytes are bytes, inherited or not: the cut may lie in the data of the source.
#[tokio::test(start_paused = true)]
async fn a_cut_may_lie_in_what_was_inherited() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (source, _) = family(&keeper).await;
    let fork = name("sized");
    let max_bytes = std::num::NonZeroU64::new(7);
    let retention = Some(Retention { max_bytes, ..Default::default() });
    keeper.create(&fork, CreateRequest { retention, ..fork_of(&source) }).await.unwrap();
    append_all(&keeper, &fork, ["a;".into()]).await;
    compacted(&keeper).await;
    assert_eq!(contents(&keeper, &fork).await, "8;9;a;");
    append_all(&keeper, &fork, ["b;".into(), "c;".into()]).await;
    compacted(&keeper).await;
    assert_eq!(contents(&keeper, &fork).await, "a;b;c;");
}

#[tokio::test(start_paused = true)]
async fn a_fork_inherits_the_policy() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (source, fork) = (name("source"), name("fork"));
    keeper.create(&source, keeping(2)).await.unwrap();
    keeper.create(&fork, fork_of(&source)).await.unwrap();
    append_all(&keeper, &fork, (0..5).map(|i| format!("{i};"))).await;
    assert_eq!(compacted(&keeper).await.streams, 2);
    assert_eq!(contents(&keeper, &fork).await, "3;4;");
}

#[tokio::test(start_paused = true)]
async fn a_soft_deleted_stream_is_left_alone() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (source, fork) = family(&keeper).await;
    keeper.delete(&source).await.unwrap();
    let status = compacted(&keeper).await;
    assert_eq!((status.streams, status.compactions, status.failures), (0, 0, 0));
    assert_eq!(keeper.metadata(&source).await.unwrap_err(), ReadError::Gone);
    assert_eq!(contents(&keeper, &fork).await, "0;1;2;3;4;5;6;7;8;9;");
    // And after a restart, too.
    keeper.shutdown(std::time::Duration::from_secs(1)).await;
    let keeper = self::keeper(&storage).await;
    settle().await;
    assert_eq!(compacted(&keeper).await.streams, 0);
    assert_eq!(contents(&keeper, &fork).await, "0;1;2;3;4;5;6;7;8;9;");
}

//! What every backend must do, as tests that a backend's own test module runs.
//!
//! ```text
//! streamkeeper_storage::storage_contract!(async { MyStorage::new() });
//! ```
//!
//! A new guarantee of [`Storage`] is a new function here first. Each function takes an empty storage
//! and panics if the storage breaks the contract.

use std::num::NonZeroU64;

use bytes::Bytes;
use streamkeeper_protocol::stream::{
    Ancestor, Config, Expiry, Origin, Record, Retention, StreamId, StreamState,
};
use streamkeeper_protocol::{
    Batch, ContentType, Offset, Producer, StreamName, StreamSeq, Timestamp, Ttl,
};
use uuid::Uuid;

use crate::{Chunk, Entry, Range, Storage, StorageError};

/// Expands to one `#[tokio::test]` for each function of [`contract`](self), each with a storage of its
/// own from the given future.
#[macro_export]
macro_rules! storage_contract {
    ($new:expr) => {
        $crate::storage_contract!(@each $new;
            a_created_stream_is_loaded
            a_name_is_created_once
            records_fold_into_the_state_that_is_loaded
            a_commit_must_follow_the_last_record
            commits_may_be_in_flight_one_upon_the_other
            messages_are_read_in_order_and_in_pages
            reads_begin_at_the_message_that_holds_the_position
            a_read_ends_at_its_until
            a_large_message_is_a_page_of_its_own
            a_refused_commit_changes_nothing
            a_deleted_stream_is_gone_and_its_name_is_free
            a_soft_deleted_stream_stays_readable_until_its_last_fork_lets_go
            a_fork_holds_its_own_data_from_its_point_on
            truncation_drops_the_beginning
            truncation_leaves_to_forks_what_they_keep
            scheduled_streams_are_listed
            names_are_listed_sorted_in_pages
            streams_do_not_disturb_each_other
            history_reads_back_whole
        );
    };
    (@each $new:expr; $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::contract::$test(&$new.await).await;
            }
        )*
    };
}

/// One stream as its actor sees it: knows what it wrote.
struct Writer<'a> {
    storage: &'a dyn Storage,
    name: StreamName,
    id: StreamId,
    state: Option<StreamState>,
}

impl<'a> Writer<'a> {
    fn new(storage: &'a dyn Storage, name: &str) -> Self {
        let name = StreamName::new(name).expect("a name");
        Self { storage, name, id: StreamId::new(Uuid::now_v7()), state: None }
    }

    async fn created(storage: &'a dyn Storage, name: &str) -> Self {
        let mut writer = Self::new(storage, name);
        let record = writer.creation(None, None);
        writer.write(record).await;
        writer
    }

    fn creation(&self, origin: Option<Origin>, batch: Option<Batch>) -> Record {
        let content_type = ContentType::default();
        Record::Created {
            id: self.id,
            config: Config { content_type, ..Default::default() },
            origin: origin.map(Box::new),
            batch,
            closed: false,
            at: Timestamp::from_millis(1),
        }
    }

    fn entry(&self, record: Record) -> Entry {
        let follows = self.state.as_ref().map_or(0, |state| state.version);
        Entry { name: self.name.clone(), id: self.id, follows, record }
    }

    fn accept(&mut self, record: Record) -> crate::Commit {
        let commit = self.storage.commit(self.entry(record.clone()));
        StreamState::fold(&mut self.state, &record);
        commit
    }

    async fn write(&mut self, record: Record) {
        self.accept(record).await.expect("the commit succeeds");
    }

    async fn append(&mut self, message: &str) {
        self.write(appended(message)).await;
    }

    async fn read(&self, from: u64, until: u64, max_bytes: u64) -> Vec<Chunk> {
        let range = Range { id: self.id, from, until, max_bytes };
        self.storage.read(range).await.expect("the read succeeds")
    }

    async fn text(&self, from: u64, until: u64, max_bytes: u64) -> String {
        text(&self.read(from, until, max_bytes).await)
    }

    async fn assert_loads(&self) {
        assert_eq!(self.storage.load(&self.name).await, Ok(self.state.clone()));
    }
}

const ALL: u64 = u64::MAX;

fn batch(message: &str) -> Batch {
    Batch::one(Bytes::copy_from_slice(message.as_bytes())).expect("a message")
}

fn appended(message: &str) -> Record {
    append_record(Some(batch(message)), None, None, false)
}

fn append_record(
    batch: Option<Batch>,
    producer: Option<Producer>,
    seq: Option<StreamSeq>,
    closes: bool,
) -> Record {
    Record::Appended { batch, producer, seq, closes, at: Timestamp::from_millis(2) }
}

/// The bytes of consecutive chunks; panics at a gap.
fn text(chunks: &[Chunk]) -> String {
    for pair in chunks.windows(2) {
        assert_eq!(pair[0].end(), pair[1].position, "chunks follow each other");
    }
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.batch.payload().to_vec()).collect();
    String::from_utf8(bytes).expect("text")
}

/// What was created is loaded, with its first messages; other names are not there.
pub async fn a_created_stream_is_loaded(storage: &impl Storage) {
    let mut writer = Writer::new(storage, "a/b");
    writer.assert_loads().await;
    let record = writer.creation(None, Some(batch("hello")));
    writer.write(record).await;
    writer.assert_loads().await;
    assert_eq!(writer.text(0, ALL, ALL).await, "hello");
    let other = StreamName::new("a").expect("a name");
    assert_eq!(storage.load(&other).await, Ok(None));
}

/// Of two creations of one name the second conflicts and changes nothing.
pub async fn a_name_is_created_once(storage: &impl Storage) {
    let first = Writer::created(storage, "name").await;
    let second = Writer::new(storage, "name");
    let commit = storage.commit(second.entry(second.creation(None, Some(batch("second")))));
    assert_eq!(commit.await, Err(StorageError::Conflict));
    first.assert_loads().await;
    assert_eq!(first.text(0, ALL, ALL).await, "");
}

/// The loaded state is the fold of the records: producers, sequence, closing, touch, forks.
pub async fn records_fold_into_the_state_that_is_loaded(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "fold").await;
    let producer = Producer::parse(Some(b"p"), Some(b"3"), Some(b"0")).expect("a producer");
    let seq = StreamSeq::parse(b"s-1").ok();
    writer.write(append_record(Some(batch("x")), producer, seq, false)).await;
    writer.assert_loads().await;
    writer.write(Record::Touched { at: Timestamp::from_millis(99) }).await;
    writer.write(Record::ForkAdded { fork: StreamId::new(Uuid::now_v7()), keeps: 0 }).await;
    writer.assert_loads().await;
    writer.write(append_record(None, None, None, true)).await;
    writer.assert_loads().await;
    assert!(writer.state.as_ref().is_some_and(|state| state.closed && state.forks.len() == 1));
}

/// A commit that does not follow the last record conflicts and changes nothing.
pub async fn a_commit_must_follow_the_last_record(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "follow").await;
    writer.append("one").await;
    for follows in [0, 1, 3, u64::MAX] {
        let entry = Entry { follows, ..writer.entry(appended("stale")) };
        assert_eq!(storage.commit(entry).await, Err(StorageError::Conflict), "{follows}");
    }
    writer.assert_loads().await;
    assert_eq!(writer.text(0, ALL, ALL).await, "one");
    let absent = Writer::new(storage, "absent");
    let entry = Entry { follows: 1, ..absent.entry(appended("x")) };
    assert_eq!(storage.commit(entry).await, Err(StorageError::NotFound));
}

/// Commits that are accepted before the ones they follow are durable all become durable, in order.
pub async fn commits_may_be_in_flight_one_upon_the_other(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "flight").await;
    let commits: Vec<_> = (0..64).map(|i| writer.accept(appended(&format!("{i},")))).collect();
    let mut expected = String::new();
    for (i, commit) in commits.into_iter().enumerate() {
        commit.await.expect("the commit succeeds");
        expected.push_str(&format!("{i},"));
        assert!(writer.text(0, ALL, ALL).await.starts_with(&expected), "durable once resolved");
    }
    writer.assert_loads().await;
}

/// Pages hold whole messages, at most their size, and follow each other without gap or repetition.
pub async fn messages_are_read_in_order_and_in_pages(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "pages").await;
    let mut expected = String::new();
    for i in 0..100 {
        let message = format!("<{i}>");
        writer.append(&message).await;
        expected.push_str(&message);
    }
    let json = Batch::many(Bytes::from_static(b"1,22,333,"), vec![2, 3, 4]).expect("a batch");
    writer.write(append_record(Some(json), None, None, false)).await;
    expected.push_str("1,22,333,");
    for max_bytes in [1, 5, 7, 64, 1 << 20] {
        let mut all = String::new();
        let mut from = 0;
        loop {
            let chunks = writer.read(from, ALL, max_bytes).await;
            let Some(last) = chunks.last() else { break };
            assert_eq!(chunks[0].position, from);
            let page = text(&chunks);
            let messages: u64 = chunks.iter().map(|chunk| chunk.batch.count()).sum();
            assert!(page.len() as u64 <= max_bytes || messages == 1, "{page:?} in {max_bytes}");
            from = last.end();
            all.push_str(&page);
        }
        assert_eq!(all, expected, "in pages of {max_bytes}");
    }
}

/// A position inside a message reads that message whole; one past the end reads nothing.
pub async fn reads_begin_at_the_message_that_holds_the_position(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "inside").await;
    writer.append("hello").await;
    writer.append("world").await;
    for (from, expected) in
        [(0, "helloworld"), (1, "helloworld"), (4, "helloworld"), (5, "world"), (9, "world")]
    {
        assert_eq!(writer.text(from, ALL, ALL).await, expected, "from {from}");
    }
    for from in [10, 11, ALL] {
        assert_eq!(writer.text(from, ALL, ALL).await, "");
    }
}

/// Nothing at or past `until` is read; a message that reaches past it is cut.
pub async fn a_read_ends_at_its_until(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "until").await;
    writer.append("hello").await;
    writer.append("world").await;
    for (until, expected) in [(0, ""), (3, "hel"), (5, "hello"), (7, "hellowo"), (10, "helloworld")]
    {
        assert_eq!(writer.text(0, until, ALL).await, expected, "until {until}");
    }
}

/// A message larger than a page is read alone, so that a reader always gets on.
pub async fn a_large_message_is_a_page_of_its_own(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "large").await;
    let large = "x".repeat(200_000);
    for message in ["a", &large, "b"] {
        writer.append(message).await;
    }
    assert_eq!(writer.text(0, ALL, 1000).await, "a");
    assert_eq!(writer.text(1, ALL, 1000).await, large);
    assert_eq!(writer.text(200_001, ALL, 1000).await, "b");
}

/// A commit that fails leaves neither bytes nor state behind, so its retry is not taken for a
/// duplicate.
pub async fn a_refused_commit_changes_nothing(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "refused").await;
    let producer = Producer::parse(Some(b"p"), Some(b"0"), Some(b"0")).expect("a producer");
    let record = append_record(Some(batch("x")), producer, None, true);
    let stale = Entry { follows: 7, ..writer.entry(record.clone()) };
    assert!(storage.commit(stale).await.is_err());
    writer.assert_loads().await;
    writer.write(record).await;
    writer.assert_loads().await;
    assert_eq!(writer.text(0, ALL, ALL).await, "x");
}

/// A deleted stream is not there, its data is not read, and its name can be used for another life.
pub async fn a_deleted_stream_is_gone_and_its_name_is_free(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "again").await;
    writer.append("old").await;
    writer.write(Record::Deleted).await;
    writer.assert_loads().await;
    let range = Range { id: writer.id, from: 0, until: ALL, max_bytes: ALL };
    assert_eq!(storage.read(range).await, Err(StorageError::NotFound));
    let entry = Entry { follows: 3, ..writer.entry(appended("late")) };
    assert_eq!(storage.commit(entry).await, Err(StorageError::NotFound));
    let mut second = Writer::created(storage, "again").await;
    second.append("new").await;
    second.assert_loads().await;
    assert_eq!(second.text(0, ALL, ALL).await, "new");
}

/// Soft-deleted data is read by id, and the name is taken, until the last fork lets go.
pub async fn a_soft_deleted_stream_stays_readable_until_its_last_fork_lets_go(
    storage: &impl Storage,
) {
    let mut source = Writer::created(storage, "source").await;
    source.append("data").await;
    let forks = [StreamId::new(Uuid::now_v7()), StreamId::new(Uuid::now_v7())];
    for fork in forks {
        source.write(Record::ForkAdded { fork, keeps: 0 }).await;
    }
    source.write(Record::SoftDeleted).await;
    source.write(Record::ForkReleased { fork: forks[0] }).await;
    source.assert_loads().await;
    assert!(source.state.is_some());
    assert_eq!(source.text(0, ALL, ALL).await, "data");
    let taken = Writer::new(storage, "source");
    let commit = storage.commit(taken.entry(taken.creation(None, None)));
    assert_eq!(commit.await, Err(StorageError::Conflict));
    source.write(Record::ForkReleased { fork: forks[1] }).await;
    assert_eq!(source.state, None);
    source.assert_loads().await;
    Writer::created(storage, "source").await;
}

/// A fork's data begins at its point; what lies before is its ancestors'.
pub async fn a_fork_holds_its_own_data_from_its_point_on(storage: &impl Storage) {
    let mut source = Writer::created(storage, "source").await;
    source.append("hello").await;
    let mut fork = Writer::new(storage, "fork");
    let lineage = [Ancestor { id: source.id, until: 3 }];
    let origin = Origin {
        source: source.name.clone(),
        source_id: source.id,
        anchor: Offset::ZERO,
        sub_offset: 3,
        earliest: 0,
        lineage: lineage.into(),
    };
    let record = fork.creation(Some(origin), Some(batch("XY")));
    fork.write(record).await;
    fork.append("Z").await;
    fork.assert_loads().await;
    assert_eq!(fork.state.as_ref().map(|state| state.tail), Some(6));
    assert_eq!(source.text(0, 3, ALL).await, "hel");
    let own = fork.read(3, ALL, ALL).await;
    assert_eq!((own[0].position, text(&own)), (3, "XYZ".to_owned()));
}

/// After a truncation the beginning may be gone, the rest is whole, and offsets are as before.
pub async fn truncation_drops_the_beginning(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "truncated").await;
    for i in 0..100 {
        writer.append(&format!("{i:04}")).await;
    }
    writer.write(Record::Truncated { before: 200, messages: 2 }).await;
    writer.assert_loads().await;
    let expected: String = (50..100).map(|i| format!("{i:04}")).collect();
    assert_eq!(writer.text(200, ALL, ALL).await, expected);
    writer.append("tail").await;
    assert_eq!(writer.text(400, ALL, ALL).await, "tail");
}

/// What a fork may still read stays, until it lets go.
pub async fn truncation_leaves_to_forks_what_they_keep(storage: &impl Storage) {
    let mut source = Writer::created(storage, "kept").await;
    for i in 0..10 {
        source.append(&format!("{i:04}")).await;
    }
    let fork = StreamId::new(Uuid::now_v7());
    source.write(Record::ForkAdded { fork, keeps: 8 }).await;
    source.write(Record::Truncated { before: 32, messages: 8 }).await;
    source.assert_loads().await;
    assert_eq!(source.text(8, 40, ALL).await, "00020003000400050006000700080009");
    source.write(Record::ForkReleased { fork }).await;
    source.assert_loads().await;
    assert_eq!(source.text(32, ALL, ALL).await, "00080009");
}

/// Streams that time can change are told of, in pages; others may be, too.
pub async fn scheduled_streams_are_listed(storage: &impl Storage) {
    for name in ["b", "d", "f"] {
        Writer::created(storage, name).await;
    }
    let ttl = Ttl::new(60).map(Expiry::Ttl).expect("a TTL");
    let retention = Retention { max_messages: NonZeroU64::new(1), ..Default::default() };
    for name in ["a", "c", "e"] {
        let mut writer = Writer::new(storage, name);
        let mut record = writer.creation(None, None);
        if let Record::Created { config, .. } = &mut record {
            match name {
                "c" => config.expiry = ttl,
                _ => config.retention = retention,
            }
        }
        writer.write(record).await;
        writer.assert_loads().await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = storage.scheduled(after.as_ref(), 2).await.expect("a list");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page.iter().map(|name| name.as_str().to_owned()));
    }
    assert!(seen.is_sorted());
    for name in ["a", "c", "e"] {
        assert!(seen.iter().any(|held| held == name), "{name} is not among {seen:?}");
    }
}

/// Names are listed sorted, by prefix, in pages.
pub async fn names_are_listed_sorted_in_pages(storage: &impl Storage) {
    for name in ["b/2", "a", "b/1", "b", "b/3", "c"] {
        Writer::created(storage, name).await;
    }
    let names = |prefix: &'static str, after: Option<&'static str>, limit| async move {
        let after = after.map(|name| StreamName::new(name).expect("a name"));
        let page = storage.list(prefix, after.as_ref(), limit).await.expect("a list");
        page.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("", None, 100).await, ["a", "b", "b/1", "b/2", "b/3", "c"]);
    assert_eq!(names("b/", None, 2).await, ["b/1", "b/2"]);
    assert_eq!(names("b/", Some("b/2"), 2).await, ["b/3"]);
    assert!(names("b/", Some("b/3"), 2).await.is_empty());
}

/// What happens to one stream does not show in another.
pub async fn streams_do_not_disturb_each_other(storage: &impl Storage) {
    let mut streams = Vec::new();
    for i in 0..20 {
        streams.push(Writer::created(storage, &format!("s{i}")).await);
    }
    for round in 0..10 {
        for (i, stream) in streams.iter_mut().enumerate() {
            stream.append(&format!("{i}:{round};")).await;
        }
    }
    for stream in streams.iter_mut().step_by(2) {
        stream.write(Record::Deleted).await;
    }
    for (i, stream) in streams.iter().enumerate() {
        stream.assert_loads().await;
        if i % 2 == 1 {
            let expected: String = (0..10).map(|round| format!("{i}:{round};")).collect();
            assert_eq!(stream.text(0, ALL, ALL).await, expected);
        }
    }
}

/// A history much larger than any buffer reads back byte for byte, from any of its offsets.
pub async fn history_reads_back_whole(storage: &impl Storage) {
    let mut writer = Writer::created(storage, "history").await;
    let mut expected = String::new();
    let mut offsets = Vec::new();
    for i in 0..5_000 {
        let message = format!("message {i:0width$};", width = i % 97);
        offsets.push(expected.len());
        expected.push_str(&message);
        writer.append(&message).await;
    }
    assert_eq!(writer.text(0, ALL, ALL).await, expected);
    for offset in offsets.iter().step_by(251) {
        assert_eq!(writer.text(*offset as u64, ALL, ALL).await, expected[*offset..]);
    }
}

/// Appends beyond the space there is are [`StorageError::Full`], whole; a deletion makes space.
///
/// For backends that can be told how much space they have, in bytes of messages (at least 10).
pub async fn full_storage_refuses_appends_and_recovers(storage: &impl Storage, bytes: usize) {
    let mut first = Writer::created(storage, "first").await;
    first.append(&"x".repeat(bytes - 4)).await;
    let mut second = Writer::created(storage, "second").await;
    let commit = storage.commit(second.entry(appended("12345")));
    assert_eq!(commit.await, Err(StorageError::Full));
    second.assert_loads().await;
    assert_eq!(second.text(0, ALL, ALL).await, "");
    second.append("1234").await;
    first.write(append_record(None, None, None, true)).await;
    first.write(Record::Deleted).await;
    second.append("12345").await;
    assert_eq!(second.text(0, ALL, ALL).await, "123412345");
}

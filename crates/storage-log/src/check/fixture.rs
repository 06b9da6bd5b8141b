//! Logs for tests: written by the storage, read by the storage.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamkeeper_protocol::stream::{
    Ancestor, Config, Expiry, Origin, Record, Retention, StreamId, StreamState,
};
use streamkeeper_protocol::{
    Batch, ContentType, Offset, Producer, StreamName, StreamSeq, Timestamp, Ttl,
};
use streamkeeper_storage::{Entry, Range, Storage, StorageError};
use tempfile::TempDir;
use uuid::Uuid;

use super::{CheckReport, Repair, check};
use crate::env::{Env, RealEnv};
use crate::{LogOptions, LogStorage};

/// A log in a directory that goes with it.
pub(crate) struct Fixture {
    dir: TempDir,
    states: BTreeMap<String, Option<StreamState>>,
    log: Option<LogStorage>,
    options: LogOptions,
}

/// What a stream reads as: its bytes, or that it is corrupt.
pub(crate) type Content = Result<String, String>;

pub(crate) fn id(number: u128) -> StreamId {
    StreamId::new(Uuid::from_u128(number))
}

/// Nothing is merged.
fn options() -> LogOptions {
    LogOptions { merge_width: 1000, ..LogOptions::default() }
}

pub(crate) fn batch(messages: &[&str]) -> Option<Batch> {
    let lengths = messages.iter().map(|message| message.len() as u32).collect();
    Batch::many(messages.concat().into(), lengths)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let options = options();
        let dir = tempfile::tempdir().unwrap();
        Self { dir, states: BTreeMap::new(), log: None, options }
    }

    /// In the directory there may be siblings of the log.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn sibling(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Closes the log.
    pub(crate) fn close(&mut self) -> &mut Self {
        self.log = None;
        self
    }

    /// Files all that is in the journal.
    pub(crate) fn file(&mut self) -> &mut Self {
        self.close();
        self.open().settle();
        self.close()
    }

    fn open(&mut self) -> &LogStorage {
        let (dir, options) = (self.path(), self.options);
        self.log.get_or_insert_with(|| LogStorage::open(&dir, options).unwrap().0)
    }

    pub(crate) fn write(&mut self, name: &str, record: Record) -> &mut Self {
        let state = self.states.get(name).cloned().flatten();
        let (id, follows) = match (&state, &record) {
            (Some(state), _) => (state.id, state.version),
            (None, Record::Created { id, .. }) => (*id, 0),
            (None, _) => panic!("`{name}` is not there"),
        };
        let name_ = StreamName::new(name).unwrap();
        let entry = Entry { name: name_, id, follows, record: record.clone() };
        wait(self.open().commit(entry)).unwrap();
        let state = self.states.entry(name.to_owned()).or_default();
        StreamState::fold(state, &record);
        self
    }

    pub(crate) fn create(&mut self, name: &str, number: u128, messages: &[&str]) -> &mut Self {
        let config = Config::default();
        self.create_with(name, number, config, None, messages, false)
    }

    pub(crate) fn create_with(
        &mut self,
        name: &str,
        number: u128,
        config: Config,
        origin: Option<Origin>,
        messages: &[&str],
        closed: bool,
    ) -> &mut Self {
        let at = Timestamp::from_millis(1_000);
        let batch = batch(messages);
        let origin = origin.map(Box::new);
        self.write(name, Record::Created { id: id(number), config, origin, batch, closed, at })
    }

    pub(crate) fn append(&mut self, name: &str, messages: &[&str]) -> &mut Self {
        self.append_with(name, messages, None, None, false)
    }

    pub(crate) fn append_with(
        &mut self,
        name: &str,
        messages: &[&str],
        producer: Option<(&str, &str, &str)>,
        seq: Option<&[u8]>,
        closes: bool,
    ) -> &mut Self {
        let producer = producer.and_then(|(id, epoch, seq)| {
            let [id, epoch, seq] = [id, epoch, seq].map(|text| Some(text.as_bytes()));
            Producer::parse(id, epoch, seq).unwrap()
        });
        let seq = seq.map(|seq| StreamSeq::parse(seq).unwrap());
        let at = Timestamp::from_millis(2_000);
        let batch = batch(messages);
        self.write(name, Record::Appended { batch, producer, seq, closes, at })
    }

    /// Forks a stream at a position, in two records as the server does.
    pub(crate) fn fork(
        &mut self,
        source: &str,
        name: &str,
        number: u128,
        point: u64,
        messages: &[&str],
    ) -> &mut Self {
        let state = self.states[source].clone().unwrap();
        let mut lineage: Vec<Ancestor> = Vec::new();
        for ancestor in state.origin.iter().flat_map(|origin| origin.lineage.iter()) {
            let until = ancestor.until.min(point);
            lineage.push(Ancestor { id: ancestor.id, until });
        }
        if lineage.last().is_none_or(|last| last.until < point) {
            lineage.push(Ancestor { id: state.id, until: point });
        }
        let origin = Origin {
            source: StreamName::new(source).unwrap(),
            source_id: state.id,
            anchor: Offset::new(point.saturating_sub(1)),
            sub_offset: 1,
            earliest: state.earliest,
            lineage: lineage.into(),
        };
        self.write(source, Record::ForkAdded { fork: id(number), keeps: state.earliest });
        self.create_with(name, number, state.config, Some(origin), messages, false)
    }

    /// Streams of every kind.
    pub(crate) fn many_kinds() -> Self {
        let mut log = Self::new();
        let json = Config {
            content_type: ContentType::parse("application/json; charset=\"utf-8\"").unwrap(),
            expiry: Expiry::Ttl(Ttl::new(3600).unwrap()),
            retention: Retention {
                max_age: Ttl::new(9).ok(),
                max_messages: NonZeroU64::new(2),
                max_bytes: NonZeroU64::new(1 << 40),
            },
        };
        let until = Config {
            content_type: ContentType::parse("text/plain").unwrap(),
            expiry: Expiry::At(Timestamp::from_millis(4_000_000_000_000)),
            retention: Retention::default(),
        };
        log.create("bytes", 7, &["hello ", "world"]).append("bytes", &["\u{1}\u{0}\"\\"]);
        log.create("empty", 3, &[]);
        log.create_with("a/json \"é\"", 9, json, None, &["{\"a\":1},", "2,"], false);
        log.create_with("a/until", 1, until, None, &["text"], true);
        log.append_with(
            "bytes",
            &["p"],
            Some(("producer \"1\"", "3", "0")),
            Some(b"\x80\xffseq"),
            false,
        );
        log.append_with("bytes", &["q"], Some(("other", "0", "41")), None, false);
        log.append_with("a/json \"é\"", &["[3],"], None, None, true);
        log.write("empty", Record::Touched { at: Timestamp::from_millis(5_000) });
        log.create("cut", 20, &["one", "two"]).append("cut", &["three"]).append("cut", &["four"]);
        log.write("cut", Record::Truncated { before: 6, messages: 2 });
        log.create("source", 30, &["0123456789"]);
        log.fork("source", "b/fork", 2, 4, &["own"]).append("b/fork", &["more"]);
        log.fork("b/fork", "b/grandchild", 40, 9, &["x"]);
        log.write("source", Record::SoftDeleted);
        log.create("gone", 50, &["gone"]).write("gone", Record::Deleted);
        let large = "x".repeat(700_000);
        log.create("large", 60, &[&large, &large]).append("large", &[&large]);
        log.create("small messages", 61, &[]);
        for _ in 0..20 {
            log.append("small messages", &["abc"; 5000]);
        }
        log.close();
        log
    }

    /// What every stream reads as, its inherited part left out.
    pub(crate) fn contents(&mut self) -> BTreeMap<String, Content> {
        self.close();
        let contents = contents(&self.path());
        self.close();
        contents
    }

    pub(crate) fn check(&mut self, repair: Repair) -> CheckReport {
        self.close();
        check(&self.path(), repair, &mut |_, _| {}).unwrap()
    }

    /// The files in a folder of the log, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join(folder)).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Flips a bit of the first byte of a text that is in some file of a folder.
    pub(crate) fn damage(&mut self, folder: &str, text: &str) -> &mut Self {
        self.close();
        for file in self.files(folder) {
            let bytes = fs::read(&file).unwrap();
            let at = bytes.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = at {
                flip(&file, at);
                return self;
            }
        }
        panic!("no file in {folder} holds {text:?}");
    }
}

/// Flips a bit of a byte of a file.
pub(crate) fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 4;
    fs::write(file, bytes).unwrap();
}

/// What every stream of a log reads as.
pub(crate) fn contents(dir: &Path) -> BTreeMap<String, Content> {
    contents_in(Arc::new(RealEnv), dir)
}

/// [`contents`] on another file system.
pub(crate) fn contents_in(env: Arc<dyn Env>, dir: &Path) -> BTreeMap<String, Content> {
    let (log, _) = LogStorage::open_in(env, dir, options()).unwrap();
    let names = wait(log.list("", None, usize::MAX)).unwrap();
    let content = |name: &StreamName| -> Result<String, StorageError> {
        let state = wait(log.load(name))?.ok_or(StorageError::NotFound)?;
        let mut text = format!("{state:?}").replace("{", "[");
        if !state.producers.is_empty() {
            // Maps have no order.
            text = format!("{:?}", crate::codec::encode_state(&state));
        }
        let mut from = super::start(&state);
        while from < state.tail {
            let range = Range { id: state.id, from, until: u64::MAX, max_bytes: 100_000 };
            let chunks = wait(log.read(range))?;
            from = chunks.last().ok_or(StorageError::NotFound)?.end();
            chunks.iter().for_each(|chunk| {
                text.push_str(&String::from_utf8_lossy(chunk.batch.payload()));
            });
        }
        Ok(text)
    };
    let content = |name: StreamName| {
        let content = content(&name).map_err(|error| error.to_string());
        (name.to_string(), content)
    };
    names.into_iter().map(content).collect()
}

//! The end of the storm: the weather calms down, everything is brought to its end, and checked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crc32c::crc32c;
use futures::future::join_all;
use streamkeeper::supervisor::ChildState;
use streamkeeper::{
    AppendError, AppendRequest, Metadata, Offset, ReadError, ReadFrom, StreamName, Streamkeeper,
    Unavailable,
};
use streamkeeper_tests::eventually;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::brief::{self, Client};
use super::readers::Reader;
use super::world::{World, text};
use super::writers::{Sent, Told, Writer};
use crate::kit::{Call, Durable, Fate, INJECTED, check};

/// How long the end may take. Only a bug comes near it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is left of the storm.
pub(super) struct Finale {
    pub(super) streams: Vec<(Fate, StreamName)>,
    /// The whole content of each stream.
    contents: Vec<Vec<u8>>,
    pub(super) writers: Vec<Writer>,
    pub(super) readers: Vec<Reader>,
    pub(super) clients: Vec<Client>,
}

impl Finale {
    pub(super) async fn play(
        world: &Arc<World>,
        writers: Vec<Writer>,
        readers: Vec<JoinHandle<Reader>>,
        clients: Vec<Client>,
    ) -> Self {
        for (fate, name) in &world.streams {
            if fate.is_quarantined() {
                doom(world, name).await;
            }
        }
        world.weather.calm();
        for (fate, name) in &world.streams {
            recover(world, *fate, name).await;
        }
        let writers = join_all(writers.into_iter().map(Writer::finish)).await;
        for (_, name) in &world.streams {
            close(world, name).await;
        }
        check_tree(world).await;
        let readers = timeout(PATIENCE, join_all(readers)).await;
        let readers = readers.expect("every reader sees the end of its stream");
        let readers = readers.into_iter().map(|reader| reader.expect("a reader")).collect();
        let mut contents = Vec::new();
        for (_, name) in &world.streams {
            contents.push(content(&world.keeper, name).await);
        }
        let streams = world.streams.clone();
        let finale = Self { streams, contents, writers, readers, clients };
        finale.check_appends();
        finale.check_readers();
        finale.check_brief(world).await;
        finale
    }

    /// Every acknowledged append is there exactly once, where its writer was told, and in order.
    fn check_appends(&self) {
        let mut by_stream: BTreeMap<usize, HashMap<&str, &Sent>> = BTreeMap::new();
        for sent in self.writers.iter().flat_map(|writer| &writer.sent) {
            let before = by_stream.entry(sent.stream).or_default().insert(&sent.text, sent);
            assert!(before.is_none(), "every message is sent once");
        }
        for (stream, (_, name)) in self.streams.iter().enumerate() {
            let sent = by_stream.remove(&stream).unwrap_or_default();
            let content = str::from_utf8(&self.contents[stream]).expect("texts are read");
            check_stream(name, content, sent);
        }
    }

    /// Every page was a piece of the stream, and every reader has come to the end.
    fn check_readers(&self) {
        for reader in &self.readers {
            let name = &self.streams[reader.stream].1;
            let content = &self.contents[reader.stream];
            for seen in &reader.seen {
                let piece = &content[seen.start as usize..seen.end as usize];
                assert_eq!(crc32c(piece), seen.sum, "{name}: {seen:?} is not what was written");
            }
            let end = reader.seen.last().map_or(0, |seen| seen.end);
            assert!(reader.closed, "{name}: a reader has not seen the end");
            assert_eq!(end, content.len() as u64, "{name}: a reader has missed the end");
        }
    }

    /// What was told of brief streams was so; and those with a TTL end by themselves.
    async fn check_brief(&self, world: &World) {
        eventually("streams end when their TTL is over", async || {
            let storage = &world.weather;
            let left = streamkeeper::storage::Storage::list(&**storage, "brief/ttl/", None, 100);
            left.await.expect("names can be listed").is_empty()
        })
        .await;
        let journal = world.weather.journal();
        for (name, ttl) in brief::names() {
            let entries: Vec<&Durable> =
                journal.iter().filter(|durable| durable.entry.name == name).collect();
            let clients = self.clients.iter().filter(|client| client.name == name);
            let calls: Vec<Call> = clients.flat_map(|client| client.calls.clone()).collect();
            check(ttl, &entries, &calls);
            world.book.check(name.as_str());
        }
    }

    /// Another system upon the same storage shows the same streams.
    pub(super) async fn compare(&self, keeper: &Streamkeeper) {
        for ((_, name), before) in self.streams.iter().zip(&self.contents) {
            assert_eq!(&content(keeper, name).await, before, "{name} has changed");
        }
    }

    /// Nothing has to be killed, and nobody holds on to the system afterwards.
    pub(super) async fn shut_down(&mut self, world: Arc<World>) {
        assert_eq!(world.keeper.health(), Ok(()));
        let report = world.keeper.shutdown(Duration::from_secs(60)).await;
        assert!(report.is_clean(), "{report:?}");
        let weather = Arc::downgrade(&world.weather);
        self.writers.clear();
        self.readers.clear();
        self.clients.clear();
        drop(world);
        eventually("nobody holds the storage any more", async || weather.strong_count() == 0).await;
    }
}

/// Crashes a stream until it is in quarantine, if the storm was too short for that.
async fn doom(world: &World, name: &StreamName) {
    let doomed = async {
        loop {
            let request = AppendRequest {
                content_type: text(),
                body: "finale;".into(),
                ..Default::default()
            };
            let answer = world.keeper.append(name, request).await;
            if let Err(AppendError::Unavailable(Unavailable::Quarantined { .. })) = answer {
                return;
            }
        }
    };
    assert!(timeout(PATIENCE, doomed).await.is_ok(), "{name} does not go into quarantine");
}

/// The supervision tree is whole: no process but streams has ever ended, and no stream is down.
async fn check_tree(world: &World) {
    let tree = world.keeper.tree().await;
    for process in &tree.processes {
        assert_eq!((&process.state, process.restarts), (&ChildState::Running, 0), "{process:?}");
    }
    assert_eq!(tree.streams.quarantined, 0, "{tree:?}");
    eventually("the last crash is recovered from", async || {
        world.keeper.tree().await.streams.restarting == 0
    })
    .await;
}

/// The stream is as its fate says, and can be written to in the end.
async fn recover(world: &World, fate: Fate, name: &StreamName) {
    let hello =
        || AppendRequest { content_type: text(), body: "finale;".into(), ..Default::default() };
    if fate.is_quarantined() {
        let refused = world.keeper.append(name, hello()).await;
        match refused {
            Err(AppendError::Unavailable(Unavailable::Quarantined { reason })) => {
                assert!(reason.contains(INJECTED), "{name}: {reason}");
            }
            other => panic!("{name} is not in quarantine: {other:?}, {:?}", book(world, name)),
        }
        world.book.check(name.as_str());
        assert!(!content(&world.keeper, name).await.is_empty(), "{name} can still be read");
        assert_eq!(world.keeper.lift_quarantine(name).await, Ok(true), "{name}");
    }
    assert_eq!(world.keeper.lift_quarantine(name).await, Ok(false), "{name}");
    // One that crashed with the last of the storm comes back.
    let written = async {
        while let Err(error) = world.keeper.append(name, hello()).await {
            assert_ne!(fate, Fate::Calm, "{name}: {error:?}");
            sleep(Duration::from_millis(5)).await;
        }
    };
    let written = timeout(PATIENCE, written).await;
    assert!(written.is_ok(), "{name} has not come back: {:?}", book(world, name));
    if !fate.is_quarantined() {
        world.book.check(name.as_str());
    }
}

fn book(world: &World, name: &StreamName) -> Vec<impl std::fmt::Debug> {
    world.book.lines(name.as_str())
}

async fn close(world: &World, name: &StreamName) {
    let request = AppendRequest { close: true, ..Default::default() };
    let closed = world.keeper.append(name, request).await;
    assert!(closed.is_ok_and(|appended| appended.closed), "{name}");
}

/// All that a stream holds.
async fn content(keeper: &Streamkeeper, name: &StreamName) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let at = ReadFrom::At(Offset::new(content.len() as u64));
        let page = keeper.read(name, at, 1 << 20).await;
        let page = page.unwrap_or_else(|error: ReadError| panic!("{name}: {error:?}"));
        content.extend(page.payloads().concat());
        if page.up_to_date {
            let metadata: Metadata = keeper.metadata(name).await.expect("it is there");
            assert!(metadata.next_offset.position() >= content.len() as u64);
            return content;
        }
    }
}

fn check_stream(name: &StreamName, content: &str, mut sent: HashMap<&str, &Sent>) {
    let mut at = 0;
    let mut last: HashMap<&str, u64> = HashMap::new();
    let mut latest_begin = 0;
    for text in content.split_inclusive(';').filter(|text| *text != "finale;") {
        let begin = at + finales(content, at);
        at = begin + text.len();
        let Some(sent) = sent.remove(text) else {
            panic!("{name}: {text} was never sent, or is there twice")
        };
        match sent.told {
            Told::Written(tail) => {
                assert!(tail.is_none_or(|tail| tail == at as u64), "{name}: {sent:?} is at {at}");
            }
            Told::Refused => panic!("{name}: {sent:?} was refused and written"),
            Told::Unknown => {}
        }
        // One that had ended before another began comes first.
        assert!(sent.end >= latest_begin, "{name}: {sent:?} comes too late");
        latest_begin = latest_begin.max(sent.begin);
        let mut parts = text.split('.');
        let writer = parts.next().expect("a writer");
        let number: u64 = parts.next().and_then(|n| n.parse().ok()).expect("a number");
        let before = last.insert(writer, number);
        assert!(before.is_none_or(|before| before < number), "{name}: {sent:?} is out of order");
    }
    for sent in sent.values() {
        assert!(!matches!(sent.told, Told::Written(_)), "{name} has lost {sent:?}");
    }
}

/// How many bytes at a position are the finale's own.
fn finales(content: &str, at: usize) -> usize {
    let mut skipped = 0;
    while content[at + skipped..].starts_with("finale;") {
        skipped += "finale;".len();
    }
    skipped
}

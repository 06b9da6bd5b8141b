//! Which streams there are: found by their ids, and by their names in order.
//!
//! Both tables hold pointers only, and nearly all streams are asleep, so that millions of them fit.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;

use super::slot::Slot;
use super::stream::Stream;

/// So many parts, so that growing one is quick and readers seldom meet a writer.
const SHARDS: usize = 64;
/// How many names are listed before writers get their turn.
const LIST_STEP: usize = 1024;

/// All streams of a log.
pub(crate) struct Index {
    ids: [RwLock<HashTable<Arc<Stream>>>; SHARDS],
    names: RwLock<BTreeSet<ByName>>,
    /// Those that are awake, or were; the longest first.
    awake: Mutex<VecDeque<Arc<Stream>>>,
    /// How many may be awake.
    max_awake: usize,
}

impl Index {
    pub(crate) fn new(max_awake: usize) -> Self {
        Self {
            ids: [const { RwLock::new(HashTable::new()) }; SHARDS],
            names: RwLock::default(),
            awake: Mutex::default(),
            max_awake,
        }
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<Arc<Stream>> {
        let hash = hash(id);
        self.shard(hash).read().find(hash, |stream| stream.id == id).cloned()
    }

    pub(crate) fn find(&self, name: &StreamName) -> Option<Arc<Stream>> {
        self.names.read().get(name.as_str()).map(|named| named.0.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.iter().map(|shard| shard.read().len()).sum()
    }

    pub(crate) fn insert(&self, stream: Arc<Stream>) {
        self.insert_unnamed(stream.clone());
        self.names.write().replace(ByName(stream));
    }

    /// Inserts a stream that cannot be found by its name until [`name_all`](Self::name_all).
    pub(crate) fn insert_unnamed(&self, stream: Arc<Stream>) {
        let hash = hash(stream.id);
        let mut shard = self.shard(hash).write();
        shard.insert_unique(hash, stream, |stream| self::hash(stream.id));
    }

    /// Names streams. Of several with the same name the last one counts that is still there.
    pub(crate) fn name_all(&self, mut streams: Vec<Arc<Stream>>) {
        streams.retain(|stream| self.get(stream.id).is_some_and(|at| Arc::ptr_eq(&at, stream)));
        *self.names.write() = sorted(&streams).map(|stream| ByName(stream.clone())).collect();
    }

    pub(crate) fn remove(&self, stream: &Arc<Stream>) {
        let hash = hash(stream.id);
        if let Ok(found) = self.shard(hash).write().find_entry(hash, |at| at.id == stream.id) {
            found.remove();
        }
        let mut names = self.names.write();
        if names.get(stream.name.as_str()).is_some_and(|named| Arc::ptr_eq(&named.0, stream)) {
            names.remove(stream.name.as_str());
        }
    }

    /// The names that begin with `prefix` and come after `after`, sorted.
    pub(crate) fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Vec<StreamName> {
        self.select(prefix, after, limit, |_| true)
    }

    /// The same, of the streams that are asked for.
    pub(crate) fn select(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
        wanted: impl Fn(&Stream) -> bool,
    ) -> Vec<StreamName> {
        let mut selected = Vec::new();
        let mut from = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.to_string()),
            _ => Bound::Included(prefix.to_owned()),
        };
        loop {
            let step: Vec<Arc<Stream>> = {
                let names = self.names.read();
                let from = from.as_ref().map(String::as_str);
                let streams = names.range::<str, _>((from, Bound::Unbounded)).map(|named| &named.0);
                let streams = streams.take_while(|stream| stream.name.as_str().starts_with(prefix));
                streams.take(LIST_STEP).cloned().collect()
            };
            let names = step.iter().filter(|stream| wanted(stream)).map(|stream| &stream.name);
            selected.extend(names.take(limit - selected.len()).cloned());
            match step.last() {
                Some(last) if step.len() == LIST_STEP && selected.len() < limit => {
                    from = Bound::Excluded(last.name.to_string());
                }
                _ => return selected,
            }
        }
    }

    /// Uses a stream, which is then awake; if that makes too many, the one that was woken first goes to
    /// sleep.
    pub(crate) fn wake<T>(&self, stream: &Arc<Stream>, using: impl FnOnce(&mut Slot) -> T) -> T {
        let (used, woken) = stream.wake(using);
        if woken {
            let tired = {
                let mut awake = self.awake.lock();
                awake.push_back(stream.clone());
                (awake.len() > self.max_awake).then(|| awake.pop_front()).flatten()
            };
            tired.inspect(|stream| stream.sleep());
        }
        used
    }

    /// Sends all streams to sleep.
    pub(crate) fn sleep(&self) {
        std::mem::take(&mut *self.awake.lock()).iter().for_each(|stream| stream.sleep());
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Arc<Stream>>> {
        // The table takes its lowest and its highest bits.
        &self.ids[(hash >> 40) as usize % SHARDS]
    }
}

/// Sorts streams by name, those of the same name as they come.
///
/// By numbers made of the names' beginnings behind what all have in common, because to look at the names
/// themselves is to miss the caches a million times.
fn sorted(streams: &[Arc<Stream>]) -> impl Iterator<Item = &Arc<Stream>> {
    let name = |at: u32| streams[at as usize].name.as_str();
    let common = streams.iter().map(|stream| stream.name.as_str().as_bytes()).reduce(|a, b| {
        let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        &a[..common]
    });
    let common = common.map_or(0, <[u8]>::len);
    let key = |stream: &Arc<Stream>| {
        let rest = &stream.name.as_str().as_bytes()[common..];
        let mut key = [0; 16];
        let length = rest.len().min(key.len());
        key[..length].copy_from_slice(&rest[..length]);
        u128::from_be_bytes(key)
    };
    let mut order: Vec<(u128, u32)> = streams.iter().map(key).zip(0..).collect();
    order.sort_unstable_by(|(a, at), (b, bt)| {
        a.cmp(b).then_with(|| name(*at).cmp(name(*bt))).then(at.cmp(bt))
    });
    order.into_iter().map(|(_, at)| &streams[at as usize])
}

/// Ids are drawn here and mostly random, so a little mixing does.
pub(super) fn hash(id: StreamId) -> u64 {
    let (high, low) = id.as_uuid().as_u64_pair();
    let mixed = (high ^ low.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// A stream that is ordered by its name.
#[derive(Debug)]
struct ByName(Arc<Stream>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.name.as_str()
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name.cmp(&other.0.name)
    }
}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByName {}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn stream(id: u128, name: &str) -> Arc<Stream> {
        let name = StreamName::new(name).unwrap();
        Stream::new(StreamId::new(Uuid::from_u128(id)), name, &Slot::cold(b"state"))
    }

    #[test]
    fn a_name_belongs_to_the_last_life_that_is_there() {
        let index = Index::new(9);
        let lives = [stream(1, "a"), stream(2, "a"), stream(3, "a"), stream(4, "b")];
        lives.iter().for_each(|life| index.insert_unnamed(life.clone()));
        index.remove(&lives[2]);
        index.name_all(lives.to_vec());
        let name = &lives[0].name;
        assert_eq!(index.find(name).map(|found| found.id), Some(lives[1].id));
        index.remove(&lives[0]);
        assert!(index.find(name).is_some() && index.get(lives[0].id).is_none());
        index.remove(&lives[1]);
        assert!(index.find(name).is_none());
        assert_eq!((index.len(), index.list("", None, 9)), (1, vec![lives[3].name.clone()]));
    }

    #[test]
    fn long_lists_are_whole() {
        let index = Index::new(9);
        let count = 3 * LIST_STEP + 5;
        (0..count).for_each(|n| index.insert(stream(n as u128, &format!("x/{n:06}"))));
        index.insert(stream(1 << 90, "y"));
        index.insert(stream(2 << 90, "w"));
        let all = index.list("x", None, usize::MAX);
        assert!(all.is_sorted() && all.len() == count);
        for limit in [0, 1, LIST_STEP, LIST_STEP + 1, count, count + 1] {
            assert_eq!(index.list("x/", Some(&all[2]), limit), all[3..][..limit.min(count - 3)]);
        }
        assert_eq!(index.list("x", Some(&StreamName::new("a").unwrap()), 1), all[..1]);
        assert!(index.list("x", Some(&StreamName::new("y").unwrap()), 1).is_empty());
    }

    #[test]
    fn few_streams_are_awake() {
        let index = Index::new(2);
        for n in 0..9u8 {
            let stream = stream(n.into(), "n");
            index.insert_unnamed(stream.clone());
            index.wake(&stream, |slot| slot.corrupt = Some(n.to_string()));
            index.wake(&stream, |_| ());
        }
        assert_eq!(index.awake.lock().len(), 2);
        index.sleep();
        for n in 0..9u8 {
            let stream = index.get(StreamId::new(Uuid::from_u128(n.into()))).unwrap();
            assert_eq!(stream.look(|slot| slot.corrupt.clone()), Some(n.to_string()));
        }
    }
}

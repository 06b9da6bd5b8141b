//! Words for scripts: commits by name, without chance.

use bytes::Bytes;
use streamkeeper_protocol::stream::{Record, StreamId};
use streamkeeper_protocol::{Batch, StreamName};
use streamkeeper_storage::Entry;
use uuid::Uuid;

use super::draw::{append, created, name};
use super::model::States;
use super::world::World;

/// Commits that go together.
pub(super) struct Commits {
    ahead: States,
    entries: Vec<Entry>,
    next: u128,
}

impl Commits {
    pub(super) fn create(mut self, text: &str, size: usize) -> Self {
        self.next += 1;
        let id = StreamId::new(Uuid::from_u128(self.next));
        let record = created(id, None, Batch::one(message(size, text)));
        self.push(Entry { name: name(text), id, follows: 0, record })
    }

    pub(super) fn append(self, text: &str, size: usize) -> Self {
        let entry = self.ahead.live.get(&name(text));
        let entry = entry.map(|state| append(&name(text), state, message(size, text)));
        entry.map_or_else(|| unreachable!("`{text}` is not there"), |entry| self.push(entry))
    }

    pub(super) fn delete(self, text: &str) -> Self {
        self.record(text, Record::Deleted)
    }

    pub(super) fn record(self, text: &str, record: Record) -> Self {
        let name = name(text);
        let state = &self.ahead.live[&name];
        let (id, follows) = (state.id, state.version);
        self.push(Entry { name, id, follows, record })
    }

    fn push(mut self, entry: Entry) -> Self {
        assert_eq!(self.ahead.apply(&entry), Ok(()), "a script is valid");
        self.entries.push(entry);
        self
    }
}

impl World {
    /// Commits what the script says, if there is power; whether it was acknowledged.
    pub(super) fn batch(&mut self, script: impl FnOnce(Commits) -> Commits) -> bool {
        if !self.is_up() {
            return false;
        }
        let ahead = self.model.states.clone();
        let next = self.model.names.len() as u128 + 1000 * u128::from(self.stats.commits);
        let script = script(Commits { ahead, entries: Vec::new(), next });
        let before = self.stats.acknowledged;
        self.commit(script.entries);
        self.stats.acknowledged > before
    }

    pub(super) fn seal_and_file(&mut self) {
        self.seal();
        self.file();
    }

    /// One more message for each stream.
    pub(super) fn append_to_all(&mut self) {
        let names: Vec<StreamName> = self.model.states.live.keys().cloned().collect();
        self.batch(|batch| names.iter().fold(batch, |batch, name| batch.append(name.as_str(), 9)));
    }
}

fn message(size: usize, text: &str) -> Bytes {
    text.bytes().cycle().take(size).collect()
}

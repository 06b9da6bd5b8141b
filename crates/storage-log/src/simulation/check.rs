//! Checks of an open log against the model.

use std::collections::BTreeMap;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{StreamId, StreamState};
use streamkeeper_storage::{Chunk, Range, StorageError};

use super::world::{World, describe};

/// What may come out of the log besides what is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// Nothing.
    None,
    /// `Corrupt`.
    Corrupt,
}

impl World {
    /// Compares all states with the model, which adopts those of the commits in flight that it finds.
    pub(super) fn check_states(&mut self) {
        let Some(observed) = self.observe() else { return };
        let mut states = self.model.states.clone();
        let mut found = (states.live == observed).then_some(0);
        for (index, next) in self.unacked.iter().enumerate() {
            assert_eq!(states.apply(next), Ok(()), "what is in flight is valid");
            // The last that fits: lives that began and ended in flight are to be known, too.
            if states.live == observed {
                found = Some(index + 1);
            }
        }
        let Some(found) = found else { panic!("{}", self.difference(&observed)) };
        self.note(|| format!("  found {found} of those in flight"));
        self.stats.adopted += found as u64;
        for entry in std::mem::take(&mut self.unacked).iter().take(found) {
            self.model.adopt(entry);
        }
        for id in self.model.ended.clone() {
            let read = self.read(id, 0, u64::MAX, 1);
            assert_eq!(read, Some(Err(StorageError::NotFound)), "life {id} has ended");
        }
    }

    fn observe(&self) -> Option<BTreeMap<StreamName, StreamState>> {
        let engine = self.engine.as_ref()?;
        let load = |name: StreamName| {
            let state = engine.load(&name);
            let state = state.unwrap_or_else(|error| panic!("`{name}` is not loaded: {error}"));
            (name, state.expect("a name that is listed is there"))
        };
        Some(engine.list("", None, usize::MAX).into_iter().map(load).collect())
    }

    fn difference(&self, observed: &BTreeMap<StreamName, StreamState>) -> String {
        let brief = |state: Option<&StreamState>| {
            state.map_or("nothing".to_owned(), |state| {
                format!("{} version {} tail {}", state.id, state.version, state.tail)
            })
        };
        let mut text = "the log is no prefix of what was committed:\n".to_owned();
        let names = self.model.states.live.keys().chain(observed.keys());
        let names: std::collections::BTreeSet<_> = names.collect();
        for name in names {
            let (expected, found) = (self.model.states.live.get(name), observed.get(name));
            if expected != found {
                let (expected, found) = (brief(expected), brief(found));
                text += &format!("`{name}`: acknowledged {expected}, found {found}\n");
            }
        }
        let in_flight: Vec<String> = self.unacked.iter().map(describe).collect();
        text + &format!("in flight: {in_flight:?}")
    }

    /// Reads all of all streams in pages.
    pub(super) fn check_bytes(&mut self) {
        let ids: Vec<StreamId> = self.model.tapes.keys().copied().collect();
        for id in ids {
            self.check_all_bytes(id, Tolerance::None);
        }
    }

    /// Reads all of a stream in pages; whether that got to its end.
    pub(super) fn check_all_bytes(&mut self, id: StreamId, tolerance: Tolerance) -> bool {
        let page = self.chance.pick(&[1 << 10, 1 << 14, u64::MAX]);
        let Some(tape) = self.model.tapes.get(&id) else { return true };
        // What lies before is not the stream's own.
        let (mut from, end) = (tape.first, tape.end());
        while from < end {
            match self.check_read(id, from, u64::MAX, page, tolerance) {
                Some(next) => from = next,
                None => return self.kept(id) >= end,
            }
        }
        true
    }

    /// Reads something at random.
    pub(super) fn check_random_read(&mut self) {
        let Some(Range { id, from, until, max_bytes }) = self.draw_range() else { return };
        self.note(|| format!("read {id} {from}..{until} by {max_bytes}"));
        self.check_read(id, from, until, max_bytes, Tolerance::None);
    }

    pub(super) fn draw_range(&mut self) -> Option<Range> {
        let ids: Vec<StreamId> = self.model.tapes.keys().copied().collect();
        let id = (!ids.is_empty()).then(|| self.chance.pick(&ids))?;
        let (first, end) = (self.model.tapes[&id].first, self.model.tapes[&id].end());
        let from = self.chance.between(first, end + 5);
        let until = match self.chance.one_in(3) {
            true => self.chance.between(from + 1, end + 6),
            false => u64::MAX,
        };
        let max_bytes = self.chance.pick(&[0, 1, 50, 1000, 1 << 16, u64::MAX]);
        Some(Range { id, from, until, max_bytes })
    }

    /// Reads a page and checks it; where it ends, `None` if it is empty or fails.
    fn check_read(
        &mut self,
        id: StreamId,
        from: u64,
        until: u64,
        max_bytes: u64,
        tolerance: Tolerance,
    ) -> Option<u64> {
        let read = self.read(id, from, until, max_bytes)?;
        self.check_page(Range { id, from, until, max_bytes }, read, tolerance)
    }

    /// Checks what was read; where it ends, `None` if it is empty or failed.
    pub(super) fn check_page(
        &mut self,
        range: Range,
        read: Result<Vec<Chunk>, StorageError>,
        tolerance: Tolerance,
    ) -> Option<u64> {
        self.stats.reads += 1;
        match read {
            Ok(chunks) => {
                let tape = &self.model.tapes[&range.id];
                let page = tape.check_page(self.kept(range.id), range, &chunks);
                page.unwrap_or_else(|error| panic!("{range:?}: {error}"))
            }
            Err(StorageError::Corrupt(_)) if tolerance == Tolerance::Corrupt => {
                self.stats.corrupt_answers += 1;
                None
            }
            Err(StorageError::Unavailable(_)) if self.fault || self.env.is_down() => None,
            Err(error) => panic!("{range:?} is not read: {error}"),
        }
    }

    fn read(
        &self,
        id: StreamId,
        from: u64,
        until: u64,
        max_bytes: u64,
    ) -> Option<Result<Vec<Chunk>, StorageError>> {
        let (engine, range) = (self.engine.as_ref()?, Range { id, from, until, max_bytes });
        *self.meanwhile.cached.lock() = from % 4;
        // Not where a fault waits for a read.
        let cached = if self.fault { None } else { engine.read_cached(range) };
        let read = engine.read(range);
        if let (Some(Ok(cached)), Ok(read)) = (cached, &read) {
            assert_eq!(cached, *read, "what is in memory is what is on disk: {range:?}");
        }
        Some(read)
    }

    /// The position before which the messages may be gone.
    fn kept(&self, id: StreamId) -> u64 {
        let states = &self.model.states;
        let state = states.with_id(id).and_then(|name| states.live.get(name));
        state.map_or(0, |state| state.kept())
    }

    /// Lists names from a random place on, by a random prefix.
    pub(super) fn check_list(&mut self) {
        let Some(engine) = &self.engine else { return };
        let prefix = self.chance.pick(&["", "a", "e/", "q"]);
        let names: Vec<&StreamName> = self.model.states.live.keys().collect();
        let after = (!names.is_empty() && self.chance.one_in(2)).then(|| self.chance.pick(&names));
        let limit = self.chance.below(5) as usize;
        let expected = names.iter().filter(|name| name.as_str().starts_with(prefix));
        let expected = expected.filter(|name| after.is_none_or(|after| **name > after));
        let expected: Vec<StreamName> = expected.take(limit).map(|name| (*name).clone()).collect();
        assert_eq!(engine.list(prefix, after, limit), expected, "{prefix} {after:?} {limit}");
    }
}

//! A checker of linearizability: what clients were told against what became durable, in its order.
//!
//! The journal of the storage is the order of the writes. Every answer must agree with it: a write that
//! was acknowledged is in it once, between what had ended before it began and what began after it had
//! ended; a write that was refused is not in it; and everything that somebody saw was so at some point of
//! the journal that lies within the call.

use std::collections::HashMap;

use streamkeeper_protocol::stream::{Record, StreamId};
use streamkeeper_storage::Entry;

/// What a stream was like at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Absent,
    /// Somebody knows that it existed, and no more.
    Present,
    /// Somebody knows that it was closed.
    Closed,
    Content(StreamId, String, bool),
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The write whose text is this was done; the tail after it, if told.
    Wrote(String, Option<u64>),
    /// The stream was deleted.
    Deleted,
    /// The write of this text was not done, because the stream was so.
    Refused(Option<String>, Seen),
    /// A reader saw this.
    Saw(Seen),
    /// The write may have been done.
    Unknown(Option<String>),
}

/// One call, between two ticks of a common counter.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) told: Told,
}

/// The history of one stream, as its journal tells it.
struct History {
    /// The state before the first record, after the first, and so on.
    states: Vec<Seen>,
    tails: Vec<u64>,
    /// Where a text was written.
    written: HashMap<String, usize>,
    deletions: Vec<usize>,
}

impl History {
    fn of(journal: &[&Entry]) -> Self {
        let mut history = Self {
            states: vec![Seen::Absent],
            tails: vec![0],
            written: HashMap::new(),
            deletions: Vec::new(),
        };
        for (i, entry) in journal.iter().enumerate() {
            let index = i + 1;
            let mut state = history.states[i].clone();
            match (&entry.record, &mut state) {
                (Record::Created { id, closed, .. }, Seen::Absent) => {
                    state = Seen::Content(*id, String::new(), *closed);
                }
                (Record::Appended { closes, .. }, Seen::Content(id, _, closed)) => {
                    assert_eq!((*id, *closed), (entry.id, false), "an append to another life");
                    *closed |= closes;
                }
                (Record::Deleted, Seen::Content(id, ..)) => {
                    assert_eq!(*id, entry.id, "a deletion of another life");
                    state = Seen::Absent;
                    history.deletions.push(index);
                }
                (record, state) => panic!("{record:?} upon {state:?}"),
            }
            if let (Some(batch), Seen::Content(_, text, _)) = (entry.record.batch(), &mut state) {
                let added = String::from_utf8(batch.payload().to_vec()).unwrap();
                text.push_str(&added);
                let before = history.written.insert(added.clone(), index);
                assert_eq!(before, None, "{added} was written twice");
            }
            history.tails.push(match &state {
                Seen::Content(_, text, _) => text.len() as u64,
                _ => 0,
            });
            history.states.push(state);
        }
        history
    }

    fn agrees(&self, index: usize, seen: &Seen) -> bool {
        match (seen, &self.states[index]) {
            (Seen::Present, Seen::Content(..)) | (Seen::Closed, Seen::Content(_, _, true)) => true,
            (seen, state) => seen == state,
        }
    }
}

/// Checks the calls of one stream against its part of the journal.
pub(crate) fn check(journal: &[&Entry], calls: &[Call]) {
    let history = History::of(journal);
    let last = history.states.len() - 1;
    // What is known for sure: (begin, end, the index at which it happened).
    let mut fixed: Vec<(u64, u64, usize)> = Vec::new();
    for call in calls {
        match &call.told {
            Told::Wrote(text, tail) => {
                let index = history.written.get(text);
                let index = *index.unwrap_or_else(|| panic!("{text} was lost"));
                assert!(tail.is_none_or(|tail| tail == history.tails[index]), "{call:?}");
                fixed.push((call.begin, call.end, index));
            }
            Told::Refused(Some(text), _) => {
                assert!(!history.written.contains_key(text), "{text} was refused and written");
            }
            Told::Unknown(Some(text)) => {
                if let Some(index) = history.written.get(text) {
                    fixed.push((call.begin, u64::MAX, *index));
                }
            }
            _ => {}
        }
    }
    // Of two writes, one that had ended before the other began comes first.
    let mut by_index = fixed.clone();
    by_index.sort_by_key(|(_, _, index)| *index);
    let mut latest_begin = 0;
    for (begin, end, index) in by_index {
        assert!(end >= latest_begin, "the write at {index} comes too late");
        latest_begin = latest_begin.max(begin);
    }
    // Everything that was seen, in the order of its beginning, as early as it can have been.
    let mut calls: Vec<&Call> = calls.iter().collect();
    calls.sort_by_key(|call| call.begin);
    let mut placed: Vec<(u64, u64, usize)> = fixed;
    for call in calls {
        let before = placed.iter().filter(|(_, end, _)| *end < call.begin);
        let low = before.map(|(_, _, index)| *index).max().unwrap_or(0);
        let after = placed.iter().filter(|(begin, _, _)| *begin > call.end);
        let high = after.map(|(_, _, index)| *index - 1).min().unwrap_or(last);
        let fits = |index: &usize| match &call.told {
            Told::Saw(seen) | Told::Refused(_, seen) => history.agrees(*index, seen),
            Told::Deleted => history.deletions.contains(index),
            Told::Wrote(..) | Told::Unknown(_) => true,
        };
        let index = (low..=high).find(fits);
        let index = index.unwrap_or_else(|| {
            let states = &history.states[low.min(high)..=high];
            panic!("{call:?} fits nowhere in {low}..={high}: {states:?}")
        });
        if matches!(call.told, Told::Saw(_) | Told::Refused(..) | Told::Deleted) {
            placed.push((call.begin, call.end, index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saw(begin: u64, end: u64, seen: Seen) -> Call {
        Call { begin, end, told: Told::Saw(seen) }
    }

    #[test]
    fn nothing_happened_and_nobody_saw_anything() {
        check(&[], &[saw(1, 2, Seen::Absent)]);
    }

    #[test]
    #[should_panic(expected = "was lost")]
    fn a_lost_write_is_found() {
        check(&[], &[Call { begin: 1, end: 2, told: Told::Wrote("x".into(), None) }]);
    }

    #[test]
    #[should_panic(expected = "fits nowhere")]
    fn a_ghost_is_found() {
        check(&[], &[saw(1, 2, Seen::Present)]);
    }
}

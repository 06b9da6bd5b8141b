//! The agenda: which streams have a retention policy, and when each has something to drop.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::RwLock;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_protocol::{StreamName, Timestamp};

/// How many streams are looked at before others get their turn.
const PAGE: usize = 4096;

/// Streams by name, so that every look at them goes the same way.
#[derive(Debug, Default)]
pub(crate) struct Agenda(RwLock<BTreeMap<StreamName, Place>>);

/// A stream's place on the agenda. Its actor holds it while it runs, and changes it without a lock.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<AtomicI64>);

impl Place {
    /// Notes when the stream has something to drop; `None` is never, as far as one can tell now.
    pub(crate) fn set(&self, due: Option<Timestamp>) {
        self.0.store(due.map_or(i64::MAX, Timestamp::as_millis), Ordering::Relaxed);
    }

    fn due(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Place {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl Agenda {
    /// A stream's place, for its actor.
    pub(crate) fn place(&self, name: &StreamName) -> Place {
        self.0.write().entry(name.clone()).or_default().clone()
    }

    /// Takes up a stream that storage holds. One that is there already has or had an actor, which knows
    /// better.
    pub(crate) fn remember(&self, name: &StreamName, state: &StreamState) {
        self.0.write().entry(name.clone()).or_insert_with(|| {
            let place = Place::default();
            place.set(state.compaction_due());
            place
        });
    }

    /// Forgets a stream, unless an actor holds its place: then another life has begun under its name.
    pub(crate) fn forget(&self, name: &StreamName) {
        if !self.0.read().contains_key(name) {
            return;
        }
        let mut places = self.0.write();
        if places.get(name).is_some_and(|place| Arc::strong_count(&place.0) == 1) {
            places.remove(name);
        }
    }

    /// How many streams have a policy.
    pub(crate) fn len(&self) -> usize {
        self.0.read().len()
    }

    /// The streams that are due.
    pub(crate) async fn due(&self, now: Timestamp) -> Vec<StreamName> {
        let mut due = Vec::new();
        let mut after = None;
        while let Some(last) = self.look(after.as_ref(), now, &mut due) {
            after = Some(last);
            tokio::task::yield_now().await;
        }
        due
    }

    /// Looks at one page; returns its last name, `None` if there are no more.
    fn look(
        &self,
        after: Option<&StreamName>,
        now: Timestamp,
        due: &mut Vec<StreamName>,
    ) -> Option<StreamName> {
        let places = self.0.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = || places.range((from, Bound::Unbounded)).take(PAGE);
        let is_due = |place: &Place| place.due() <= now.as_millis();
        due.extend(page().filter(|(_, place)| is_due(place)).map(|(name, _)| name.clone()));
        page().nth(PAGE - 1).map(|(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(i: usize) -> StreamName {
        StreamName::new(&format!("s{i:06}")).unwrap()
    }

    #[tokio::test]
    async fn every_stream_that_is_due_is_found_once_and_in_order() {
        let agenda = Agenda::default();
        let places: Vec<Place> = (0..3 * PAGE).map(|i| agenda.place(&name(i))).collect();
        for (i, place) in places.iter().enumerate() {
            place.set((i % 2 == 0).then(|| Timestamp::from_millis(i as i64)));
        }
        let due = agenda.due(Timestamp::from_millis(2 * PAGE as i64)).await;
        let expected: Vec<_> = (0..=2 * PAGE).step_by(2).map(name).collect();
        assert_eq!(due, expected);
        assert_eq!(agenda.len(), 3 * PAGE);
    }

    #[test]
    fn a_place_that_an_actor_holds_is_not_forgotten() {
        let agenda = Agenda::default();
        let place = agenda.place(&name(1));
        agenda.forget(&name(1));
        assert_eq!(agenda.len(), 1);
        drop(place);
        agenda.forget(&name(1));
        agenda.forget(&name(2));
        assert_eq!(agenda.len(), 0);
    }
}

//! Which streams have commits in flight, roughly: a stream that has some is never taken for one that has
//! none.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU32, Ordering};

use streamkeeper_protocol::StreamName;

/// Streams that share a place are taken for each other, which costs a wait; they are few beside this.
const PLACES: usize = 1 << 14;

/// How many commits are in flight of the streams at each place.
pub(super) struct InFlight(Box<[AtomicU32]>);

/// Where a stream is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

impl Default for InFlight {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU32::new(0)).collect())
    }
}

impl InFlight {
    /// Counts a commit that is about to be queued.
    pub(super) fn add(&self, name: &StreamName) -> Place {
        let place = place(name);
        self.0[place.0].fetch_add(1, Ordering::Relaxed);
        place
    }

    /// Counts it no more: what became of it can be seen.
    pub(super) fn remove(&self, place: Place) {
        self.0[place.0].fetch_sub(1, Ordering::Release);
    }

    /// Whether a stream may have commits in flight. If not, all that became of those before can be seen.
    pub(super) fn may_have(&self, name: &StreamName) -> bool {
        self.0[place(name).0].load(Ordering::Acquire) > 0
    }
}

fn place(name: &StreamName) -> Place {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name.as_str());
    Place((hash % PLACES as u64) as usize)
}

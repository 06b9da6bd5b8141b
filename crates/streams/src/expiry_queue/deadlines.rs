//! When dormant streams end by themselves.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use streamkeeper_protocol::stream::{Expiry, StreamId, StreamState};
use streamkeeper_protocol::{StreamName, Timestamp};

use crate::stream_supervisor::Touch;

/// The deadlines of streams that have no actor, by time and by name.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_time: BTreeSet<(Timestamp, StreamName)>,
    by_name: HashMap<StreamName, Deadline>,
}

#[derive(Debug)]
struct Deadline {
    id: StreamId,
    /// The last use; a reader that found the stream just before it went dormant may still move it.
    touch: Arc<Touch>,
    expiry: Expiry,
    at: Timestamp,
}

impl Deadlines {
    /// Keeps the deadline of a stream that goes dormant, if it has one.
    pub(crate) fn keep(&self, name: &StreamName, state: &StreamState, touch: &Arc<Touch>) {
        self.kept.lock().insert(name, state, touch);
    }

    /// Keeps the deadline of a stream that was dormant before this system began, unless more is known.
    pub(crate) fn recollect(&self, name: &StreamName, state: &StreamState, touch: &Arc<Touch>) {
        let mut kept = self.kept.lock();
        if !kept.by_name.contains_key(name) {
            kept.insert(name, state, touch);
        }
    }

    /// When a dormant stream was last used; that of an earlier life says nothing.
    pub(crate) fn touch(&self, name: &StreamName, id: StreamId) -> Option<Arc<Touch>> {
        let kept = self.kept.lock();
        kept.by_name.get(name).filter(|deadline| deadline.id == id).map(|d| d.touch.clone())
    }

    /// Gives up a deadline: the stream has a timer of its own again, or is no more.
    pub(crate) fn forget(&self, name: &StreamName) {
        self.kept.lock().remove(name);
    }

    /// The streams whose deadline has come; they stay here until they are woken.
    pub(super) fn due(&self, now: Timestamp) -> Vec<StreamName> {
        let mut kept = self.kept.lock();
        let mut due = Vec::new();
        while let Some((at, _)) = kept.by_time.first().filter(|(at, _)| *at <= now) {
            let at = *at;
            let Some((_, name)) = kept.by_time.pop_first() else { break };
            let Some(deadline) = kept.by_name.get_mut(&name).filter(|d| d.at == at) else {
                continue;
            };
            let later = deadline.expiry.deadline(deadline.touch.latest());
            match later.filter(|later| *later > now) {
                Some(later) => {
                    deadline.at = later;
                    kept.by_time.insert((later, name));
                }
                None => due.push(name),
            }
        }
        due
    }

    /// Tells of a stream again with the next tick.
    pub(super) fn again(&self, name: &StreamName) {
        let mut kept = self.kept.lock();
        if let Some(at) = kept.by_name.get(name).map(|deadline| deadline.at) {
            kept.by_time.insert((at, name.clone()));
        }
    }
}

impl Kept {
    fn insert(&mut self, name: &StreamName, state: &StreamState, touch: &Arc<Touch>) {
        self.remove(name);
        if state.soft_deleted {
            return;
        }
        let expiry = state.config.expiry;
        let Some(at) = expiry.deadline(state.touched_at.max(touch.latest())) else { return };
        let deadline = Deadline { id: state.id, touch: touch.clone(), expiry, at };
        self.by_time.insert((at, name.clone()));
        self.by_name.insert(name.clone(), deadline);
    }

    fn remove(&mut self, name: &StreamName) -> Option<Deadline> {
        let deadline = self.by_name.remove(name)?;
        self.by_time.remove(&(deadline.at, name.clone()));
        Some(deadline)
    }
}

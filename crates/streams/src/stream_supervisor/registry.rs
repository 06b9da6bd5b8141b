//! The registry: which streams have an actor, and what became of those that have none.

mod survey;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use ractor::ActorRef;
use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::ExitReason;
use tokio_util::sync::CancellationToken;

pub(crate) use self::survey::{Surveyed, SurveyedState};
use super::census::Census;
use super::handle::Handle;
use crate::dormancy;
use crate::seeded::Seeded;

/// One opening of a stream. A slot is changed only by the opening that it belongs to, so what comes
/// late from an earlier one does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    pub(crate) name: StreamName,
    pub(crate) generation: u64,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name, f)
    }
}

/// Slots by name. No guard of the map outlives a method.
#[derive(Debug)]
pub(crate) struct Registry {
    slots: DashMap<StreamName, Slot, Seeded>,
    generations: AtomicU64,
    census: Census,
}

#[derive(Debug)]
struct Slot {
    generation: u64,
    state: SlotState,
    /// Whether its actor was ever up.
    ran: bool,
    restarts: u64,
    last_crash: Option<Arc<ExitReason>>,
}

impl Slot {
    fn new(generation: u64) -> Self {
        Self { generation, state: starting(), ran: false, restarts: 0, last_crash: None }
    }
}

#[derive(Debug)]
enum SlotState {
    /// Being started, for the first time or again. Whoever waits does so for the gate, which opens when
    /// it is dropped with this state.
    Starting(Gate),
    Running(Arc<Handle>),
    Quarantined(Arc<str>),
}

/// Opens when it is dropped, and wakes those who wait in the order in which they came.
#[derive(Debug, Default)]
struct Gate(CancellationToken);

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What the registry knows of a name.
pub(crate) enum Lookup {
    Running(Arc<Handle>),
    /// Wait for this, then look again.
    Starting(CancellationToken),
    Quarantined(Arc<str>),
    Vacant,
}

impl Registry {
    /// A registry of, preferably, at most `limit` actors.
    pub(crate) fn new(limit: usize, seed: u64) -> Self {
        let slots = DashMap::with_hasher(Seeded(seed));
        Self { slots, generations: AtomicU64::new(0), census: Census::new(limit) }
    }

    /// Whom to tell when there are more actors than the limit.
    pub(crate) fn when_crowded(&self, whom: ActorRef<dormancy::Message>) {
        self.census.when_crowded(whom);
    }

    /// The actors that nobody has looked up for so long.
    pub(crate) fn idle_for(&self, time: Duration) -> Vec<Arc<Handle>> {
        let now = self.census.tick();
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self.running_if(usize::MAX, |handle| now.saturating_sub(handle.used()) >= millis)
    }

    /// As many idle actors as there are too many, and a few more: those that nobody has looked up since
    /// one last looked for idle ones.
    pub(crate) fn idle_in_the_crowd(&self) -> Vec<Arc<Handle>> {
        let before = self.census.now();
        self.census.tick();
        self.running_if(self.census.excess(), |handle| handle.used() < before)
    }

    /// All actors.
    pub(crate) fn all_running(&self) -> Vec<Arc<Handle>> {
        self.running_if(usize::MAX, |_| true)
    }

    fn running_if(&self, most: usize, is_idle: impl Fn(&Handle) -> bool) -> Vec<Arc<Handle>> {
        let running = self.slots.iter().filter_map(|slot| match &slot.state {
            SlotState::Running(handle) if is_idle(handle) => Some(handle.clone()),
            _ => None,
        });
        running.take(most).collect()
    }

    pub(crate) fn lookup(&self, name: &StreamName) -> Lookup {
        match self.slots.get(name).as_deref() {
            None => Lookup::Vacant,
            Some(slot) => match &slot.state {
                SlotState::Running(handle) => {
                    handle.use_at(self.census.now());
                    Lookup::Running(handle.clone())
                }
                SlotState::Starting(gate) => Lookup::Starting(gate.0.clone()),
                SlotState::Quarantined(reason) => Lookup::Quarantined(reason.clone()),
            },
        }
    }

    /// Claims a vacant name for a start; `None` if somebody else was faster.
    pub(crate) fn claim(&self, name: &StreamName) -> Option<StreamKey> {
        match self.slots.entry(name.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(slot) => {
                let generation = self.generations.fetch_add(1, Ordering::Relaxed);
                slot.insert(Slot::new(generation));
                self.census.one_more();
                Some(StreamKey { name: name.clone(), generation })
            }
        }
    }

    /// The stream runs, for the first time or again.
    pub(crate) fn running(&self, key: &StreamKey, handle: Arc<Handle>) {
        handle.use_at(self.census.now());
        self.change(key, |slot| {
            slot.state = SlotState::Running(handle);
            slot.ran = true;
        });
    }

    /// The stream has crashed and will be started again.
    pub(crate) fn restarting(&self, key: &StreamKey, restarts: u64) {
        self.change(key, |slot| {
            slot.state = starting();
            slot.restarts = restarts;
        });
    }

    /// The stream has crashed; what follows is told apart.
    pub(crate) fn crashed(&self, key: &StreamKey, cause: &ExitReason) {
        self.change(key, |slot| slot.last_crash = Some(Arc::new(cause.clone())));
    }

    /// A caller found this handle dead before the supervisor did.
    pub(crate) fn found_dead(&self, name: &StreamName, dead: &Arc<Handle>) {
        if let Some(mut slot) = self.slots.get_mut(name)
            && matches!(&slot.state, SlotState::Running(handle) if Arc::ptr_eq(handle, dead))
        {
            slot.state = starting();
        }
    }

    /// The stream stays down.
    pub(crate) fn quarantined(&self, key: &StreamKey, reason: &str) {
        self.change(key, |slot| slot.state = SlotState::Quarantined(reason.into()));
    }

    /// The key of a quarantined stream.
    pub(crate) fn quarantined_key(&self, name: &StreamName) -> Option<StreamKey> {
        let slot = self.slots.get(name)?;
        let quarantined = matches!(slot.state, SlotState::Quarantined(_));
        quarantined.then(|| StreamKey { name: name.clone(), generation: slot.generation })
    }

    /// The stream is gone. Its actor says so itself: what it leaves unanswered it has never looked at,
    /// so callers may ask anew.
    pub(crate) fn retire(&self, key: &StreamKey) {
        if let Some(Slot { state: SlotState::Running(handle), .. }) = self.remove(key) {
            handle.retire();
        }
    }

    /// There is no actor any more, for whatever reason; `false` if that was known.
    pub(crate) fn forget(&self, key: &StreamKey) -> bool {
        self.remove(key).is_some()
    }

    fn remove(&self, key: &StreamKey) -> Option<Slot> {
        let removed = self.slots.remove_if(&key.name, |_, slot| slot.generation == key.generation);
        self.census.fewer(usize::from(removed.is_some()));
        removed.map(|(_, slot)| slot)
    }

    /// Forgets every stream: their supervisor has died and taken them with it.
    pub(crate) fn clear(&self) {
        let before = self.slots.len();
        self.slots.clear();
        self.census.fewer(before);
    }

    fn change(&self, key: &StreamKey, change: impl FnOnce(&mut Slot)) {
        if let Some(mut slot) = self.slots.get_mut(&key.name)
            && slot.generation == key.generation
        {
            change(&mut slot);
        }
    }
}

fn starting() -> SlotState {
    SlotState::Starting(Gate::default())
}

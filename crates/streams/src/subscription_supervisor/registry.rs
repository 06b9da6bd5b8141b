//! Which subscriptions have an actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use ractor::ActorId;
use streamkeeper_protocol::subscription::SubscriptionId;

use super::SubscriptionKey;
use super::handle::Handle;

/// The actors by id: each id's last incarnation, which may be dead while the next is being started. No
/// guard of the map outlives a method.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    actors: DashMap<SubscriptionId, Arc<Handle>>,
    starts: AtomicU64,
}

impl Registry {
    pub(crate) fn get(&self, id: &SubscriptionId) -> Option<Arc<Handle>> {
        self.actors.get(id).map(|handle| handle.clone())
    }

    /// The key for another start of a subscription.
    pub(crate) fn key(&self, id: &SubscriptionId) -> SubscriptionKey {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        SubscriptionKey { id: id.clone(), start }
    }

    pub(crate) fn running(&self, id: &SubscriptionId, handle: Handle) {
        self.actors.insert(id.clone(), Arc::new(handle));
    }

    /// There is no such subscription any more, as its actor says.
    pub(crate) fn forget(&self, id: &SubscriptionId, actor: ActorId) {
        self.actors.remove_if(id, |_, known| known.id() == actor);
    }

    /// Forgets all: their supervisor has died and taken them with it.
    pub(crate) fn clear(&self) {
        self.actors.clear();
    }
}

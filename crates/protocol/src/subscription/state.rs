//! All that is durable of a subscription, and how an event changes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Config, Event, Release, WakeId};
use crate::stream::StreamId;
use crate::{StreamName, Timestamp};

/// All that is durable of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// What it was created with.
    pub config: Config,
    /// Where workers that were woken by webhook call back.
    pub callback_url: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its streams, and how far each was processed.
    pub links: BTreeMap<StreamName, Link>,
    /// Streams that were linked when the current wake was told, and are gone.
    pub ended: BTreeSet<StreamName>,
    /// The generation of the last wake; 0 before the first.
    pub generation: u64,
    /// Where the work is.
    pub phase: Phase,
    /// How often in a row nobody could be woken.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
}

/// The cursor of one stream (section 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whether it was added by name.
    pub explicit: bool,
    /// Whether it matches the pattern.
    pub glob: bool,
    /// The life that the cursor belongs to; none while there is no such stream.
    pub life: Option<StreamId>,
    /// Everything before this position is processed.
    pub acked: u64,
    /// The wake that was not told of this life, because it was out already: it acks nothing here.
    pub untold: Option<u64>,
}

/// The way in which a stream is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkType {
    /// By the pattern.
    Glob,
    /// By its name.
    Explicit,
}

/// Where the work of a subscription is (section 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Nobody has it.
    Idle,
    /// Somebody is to be woken for it.
    Waking {
        /// The wake.
        wake: Wake,
        /// When the lease of a webhook that is being called ends.
        lease: Option<Timestamp>,
    },
    /// A worker has it.
    Leased {
        /// The wake.
        wake: Wake,
        /// Who has it; a webhook has no name.
        holder: Option<String>,
        /// When the lease ends.
        expires_at: Timestamp,
    },
}

/// A wake: its generation is in [`SubscriptionState::generation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// Its name, which nobody can guess.
    pub id: WakeId,
    /// A stream that had work.
    pub stream: StreamName,
}

impl SubscriptionState {
    /// Folds one event into a state; `None` is a subscription that does not exist.
    ///
    /// An event that cannot follow changes nothing: no decision leads to it.
    pub fn fold(state: &mut Option<Self>, event: &Event) {
        match (state.as_mut(), event) {
            (_, Event::Snapshot { state: snapshot }) => *state = Some((**snapshot).clone()),
            (None, Event::Created { config, callback_url, at }) => {
                *state = Some(Self::new(config.clone(), callback_url.clone(), *at));
            }
            (Some(live), event) => live.apply(event),
            (None, _) => {}
        }
    }

    pub(super) fn new(config: Config, callback_url: Option<String>, at: Timestamp) -> Self {
        Self {
            config,
            callback_url,
            created_at: at,
            links: BTreeMap::new(),
            ended: BTreeSet::new(),
            generation: 0,
            phase: Phase::Idle,
            failures: 0,
            retry_at: None,
        }
    }

    /// The wake that is not over.
    pub fn wake(&self) -> Option<&Wake> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Waking { wake, .. } | Phase::Leased { wake, .. } => Some(wake),
        }
    }

    /// The generation of a wake that a worker may have been told of.
    fn told(&self) -> Option<u64> {
        let told = match &self.phase {
            Phase::Idle => false,
            Phase::Waking { lease, .. } => {
                lease.is_some() || (self.retry_at.is_some() && self.config.is_webhook())
            }
            Phase::Leased { .. } => true,
        };
        told.then_some(self.generation)
    }

    /// Folds in an event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::Snapshot { state } => *self = (**state).clone(),
            Event::CallbackMoved { callback_url } => self.callback_url.clone_from(callback_url),
            Event::Linked { stream, link_type, life, acked } => {
                self.link(stream, *link_type, *life, *acked);
            }
            Event::Unlinked { stream, link_type } => self.unlink(stream, *link_type),
            Event::Began { stream, life } => {
                let untold = self.told();
                if let Some(link) = self.links.get_mut(stream) {
                    (link.life, link.acked, link.untold) = (Some(*life), 0, untold);
                }
            }
            Event::Ended { stream } => self.end(stream),
            Event::Woken { .. } | Event::Attempted { .. } | Event::Failed { .. } => {
                self.apply_delivery(event);
            }
            Event::Notified => self.recovered(),
            Event::Delivered | Event::Claimed { .. } | Event::Extended { .. } => {
                self.apply_lease(event);
            }
            Event::Acked { stream, position } => {
                if let Some(link) = self.links.get_mut(stream) {
                    link.acked = link.acked.max(*position);
                }
            }
            Event::Released { reason } => {
                self.phase = Phase::Idle;
                self.ended.clear();
                if *reason != Release::Expired {
                    self.recovered();
                }
            }
        }
    }

    fn link(&mut self, stream: &StreamName, as_: LinkType, life: Option<StreamId>, acked: u64) {
        let untold = self.told();
        let fresh = Link { explicit: false, glob: false, life, acked, untold };
        let link = self.links.entry(stream.clone()).or_insert(fresh);
        match as_ {
            LinkType::Explicit => link.explicit = true,
            LinkType::Glob => link.glob = true,
        }
    }

    fn unlink(&mut self, stream: &StreamName, link_type: LinkType) {
        let Some(link) = self.links.get_mut(stream) else { return };
        match link_type {
            LinkType::Explicit => link.explicit = false,
            LinkType::Glob => link.glob = false,
        }
        if !link.explicit && !link.glob {
            self.forget(stream);
        }
    }

    fn end(&mut self, stream: &StreamName) {
        match self.links.get_mut(stream) {
            Some(link) if link.explicit => {
                (link.life, link.acked, link.glob) = (None, 0, false);
            }
            _ => self.forget(stream),
        }
    }

    fn forget(&mut self, stream: &StreamName) {
        self.links.remove(stream);
        if self.told().is_some() {
            self.ended.insert(stream.clone());
        }
    }

    fn apply_delivery(&mut self, event: &Event) {
        match (event, &mut self.phase) {
            (Event::Woken { wake_id, generation, stream }, phase) => {
                let wake = Wake { id: wake_id.clone(), stream: stream.clone() };
                *phase = Phase::Waking { wake, lease: None };
                self.generation = *generation;
                self.retry_at = None;
            }
            (Event::Attempted { expires_at }, Phase::Waking { lease, .. }) => {
                *lease = Some(*expires_at);
                self.retry_at = None;
            }
            (Event::Failed { retry_at }, phase) => {
                if let Phase::Waking { lease, .. } = phase {
                    *lease = None;
                }
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(*retry_at);
            }
            _ => {}
        }
    }

    fn apply_lease(&mut self, event: &Event) {
        let (holder, expires_at) = match (event, &self.phase) {
            (Event::Claimed { worker, expires_at }, _) => (Some(worker.clone()), *expires_at),
            (Event::Extended { expires_at }, Phase::Leased { holder, .. }) => {
                (holder.clone(), *expires_at)
            }
            (Event::Extended { expires_at }, _) => (None, *expires_at),
            (_, Phase::Waking { lease: Some(lease), .. }) => (None, *lease),
            _ => return,
        };
        if let Some(wake) = self.wake().cloned() {
            self.phase = Phase::Leased { wake, holder, expires_at };
            self.recovered();
        }
    }

    fn recovered(&mut self) {
        (self.failures, self.retry_at) = (0, None);
    }
}

impl Link {
    /// The way that responses tell: explicit takes precedence (section 6.1).
    pub fn link_type(&self) -> LinkType {
        match self.explicit {
            true => LinkType::Explicit,
            false => LinkType::Glob,
        }
    }
}

//! A subscription as it is now: its state, the tails of its streams, and the decisions of the moment.

use std::collections::{BTreeSet, HashMap};

use super::{Config, Event, LinkType, Phase, Release, Seen, SubscriptionState, WakeId, backoff};
use crate::stream::StreamId;
use crate::{StreamName, Timestamp};

/// A subscription as it is now.
///
/// Every method that decides something applies its events at once and keeps them until
/// [`take_events`](Self::take_events). They must be made durable before anybody is told, and before
/// anything is decided upon them that is told earlier.
#[derive(Debug, Clone)]
pub struct Tracker {
    pub(super) state: SubscriptionState,
    /// The tails of streams, as far as they were seen.
    pub(super) tails: HashMap<StreamName, Tail>,
    /// The linked streams that have work: their tail is beyond the cursor.
    pub(super) ahead: BTreeSet<StreamName>,
    events: Vec<Event>,
}

/// Where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The life of the stream.
    pub life: StreamId,
    /// The position after its last message.
    pub position: u64,
}

/// The chance of one decision: 128 random bits.
#[derive(Debug, Clone, Copy)]
pub struct Chance(pub u128);

/// What the state calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Nothing, until something happens or the [deadline](Tracker::deadline) comes.
    None,
    /// Call the webhook.
    CallWebhook,
    /// Write an event into the wake stream (section 7.2).
    WriteWakeEvent {
        /// The wake stream.
        wake_stream: StreamName,
        /// A stream that has work.
        stream: StreamName,
        /// The generation of the wake.
        generation: u64,
    },
}

impl Tracker {
    /// A subscription that begins. `seen` are the streams that exist and match, or are named: they are
    /// linked at their tails, so that nothing of the past is replayed (section 6.2).
    pub fn create(
        config: Config,
        callback_url: Option<String>,
        seen: impl IntoIterator<Item = (StreamName, Tail)>,
        now: Timestamp,
    ) -> Self {
        let state = SubscriptionState::new(config.clone(), callback_url.clone(), now);
        let mut tracker = Self::load(state);
        tracker.events.push(Event::Created { config: config.clone(), callback_url, at: now });
        let seen: HashMap<StreamName, Tail> = seen.into_iter().collect();
        for stream in &config.streams {
            tracker.link(stream, LinkType::Explicit, seen.get(stream).copied());
        }
        for (stream, tail) in seen.into_iter().filter(|(stream, _)| config.matches(stream)) {
            tracker.link(&stream, LinkType::Glob, Some(tail));
        }
        tracker
    }

    /// A subscription that goes on. The tails of its streams must be [seen](Self::see) before work is
    /// given out.
    pub fn load(state: SubscriptionState) -> Self {
        Self { state, tails: HashMap::new(), ahead: BTreeSet::new(), events: Vec::new() }
    }

    /// What is true of the subscription, once the events are durable.
    pub fn state(&self) -> &SubscriptionState {
        &self.state
    }

    /// Takes what was decided and is not durable yet.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether any stream has work.
    pub fn has_work(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Confirms that the subscription is as described; `false` if it is not.
    pub fn confirm(&mut self, config: &Config, callback_url: Option<String>) -> bool {
        if self.state.config.hash() != config.hash() {
            return false;
        }
        if callback_url.is_some() && callback_url != self.state.callback_url {
            self.emit(Event::CallbackMoved { callback_url });
        }
        true
    }

    /// Brings the subscription up to the time: ends what has expired, and wakes if there is work and
    /// nobody has it. Comes after every decision, and when the [deadline](Self::deadline) has come.
    pub fn settle(&mut self, now: Timestamp, chance: Chance) {
        match &self.state.phase {
            Phase::Leased { expires_at, .. } if *expires_at <= now => {
                self.emit(Event::Released { reason: Release::Expired });
            }
            Phase::Waking { lease: Some(lease), .. } if *lease <= now => {
                self.emit(Event::Released { reason: Release::Expired });
                self.fail(now, chance);
            }
            Phase::Waking { lease: None, .. } if !self.has_work() => {
                self.emit(Event::Released { reason: Release::NoWork });
            }
            _ => {}
        }
        let may_wake = self.state.retry_at.is_none_or(|retry_at| retry_at <= now);
        if self.state.phase == Phase::Idle
            && may_wake
            && let Some(stream) = self.ahead.first().cloned()
        {
            let generation = self.state.generation + 1;
            self.emit(Event::Woken { wake_id: WakeId::of(chance.0), generation, stream });
        }
    }

    /// What is to be done now. `undertaken` is the generation of the wake for which it was done
    /// already, or is being done.
    pub fn duty(&self, now: Timestamp, undertaken: Option<u64>) -> Duty {
        let generation = self.state.generation;
        let due = self.state.retry_at.is_none_or(|retry_at| retry_at <= now);
        match &self.state.phase {
            Phase::Waking { wake, .. } if due && undertaken != Some(generation) => {
                match &self.state.config.delivery {
                    super::Delivery::Webhook { .. } => Duty::CallWebhook,
                    super::Delivery::PullWake { wake_stream } => Duty::WriteWakeEvent {
                        wake_stream: wake_stream.clone(),
                        stream: wake.stream.clone(),
                        generation,
                    },
                }
            }
            _ => Duty::None,
        }
    }

    /// When time alone changes something next.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let deadline = match &self.state.phase {
            Phase::Idle => self.state.retry_at.filter(|_| self.has_work()),
            Phase::Waking { lease, .. } => self.state.retry_at.or(*lease),
            Phase::Leased { expires_at, .. } => Some(*expires_at),
        };
        // What is due and still there waits for somebody, not for the time.
        deadline.filter(|deadline| *deadline > now)
    }

    /// The whole state as one event.
    pub fn snapshot(&self) -> Event {
        Event::Snapshot { state: Box::new(self.state.clone()) }
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.state.apply(&event);
        self.events.push(event);
    }

    /// Notes that nobody could be woken.
    pub(super) fn fail(&mut self, now: Timestamp, chance: Chance) {
        let delay = backoff(self.state.failures + 1, chance);
        self.emit(Event::Failed { retry_at: now.plus(delay) });
    }

    /// When a lease that begins now ends.
    pub(super) fn lease_end(&self, now: Timestamp) -> Timestamp {
        now.plus(self.state.config.lease_ttl)
    }

    /// Sees to it that `ahead` is right about a stream, whose cursor or tail has changed.
    pub(super) fn compare(&mut self, stream: &StreamName) {
        let link = self.state.links.get(stream);
        let tail = self.tails.get(stream);
        let ahead = link
            .zip(tail)
            .is_some_and(|(link, tail)| link.life == Some(tail.life) && tail.position > link.acked);
        match ahead {
            true => drop(self.ahead.insert(stream.clone())),
            false => drop(self.ahead.remove(stream)),
        }
    }

    pub(super) fn link(&mut self, stream: &StreamName, link_type: LinkType, tail: Option<Tail>) {
        let (life, acked) = tail.map(|tail| (tail.life, tail.position)).unzip();
        let acked = acked.unwrap_or(0);
        self.emit(Event::Linked { stream: stream.clone(), link_type, life, acked });
        if let Some(seen) = self.tails.get(stream).copied().or(tail) {
            self.see(stream, Seen::At(seen));
        }
    }
}

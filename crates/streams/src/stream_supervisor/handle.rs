//! The way to a stream's actor. Never leaves the crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ractor::ActorRef;
use streamkeeper_protocol::Timestamp;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};

use super::ended::Ended;
use super::stream::message::{Message, Permits};
use super::touch::Touch;
use super::view::{Live, View};
use crate::Unavailable;
use crate::limits::{self, Permit, Pool};

/// One incarnation of a stream's actor.
#[derive(Debug)]
pub(crate) struct Handle {
    actor: ActorRef<Message>,
    views: watch::Receiver<Arc<View>>,
    touch: Arc<Touch>,
    ended: Arc<Ended>,
    pending: Arc<Pool>,
    retired: AtomicBool,
    /// When somebody last looked the stream up, on the registry's clock.
    used: AtomicU32,
}

/// Why a call was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The actor has ended before it saw the message: look the stream up again.
    NotDelivered,
    /// The actor crashed with the message in its hands.
    OutcomeUnknown,
}

impl Handle {
    pub(crate) fn new(
        actor: ActorRef<Message>,
        views: watch::Receiver<Arc<View>>,
        touch: Arc<Touch>,
        ended: Arc<Ended>,
        pending_bytes: usize,
    ) -> Self {
        let pending = limits::pool(pending_bytes);
        let (retired, used) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { actor, views, touch, ended, pending, retired, used }
    }

    /// Adds the stream's own permit to the system's.
    pub(crate) fn admit(&self, system: Permit, bytes: usize) -> Result<Permits, Unavailable> {
        let stream = Permit::take(&self.pending, bytes)?;
        Ok(Permits { _system: system, _stream: stream })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        if !self.cast(request(reply)) {
            return Err(CallError::NotDelivered);
        }
        self.ended.or_answer(answer).await.map_err(|error| match error {
            // A message that is sent just when a tokio channel loses its receiver is neither received nor
            // dropped while a sender lives, and this handle is one: nobody has looked at it.
            TryRecvError::Empty => CallError::NotDelivered,
            TryRecvError::Closed if self.retired.load(Ordering::Acquire) => CallError::NotDelivered,
            TryRecvError::Closed => CallError::OutcomeUnknown,
        })
    }

    /// Sends a message; `false` if the actor has ended.
    pub(crate) fn cast(&self, message: Message) -> bool {
        self.actor.send_message(message).is_ok()
    }

    /// What is durably true of the stream now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.views.borrow().clone()
    }

    /// Whether the stream has ended by itself. Tells the actor so, which may be asleep until its timer.
    pub(crate) fn is_expired(&self, live: &Live, now: Timestamp) -> bool {
        let expired = live.is_expired(self.touch.latest(), now);
        if expired {
            self.cast(Message::Expire);
        }
        expired
    }

    /// Notes a use of the stream, which moves its TTL; `false` if that is to be recorded, and the actor
    /// has ended.
    #[must_use]
    pub(crate) fn touch(&self, live: &Live, now: Timestamp) -> bool {
        !self.touch.note(now, live.config.expiry) || self.cast(Message::Touch)
    }

    /// Notes that somebody looked the stream up.
    pub(super) fn use_at(&self, now: u32) {
        // Most of the time it is noted already; a write would take the cache line from the others.
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// When somebody last looked the stream up.
    pub(super) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// From now on an unanswered message was never looked at.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

//! The way to a subscription's actor. Never leaves the crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::{ActorId, ActorRef};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio_util::sync::CancellationToken;

use super::subscription::message::{Message, Refusal, Reply, Request};
use crate::Unavailable;
use crate::limits::Permit;

/// How an actor's end is told.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// The actor has ended, however that came.
    pub(crate) ended: CancellationToken,
    /// Its subscription is gone: what it leaves unanswered it has never looked at.
    pub(crate) retired: AtomicBool,
}

/// One incarnation of a subscription's actor.
#[derive(Debug)]
pub(crate) struct Handle {
    actor: ActorRef<Message>,
    end: Arc<End>,
}

impl Handle {
    pub(crate) fn new(actor: ActorRef<Message>, end: Arc<End>) -> Self {
        Self { actor, end }
    }

    pub(crate) fn id(&self) -> ActorId {
        self.actor.get_id()
    }

    /// Sends a request and waits for its answer; `None` if the subscription has gone before the actor
    /// looked at it.
    pub(crate) async fn ask<T, R>(
        &self,
        request: impl FnOnce(Reply<T, R>) -> Request,
        permit: Permit,
    ) -> Option<Result<T, Refusal<R>>> {
        let (reply, mut answer) = oneshot::channel();
        let sent = self.actor.cast(Message::Request(request(reply), permit)).is_ok();
        let answer = match sent {
            false => Err(TryRecvError::Empty),
            true => tokio::select! {
                biased;
                answer = &mut answer => answer.map_err(|_| TryRecvError::Closed),
                () = self.end.ended.cancelled() => answer.try_recv(),
            },
        };
        match answer {
            Ok(answer) => Some(answer),
            Err(_) if self.end.retired.load(Ordering::Acquire) => None,
            // A message that is stranded in the mailbox of a dead actor is neither read nor dropped.
            Err(TryRecvError::Empty) => Some(Err(Refusal::Unavailable(Unavailable::Restarting))),
            Err(TryRecvError::Closed) => {
                Some(Err(Refusal::Unavailable(Unavailable::OutcomeUnknown)))
            }
        }
    }
}

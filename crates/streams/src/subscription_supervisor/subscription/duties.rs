//! What the state of a subscription calls for in the world: calling its webhook, or writing an event into
//! its wake stream. Both happen in tasks, and come back as messages.

use std::sync::Arc;

use bytes::Bytes;
use streamkeeper_protocol::subscription::{Attempt, Duty, Outcome};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use super::super::wake_event::{WakeEvent, write};
use super::State;
use super::message::Message;
use crate::system::TOKEN_LIFETIME;
use crate::webhooks::{TokenPurpose, TokenScope, WebhookOutcome};

/// What was undertaken.
#[derive(Default)]
pub(super) struct Duties {
    /// The generation of the wake that somebody is being told of, or was.
    undertaken: Option<u64>,
    /// What is to be done when the decision is durable.
    next: Option<Next>,
    /// Leave to call the webhook.
    turn: Option<OwnedSemaphorePermit>,
    waiting_for_turn: Option<AbortHandle>,
    /// The webhook that is being called.
    calling: Option<(Arc<Attempt>, AbortHandle)>,
}

enum Next {
    Call(Arc<Attempt>, OwnedSemaphorePermit),
    Write(WakeEvent),
}

impl Duties {
    /// Nothing more is to be done.
    pub(super) fn cancel(&mut self) {
        (self.next, self.turn) = (None, None);
        if let Some((_, call)) = self.calling.take() {
            call.abort();
        }
        if let Some(waiting) = self.waiting_for_turn.take() {
            waiting.abort();
        }
    }

    pub(super) fn take_turn(&mut self, turn: OwnedSemaphorePermit) {
        (self.turn, self.waiting_for_turn) = (Some(turn), None);
    }

    pub(super) fn called(&mut self, attempt: &Attempt) {
        self.calling.take_if(|(calling, _)| calling.wake_id == attempt.wake_id);
        // Unless it has taken the work, the next call is due when the state says so.
        self.undertaken.take_if(|generation| *generation == attempt.generation);
    }

    pub(super) fn notified(&mut self, generation: u64, written: bool) {
        self.undertaken.take_if(|undertaken| *undertaken == generation && !written);
    }
}

impl Drop for Duties {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl State {
    /// Decides what to do: a part of the decision, because a call begins a lease.
    pub(super) fn undertake(&mut self) {
        let now = self.context.clock.now();
        let Some(tracker) = &mut self.tracker else { return };
        match tracker.duty(now, self.duties.undertaken) {
            Duty::None => self.duties.turn = None,
            Duty::CallWebhook => {
                let turn = self.duties.turn.take();
                let calls = &self.context.subscriptions.calls;
                match turn.or_else(|| calls.clone().try_acquire_owned().ok()) {
                    Some(turn) => {
                        let Some(attempt) = tracker.attempt(now) else { return };
                        self.duties.undertaken = Some(attempt.generation);
                        self.duties.next = Some(Next::Call(Arc::new(attempt), turn));
                    }
                    None => self.wait_for_turn(),
                }
            }
            Duty::WriteWakeEvent { wake_stream, stream, generation } => {
                self.duties.undertaken = Some(generation);
                let event = WakeEvent {
                    wake_stream,
                    subscription: self.id.clone(),
                    life: self.log.life(),
                    stream,
                    generation,
                };
                self.duties.next = Some(Next::Write(event));
            }
        }
    }

    fn wait_for_turn(&mut self) {
        if self.duties.waiting_for_turn.is_some() {
            return;
        }
        let (calls, myself) = (self.context.subscriptions.calls.clone(), self.myself.clone());
        let waiting = tokio::spawn(async move {
            if let Ok(turn) = calls.acquire_owned().await {
                // An actor that has ended calls nobody.
                let _ = myself.cast(Message::Turn(turn));
            }
        });
        self.duties.waiting_for_turn = Some(waiting.abort_handle());
    }

    /// Does what was decided, now that it is durable.
    pub(super) fn perform(&mut self) {
        let wake = self.tracker.as_ref().and_then(|tracker| tracker.state().wake());
        // A call whose wake is over has nobody left to tell.
        let over = self
            .duties
            .calling
            .take_if(|(attempt, _)| wake.is_none_or(|wake| wake.id != attempt.wake_id));
        if let Some((_, call)) = over {
            call.abort();
        }
        match self.duties.next.take() {
            None => {}
            Some(Next::Call(attempt, turn)) => self.call(attempt, turn),
            Some(Next::Write(event)) => self.write(event),
        }
    }

    fn call(&mut self, attempt: Arc<Attempt>, turn: OwnedSemaphorePermit) {
        let Some(webhooks) = self.context.subscriptions.webhooks.clone() else {
            tracing::warn!(subscription = %self.id, "a webhook is to be called, but there are none");
            return;
        };
        let scope = TokenScope {
            subscription: self.id.clone(),
            life: self.log.life(),
            generation: attempt.generation,
            purpose: TokenPurpose::Callback,
        };
        let expires_at = self.context.clock.now().plus(TOKEN_LIFETIME);
        let (id, myself, calling) = (self.id.clone(), self.myself.clone(), attempt.clone());
        let call = tokio::spawn(async move {
            let _turn = turn;
            let token = webhooks.issue_token(&scope, expires_at);
            let body = Bytes::from(attempt.body(&id, &token));
            let outcome = match webhooks.deliver(&attempt.url, body).await {
                WebhookOutcome::Done => Outcome::Done,
                WebhookOutcome::Accepted => Outcome::Accepted,
                WebhookOutcome::Failed(why) => {
                    tracing::warn!(subscription = %id, generation = scope.generation, why, "webhook failed");
                    Outcome::Failed
                }
            };
            let _ = myself.cast(Message::Called { attempt, outcome });
        });
        self.duties.calling = Some((calling, call.abort_handle()));
    }

    fn write(&self, event: WakeEvent) {
        let (context, myself) = (self.context.clone(), self.myself.clone());
        tokio::spawn(async move {
            let generation = event.generation;
            let written = match write(&context, &event).await {
                Ok(()) => true,
                Err(why) => {
                    let (subscription, wake_stream) = (&event.subscription, &event.wake_stream);
                    tracing::warn!(%subscription, %wake_stream, why, "wake event not written");
                    false
                }
            };
            let _ = myself.cast(Message::Notified { generation, written });
        });
    }
}

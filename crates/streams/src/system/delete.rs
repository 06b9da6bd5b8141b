//! Delete.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{DeleteRejection, Origin, StreamId, StreamState};
use streamkeeper_storage::{Range, StorageError};

use super::Streamkeeper;
use crate::context::Context;
use crate::stream_supervisor::stream::message::Message;
use crate::stream_supervisor::{CallError, Open, OpenError};
use crate::{DeleteError, Unavailable};

impl Streamkeeper {
    /// Deletes a stream (PROTOCOL.md section 5.4); one that forks refer to is soft-deleted.
    ///
    /// The answer comes when the deletion is durable. Live readers of the stream end.
    pub async fn delete(&self, name: &StreamName) -> Result<(), DeleteError> {
        loop {
            let handle =
                self.context.open(name, Open::Existing).await.map_err(|error| match error {
                    OpenError::NotFound => DeleteRejection::NotFound.into(),
                    OpenError::Unavailable(why) => DeleteError::Unavailable(why),
                })?;
            match handle.call(|reply| Message::Delete { reply }).await {
                Ok(answer) => return answer,
                Err(CallError::NotDelivered) => self.context.registry.found_dead(name, &handle),
                Err(CallError::OutcomeUnknown) => return Err(Unavailable::OutcomeUnknown.into()),
            }
        }
    }
}

/// How often letting go of a source is tried before it is left to the next start of the system.
const RELEASE_ATTEMPTS: u32 = 5;
const RELEASE_PAUSE: Duration = Duration::from_millis(100);

impl Context {
    /// Lets go of the source of a fork that has ended, or that was never created.
    pub(crate) fn release_source(self: &Arc<Self>, origin: Origin, fork: StreamId) {
        let context = self.clone();
        tokio::spawn(async move {
            for attempt in 1..=RELEASE_ATTEMPTS {
                match context.try_release(&origin.source, fork).await {
                    Ok(()) => return,
                    Err(error) => {
                        let source = &origin.source;
                        tracing::warn!(%source, %fork, attempt, %error, "fork not released");
                    }
                }
                tokio::time::sleep(RELEASE_PAUSE * attempt).await;
            }
        });
    }

    /// Lets go of forks that a source refers to and that are not there: a crash has cut short their
    /// creation, or the letting go after their end.
    pub(crate) fn release_lost_forks(self: &Arc<Self>, source: &StreamName, state: &StreamState) {
        if state.forks.is_empty() {
            return;
        }
        let (context, source, forks) = (self.clone(), source.clone(), state.forks.clone());
        tokio::spawn(async move {
            for fork in forks.into_keys() {
                // In this order: a fork that has arrived meanwhile is in storage.
                if !context.forks_on_the_way.contains(&fork) && context.is_lost(fork).await {
                    tracing::info!(%source, %fork, "releasing a fork that is not there");
                    if let Err(error) = context.try_release(&source, fork).await {
                        tracing::warn!(%source, %fork, %error, "fork not released");
                    }
                }
            }
        });
    }

    /// Whether the creation of a fork, which failed, has left nothing behind. Waits for what storage has
    /// accepted of that name.
    pub(crate) async fn load_says_lost(&self, name: &StreamName, fork: StreamId) -> bool {
        self.storage.load(name).await.is_ok() && self.is_lost(fork).await
    }

    async fn is_lost(&self, fork: StreamId) -> bool {
        let nothing = Range { id: fork, from: 0, until: 0, max_bytes: 0 };
        self.storage.read(nothing).await == Err(StorageError::NotFound)
    }

    async fn try_release(
        self: &Arc<Self>,
        source: &StreamName,
        fork: StreamId,
    ) -> Result<(), Unavailable> {
        let handle = match self.open(source, Open::Existing).await {
            Ok(handle) => handle,
            // A source that is gone holds no reference.
            Err(OpenError::NotFound) => return Ok(()),
            Err(OpenError::Unavailable(why)) => return Err(why),
        };
        match handle.call(|reply| Message::Release { fork, reply }).await {
            Ok(answer) => answer,
            Err(CallError::NotDelivered) => {
                self.registry.found_dead(source, &handle);
                Err(Unavailable::Restarting)
            }
            Err(CallError::OutcomeUnknown) => Err(Unavailable::OutcomeUnknown),
        }
    }
}

//! After a start of the streams' supervisor: recollects, in the background, the streams that time alone
//! can change. None of them has an actor.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_storage::StorageError;

use crate::context::Context;
use crate::stream_supervisor::Touch;

/// How many names are asked for at once.
const PAGE: usize = 65_536;
/// How many states are loaded at once.
const LOADS: usize = 32;
/// How long to wait after storage has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The process that walks over them once. It is started again with the supervisor of the streams.
pub(crate) struct Recollection;

/// The one message: to begin.
pub(crate) struct Begin;

impl Actor for Recollection {
    type Msg = Begin;
    type State = Arc<Context>;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Begin>,
        context: Arc<Context>,
    ) -> Result<Arc<Context>, ActorProcessingErr> {
        // Not here: the system is up before everything is recollected.
        myself.cast(Begin)?;
        Ok(context)
    }

    async fn handle(
        &self,
        _: ActorRef<Begin>,
        _: Begin,
        context: &mut Arc<Context>,
    ) -> Result<(), ActorProcessingErr> {
        context.recollect().await;
        Ok(())
    }
}

impl Context {
    /// Takes up what time will do to a stream that storage holds. Its actor, if it has one or gets one,
    /// knows better and has the last word.
    pub(crate) fn remember(&self, name: &StreamName, state: &StreamState) {
        if !state.soft_deleted && !state.config.retention.is_unlimited() {
            self.retention.agenda.remember(name, state);
        }
        let touch = Touch::recovered(state, self.clock.now());
        self.deadlines.recollect(name, state, &Arc::new(touch));
    }

    async fn recollect(&self) {
        let mut after: Option<StreamName> = None;
        loop {
            let names = match self.storage.scheduled(after.as_ref(), PAGE).await {
                Ok(names) => names,
                Err(error) => {
                    tracing::warn!(%error, "listing the streams that time can change");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(last) = names.last().cloned() else { return };
            futures::stream::iter(names)
                .for_each_concurrent(LOADS, async |name| self.recollect_one(&name).await)
                .await;
            after = Some(last);
        }
    }

    /// Looks at one stream that has no actor.
    pub(crate) async fn recollect_one(&self, name: &StreamName) {
        loop {
            match self.storage.load(name).await {
                Ok(Some(state)) => return self.remember(name, &state),
                Ok(None) => return,
                // Storage has said so of this stream, and will not say otherwise.
                Err(error @ StorageError::Corrupt(_)) => {
                    return tracing::warn!(stream = %name, %error, "not recollected");
                }
                Err(error) => {
                    tracing::warn!(stream = %name, %error, "recollecting");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

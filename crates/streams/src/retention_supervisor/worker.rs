//! A worker: a temporary process that compacts one stream and ends.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::{ChildFailure, ChildSpec, Shutdown, StandardPolicy};

use super::compaction;
use crate::context::Context;

/// Never restarted: the stream stays due, so the scheduler's next look starts another one. And killed
/// without ado, because nothing that it does is half done: the stream's actor truncates, or does not.
pub(super) fn spec(context: &Arc<Context>, name: &StreamName) -> ChildSpec {
    let (context, stream) = (context.clone(), name.clone());
    let spec = ChildSpec::actor(name.to_string(), StandardPolicy::temporary(), move || {
        (Worker, (context.clone(), stream.clone()))
    });
    spec.shutdown(Shutdown::BrutalKill)
}

struct Worker;

/// The one message: to begin.
struct Begin;

impl Actor for Worker {
    type Msg = Begin;
    type State = (Arc<Context>, StreamName);
    type Arguments = (Arc<Context>, StreamName);

    async fn pre_start(
        &self,
        myself: ActorRef<Begin>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        // Not here: a start that fails would be the scheduler's to wait for and to handle.
        myself.cast(Begin)?;
        Ok(arguments)
    }

    async fn handle(
        &self,
        myself: ActorRef<Begin>,
        _: Begin,
        (context, name): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        compaction::compact(context, name).await.map_err(ChildFailure::new)?;
        myself.stop(None);
        Ok(())
    }
}

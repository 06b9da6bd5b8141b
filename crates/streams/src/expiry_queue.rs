//! The gen_server that keeps the deadlines of dormant streams.
//!
//! A stream that is in use has a timer of its own. One that has gone dormant leaves its deadline here,
//! and is woken when it has come, to end. Whoever looks at it earlier wakes it anyway, so a tick need
//! not be fine.

mod deadlines;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};

pub(crate) use self::deadlines::Deadlines;

use crate::context::Context;
use crate::stream_supervisor::{Open, OpenError};

/// How often one looks for streams that have expired.
const TICK: Duration = Duration::from_secs(1);
/// How many expired streams are woken at once.
const AT_ONCE: usize = 64;

/// It is time to look.
pub(crate) struct Tick;

/// The actor.
pub(crate) struct ExpiryQueue;

impl Actor for ExpiryQueue {
    type Msg = Tick;
    type State = Arc<Context>;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Tick>,
        context: Arc<Context>,
    ) -> Result<Arc<Context>, ActorProcessingErr> {
        myself.send_after(TICK, || Tick);
        Ok(context)
    }

    async fn handle(
        &self,
        myself: ActorRef<Tick>,
        _: Tick,
        context: &mut Arc<Context>,
    ) -> Result<(), ActorProcessingErr> {
        let due = context.deadlines.due(context.clock.now());
        let context = context.clone();
        // In a task of its own: an actor does not wait for disks. It ticks again when that is done.
        tokio::spawn(async move {
            futures::stream::iter(due)
                .for_each_concurrent(AT_ONCE, async |name| {
                    // Once awake it ends by itself. One that cannot be woken now is told of later.
                    match context.open(&name, Open::Existing).await {
                        Ok(_) => {}
                        Err(OpenError::NotFound) => context.deadlines.forget(&name),
                        Err(OpenError::Unavailable(_)) => context.deadlines.again(&name),
                    }
                })
                .await;
            myself.send_after(TICK, || Tick);
        });
        Ok(())
    }
}

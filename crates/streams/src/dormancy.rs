//! The gen_server that puts idle streams to sleep.
//!
//! A stream that nobody has used for a while gives up its actor; the next request starts it again from
//! storage. With more actors than the limit, streams that are merely not in use this moment go too.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::context::Context;
use crate::stream_supervisor::stream::message::Message as StreamMessage;

/// How often in the time that makes a stream idle one looks for idle streams.
const SWEEPS: u32 = 4;

pub(crate) enum Message {
    /// It is time to look for idle streams.
    Tick,
    /// There are more actors than there should be.
    Crowded,
}

/// The actor.
pub(crate) struct Dormancy;

impl Actor for Dormancy {
    type Msg = Message;
    type State = Arc<Context>;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        context: Arc<Context>,
    ) -> Result<Arc<Context>, ActorProcessingErr> {
        let period = context.limits.dormant_after / SWEEPS;
        if !period.is_zero() {
            myself.send_interval(period, || Message::Tick);
        }
        context.registry.when_crowded(myself);
        Ok(context)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        context: &mut Arc<Context>,
    ) -> Result<(), ActorProcessingErr> {
        let registry = &context.registry;
        let idle = match message {
            Message::Tick => registry.idle_for(context.limits.dormant_after),
            Message::Crowded => registry.idle_in_the_crowd(),
        };
        for handle in idle {
            // The actor itself knows whether it can go.
            handle.cast(StreamMessage::Doze);
        }
        Ok(())
    }
}

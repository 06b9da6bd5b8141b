//! The gen_server of a dynamic supervisor: ractor's callbacks and nothing else.

use std::marker::PhantomData;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::Key;
use super::children::Children;
use super::message::Message;
use crate::{ExitReason, Observer};

pub(super) struct DynamicActor<K>(PhantomData<fn() -> K>);

impl<K> Default for DynamicActor<K> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

pub(super) struct Arguments<K> {
    pub(super) observer: Arc<dyn Observer<K>>,
    pub(super) seed: u64,
    pub(super) supervised: bool,
}

impl<K: Key> Actor for DynamicActor<K> {
    type Msg = Message<K>;
    type State = Children<K>;
    type Arguments = Arguments<K>;

    async fn pre_start(
        &self,
        myself: ActorRef<Message<K>>,
        arguments: Arguments<K>,
    ) -> Result<Children<K>, ActorProcessingErr> {
        Ok(Children::new(myself, arguments))
    }

    async fn handle(
        &self,
        _: ActorRef<Message<K>>,
        message: Message<K>,
        children: &mut Children<K>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::StartChild { key, spec, reply } => children.start_child(key, spec, reply),
            Message::Terminate { key, reply } => children.terminate(&key, reply),
            Message::Lift { key, reply } => children.lift(&key, reply),
            // Nobody has to wait for an answer, here and below.
            Message::Forget { key, reply } => drop(reply.send(children.forget(&key))),
            Message::Count { reply } => drop(reply.send(children.count())),
            Message::Which { reply } => drop(reply.send(children.which())),
            Message::Shutdown { deadline, reply } => children.shutdown(deadline, reply),
            Message::StartDone { key, generation, result } => {
                children.start_done(&key, generation, result);
            }
            Message::BackoffDone { key, generation } => children.backoff_done(&key, generation),
            Message::Reaped { key, generation } => children.reaped(&key, generation),
            Message::Swept { report } => children.swept(report),
            Message::Deadline => children.deadline(),
        }
        Ok(children.settle()?)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message<K>>,
        event: SupervisionEvent,
        children: &mut Children<K>,
    ) -> Result<(), ActorProcessingErr> {
        if let (Some(actor), Some(reason)) = (event.actor_id(), ExitReason::from_event(&event)) {
            children.exited(actor, reason);
        }
        Ok(children.settle()?)
    }

    /// Somebody stopped or drained this supervisor as an actor. ractor would kill the children.
    async fn post_stop(
        &self,
        _: ActorRef<Message<K>>,
        children: &mut Children<K>,
    ) -> Result<(), ActorProcessingErr> {
        children.close_now().await;
        Ok(())
    }
}

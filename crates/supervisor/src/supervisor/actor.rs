//! The gen_server of a static supervisor: ractor's callbacks and nothing else.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::SupervisorFlags;
use super::message::Message;
use super::slots::Slots;
use crate::{ChildSpec, ExitReason, Observer};

pub(super) struct SupervisorActor;

pub(super) struct Arguments {
    pub(super) flags: SupervisorFlags,
    pub(super) children: Vec<ChildSpec>,
    pub(super) observer: Arc<dyn Observer<String>>,
    pub(super) supervised: bool,
}

impl Actor for SupervisorActor {
    type Msg = Message;
    type State = Slots;
    type Arguments = Arguments;

    /// As in OTP the supervisor is up when its children are. Whatever cuts this short, ractor kills
    /// the children that are linked by then.
    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<Slots, ActorProcessingErr> {
        let mut slots = Slots::new(myself, arguments)?;
        slots.start_all().await?;
        Ok(slots)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        slots: &mut Slots,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Which { reply } => {
                // Nobody has to wait for the answer.
                let _ = reply.send(slots.which());
            }
            Message::Shutdown { deadline, reply } => slots.shutdown(deadline, reply),
            Message::ChildStarted { place, generation, cell } => {
                slots.child_started(place, generation, cell);
            }
            Message::StartFailed { place, error } => slots.start_failed(place, error),
            Message::JobDone { job, places } => slots.job_done(job, &places),
            Message::JobsOver => slots.jobs_over(),
            Message::Closed { report } => slots.closed(report)?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        event: SupervisionEvent,
        slots: &mut Slots,
    ) -> Result<(), ActorProcessingErr> {
        if let (Some(actor), Some(reason)) = (event.actor_id(), ExitReason::from_event(&event)) {
            slots.exited(actor, reason);
        }
        Ok(())
    }

    /// Somebody stopped or drained this supervisor as an actor. ractor would kill the children.
    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        slots: &mut Slots,
    ) -> Result<(), ActorProcessingErr> {
        slots.close_now().await;
        Ok(())
    }
}

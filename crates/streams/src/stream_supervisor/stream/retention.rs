//! What a stream does for retention: say what may go, let it go, and keep the agenda true.

use ractor::ActorProcessingErr;
use streamkeeper_protocol::stream::{Compaction, Cut, StreamId, StreamState, decide_truncate};

use super::State;
use super::message::Reply;
use super::pipeline::Answer;
use crate::Unavailable;
use crate::retention_supervisor::Dropped;

impl State {
    pub(super) fn plan_compaction(
        &mut self,
        reply: Reply<Option<Compaction>, Unavailable>,
    ) -> Result<(), ActorProcessingErr> {
        self.expire()?;
        let now = self.context.clock.now();
        let plan = self.pending.as_ref().and_then(|state| state.plan_compaction(now));
        self.note_due();
        self.pipeline.answer(Answer::Plan(reply, plan));
        Ok(())
    }

    pub(super) fn truncate(
        &mut self,
        id: StreamId,
        cut: Cut,
        reply: Reply<Option<Dropped>, Unavailable>,
    ) -> Result<(), ActorProcessingErr> {
        let state = self.pending.as_ref().filter(|state| state.id == id);
        let decided = decide_truncate(state, cut).zip(state);
        let Some((record, state)) = decided else {
            self.pipeline.answer(Answer::Truncate(reply, None));
            return Ok(());
        };
        let dropped = Dropped {
            messages: cut.messages.saturating_sub(state.dropped),
            bytes: cut.before - state.earliest,
        };
        self.submit(record, Answer::Truncate(reply, Some(dropped)))
    }

    /// Takes the stream's place on the agenda, or gives up the one of an earlier life.
    pub(super) fn take_place(&mut self) {
        self.note_due();
        if self.place.is_none() {
            self.context.retention.agenda.forget(&self.key.name);
        }
    }

    /// Notes when the stream has something to drop. Costs next to nothing without a policy.
    pub(super) fn note_due(&mut self) {
        let has_policy =
            |state: &&StreamState| !state.soft_deleted && !state.config.retention.is_unlimited();
        let agenda = &self.context.retention.agenda;
        match self.pending.as_ref().filter(has_policy) {
            Some(state) => {
                let place = self.place.get_or_insert_with(|| agenda.place(&self.key.name));
                place.set(state.compaction_due());
            }
            None if self.place.take().is_some() => agenda.forget(&self.key.name),
            None => {}
        }
    }
}

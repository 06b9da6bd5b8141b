//! What the actor does when storage does not write: turn back if there was no space, else crash.

use ractor::ActorProcessingErr;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_storage::StorageError;
use streamkeeper_supervisor::ChildFailure;

use super::super::view::{Life, View};
use super::State;
use super::message::Message;
use super::pipeline::Answer;

impl State {
    /// There was no space for a record that is in flight, nor for those upon it: take up the stream anew
    /// as storage holds it. That is no crash, and readers do not notice.
    pub(super) fn not_written(&mut self) -> Result<(), ActorProcessingErr> {
        self.pipeline.refused(&StorageError::Full.into());
        if !self.reloading {
            self.reloading = true;
            let (context, name) = (self.context.clone(), self.key.name.clone());
            let myself = self.myself.clone();
            tokio::spawn(async move {
                let state = context.storage.load(&name).await;
                // An actor that has ended needs no state.
                let _ = myself.cast(Message::Reloaded(Box::new(state)));
            });
        }
        Ok(())
    }

    pub(super) fn reloaded(
        &mut self,
        state: Result<Option<StreamState>, StorageError>,
    ) -> Result<(), ActorProcessingErr> {
        match state {
            // Storage tells the state after the outcomes of all that was accepted before.
            Ok(state) if self.pipeline.is_empty() => {
                self.pending = state;
                self.return_to_the_shown_life();
                self.reloading = false;
                self.take_place();
                // The timer may have fired meanwhile.
                self.expire()
            }
            Ok(_) => Err(ChildFailure::new("storage told a state before an outcome").into()),
            Err(error) => self.crash(error),
        }
    }

    /// A creation that was not written has begun a life in vain: readers still see the one before.
    fn return_to_the_shown_life(&mut self) {
        let Some(state) = &self.pending else {
            self.life = None;
            return;
        };
        if self.life.as_ref().is_some_and(|life| life.id == state.id) {
            return;
        }
        self.life = match &**self.views.borrow() {
            View::Live(live) if live.id == state.id => Some(live.life.clone()),
            _ => {
                let touch = self.last_touch.touch(state.id);
                Some(Life::of(state, self.context.limits.recent_bytes_per_stream, touch))
            }
        };
    }

    /// A record was refused outright; nothing has changed.
    pub(super) fn refused(
        &mut self,
        error: StorageError,
        answer: Answer,
    ) -> Result<(), ActorProcessingErr> {
        answer.fail(error.clone().into());
        match error {
            StorageError::Full => Ok(()),
            error => self.crash(error),
        }
    }

    /// Crashes on purpose: what was submitted and what storage holds may differ now.
    pub(super) fn crash(&mut self, error: StorageError) -> Result<(), ActorProcessingErr> {
        let failure = ChildFailure::new(&error);
        self.pipeline.fail(&error.into());
        Err(failure.into())
    }
}

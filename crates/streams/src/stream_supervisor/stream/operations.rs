//! What a stream does on each request: decide, submit, and say what the answer will be.

use ractor::ActorProcessingErr;
use streamkeeper_protocol::stream::{
    Append, AppendDecision, Create, CreateDecision, CreateRejection, Fork, ForkGrant,
    ProducerState, Record, StreamId, StreamState, decide_append, decide_create, decide_delete,
    decide_expire, decide_fork, decide_release,
};

use super::State;
use super::message::{ForkError, Permits, Reply};
use super::pipeline::Answer;
use crate::{AppendError, Appended, CreateError, Created, DeleteError, Outcome, Unavailable};

impl State {
    pub(super) fn create(
        &mut self,
        create: &Create,
        permits: Permits,
        reply: Reply<Created, CreateError>,
    ) -> Result<(), ActorProcessingErr> {
        self.expire()?;
        let now = self.context.clock.now();
        match decide_create(self.pending.as_ref(), create, now) {
            Ok(CreateDecision::Write(record)) => {
                let answer = created_by(&record);
                self.submit(record, Answer::Create { reply, answer, _permits: permits })
            }
            Ok(CreateDecision::Exists) => {
                let answer = self.pending.as_ref().map(exists).ok_or(CreateRejection::NotGranted);
                let answer = answer.map_err(CreateError::from);
                self.pipeline.answer(Answer::Create { reply, answer, _permits: permits });
                Ok(())
            }
            Err(rejection) => {
                self.pipeline.answer(Answer::Create {
                    reply,
                    answer: Err(rejection.into()),
                    _permits: permits,
                });
                Ok(())
            }
        }
    }

    pub(super) fn append(
        &mut self,
        append: &Append,
        permits: Permits,
        reply: Reply<Appended, AppendError>,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.context.clock.now();
        match decide_append(self.pending.as_ref(), append, now) {
            Ok(AppendDecision::Write(record)) => {
                let answer = self.appended_by(&record);
                self.submit(record, Answer::Append { reply, answer: Ok(answer), _permits: permits })
            }
            Ok(AppendDecision::Duplicate { producer }) => {
                let answer = self.unchanged(Outcome::Duplicate, Some(producer));
                self.pipeline.answer(Answer::Append {
                    reply,
                    answer: Ok(answer),
                    _permits: permits,
                });
                self.touched()
            }
            Ok(AppendDecision::AlreadyClosed) => {
                let answer = self.unchanged(Outcome::Closed, None);
                self.pipeline.answer(Answer::Append {
                    reply,
                    answer: Ok(answer),
                    _permits: permits,
                });
                self.touched()
            }
            Err(rejection) => {
                self.pipeline.answer(Answer::Append {
                    reply,
                    answer: Err(rejection.into()),
                    _permits: permits,
                });
                self.expire()
            }
        }
    }

    pub(super) fn delete(
        &mut self,
        reply: Reply<(), DeleteError>,
    ) -> Result<(), ActorProcessingErr> {
        match decide_delete(self.pending.as_ref(), self.context.clock.now()) {
            Ok(record) => self.submit(record, Answer::Delete(reply, Ok(()))),
            Err(rejection) => {
                self.pipeline.answer(Answer::Delete(reply, Err(rejection.into())));
                self.expire()
            }
        }
    }

    pub(super) fn fork(
        &mut self,
        fork: &Fork,
        reply: Reply<Box<ForkGrant>, ForkError>,
    ) -> Result<(), ActorProcessingErr> {
        match decide_fork(self.pending.as_ref(), fork, self.context.clock.now()) {
            Ok(grant) => {
                self.submit(grant.record.clone(), Answer::Fork(reply, Ok(Box::new(grant))))
            }
            Err(rejection) => {
                self.pipeline.answer(Answer::Fork(reply, Err(rejection.into())));
                self.expire()
            }
        }
    }

    pub(super) fn release(
        &mut self,
        fork: StreamId,
        reply: Reply<(), Unavailable>,
    ) -> Result<(), ActorProcessingErr> {
        match decide_release(self.pending.as_ref(), fork) {
            Some(record) => self.submit(record, Answer::Release(reply)),
            None => {
                self.pipeline.answer(Answer::Release(reply));
                Ok(())
            }
        }
    }

    /// Records the last use, which readers have noted.
    pub(super) fn record_touch(&mut self) -> Result<(), ActorProcessingErr> {
        match &self.pending {
            Some(state) if !state.soft_deleted && !state.is_expired(self.context.clock.now()) => {
                self.submit(Record::Touched { at: self.touch.latest() }, Answer::None)
            }
            _ => Ok(()),
        }
    }

    /// Ends the stream if its time has come; otherwise sees to it that the timer runs.
    pub(super) fn expire(&mut self) -> Result<(), ActorProcessingErr> {
        if let Some(record) = decide_expire(self.pending.as_ref(), self.context.clock.now()) {
            self.disarm();
            return self.submit(record, Answer::None);
        }
        if self.timer.as_ref().is_some_and(|timer| timer.is_finished()) {
            self.disarm();
        }
        self.arm();
        Ok(())
    }

    /// A request that changes nothing is a use all the same.
    fn touched(&mut self) -> Result<(), ActorProcessingErr> {
        let Some(state) = &self.pending else { return Ok(()) };
        match self.touch.note(self.context.clock.now(), state.config.expiry) {
            true => self.record_touch(),
            false => Ok(()),
        }
    }

    fn appended_by(&self, record: &Record) -> Appended {
        let state = self.pending.as_ref();
        let (closes, producer) = match record {
            Record::Appended { closes, producer, .. } => (*closes, producer.as_ref()),
            _ => (false, None),
        };
        let added = record.batch().map(|batch| batch.size());
        let tail = state.map_or(0, |state| state.tail) + added.unwrap_or(0);
        Appended {
            outcome: added.map_or(Outcome::Closed, |_| Outcome::Appended),
            next_offset: streamkeeper_protocol::Offset::new(tail),
            closed: closes,
            producer: producer.map(|p| ProducerState { epoch: p.epoch, last_seq: p.seq }),
        }
    }

    fn unchanged(&self, outcome: Outcome, producer: Option<ProducerState>) -> Appended {
        let state = self.pending.as_ref();
        Appended {
            outcome,
            next_offset: state.map(StreamState::next_offset).unwrap_or_default(),
            closed: state.is_some_and(|state| state.closed),
            producer,
        }
    }
}

fn exists(state: &StreamState) -> Created {
    Created {
        fresh: false,
        content_type: state.config.content_type.clone(),
        next_offset: state.next_offset(),
        closed: state.closed,
    }
}

fn created_by(record: &Record) -> Result<Created, CreateError> {
    let mut state = None;
    StreamState::fold(&mut state, record);
    let state = state.ok_or(CreateRejection::NotGranted)?;
    Ok(Created { fresh: true, ..exists(&state) })
}

//! The commit pipeline: what was submitted to storage and is not durable yet, in order.
//!
//! An answer never overtakes what it was decided upon: a duplicate, a rejection, even a mere "it
//! exists" waits until every record before it is durable.

use std::collections::VecDeque;
use std::sync::Arc;

use streamkeeper_protocol::stream::{Compaction, ForkGrant, Origin, StreamId};
use streamkeeper_storage::Chunk;
use tokio::sync::oneshot;

use super::super::view::View;
use super::message::{ForkError, Permits, Reply};
use crate::retention_supervisor::Dropped;
use crate::{AppendError, Appended, CreateError, Created, DeleteError, Unavailable};

/// An answer that is decided and waits to be true. Holds the request's permits until then.
pub(crate) enum Answer {
    /// Nobody asked.
    None,
    Create {
        reply: Reply<Created, CreateError>,
        answer: Result<Created, CreateError>,
        _permits: Permits,
    },
    Append {
        reply: Reply<Appended, AppendError>,
        answer: Result<Appended, AppendError>,
        _permits: Permits,
    },
    Delete(Reply<(), DeleteError>, Result<(), DeleteError>),
    Fork(Reply<Box<ForkGrant>, ForkError>, Result<Box<ForkGrant>, ForkError>),
    Release(Reply<(), Unavailable>),
    Plan(Reply<Option<Compaction>, Unavailable>, Option<Compaction>),
    Truncate(Reply<Option<Dropped>, Unavailable>, Option<Dropped>),
}

/// What a record changes for others, once it is durable.
#[derive(Debug)]
pub(crate) struct Effect {
    /// Messages for the readers at the tail.
    pub(crate) chunk: Option<Chunk>,
    /// The view to publish.
    pub(crate) view: Option<Arc<View>>,
    /// Whether messages went that readers had at hand.
    pub(crate) truncates: bool,
    /// A life that ended and held a reference on its source.
    pub(crate) released: Option<(Origin, StreamId)>,
}

/// One place in the pipeline.
pub(crate) struct InFlight {
    /// What the commit changes; `None` if the place is an answer's that waits for those before it.
    pub(crate) effect: Option<Effect>,
    pub(crate) answer: Answer,
}

/// Commits in flight and the answers that wait for them.
#[derive(Default)]
pub(crate) struct Pipeline {
    queue: VecDeque<InFlight>,
}

impl Pipeline {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Commits in flight, and answers that wait for them.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes a place at the end. The first one alone: most streams never have two.
    fn push(&mut self, place: InFlight) {
        if self.queue.capacity() == 0 {
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(place);
    }

    /// Gives the answer as soon as everything submitted before is durable.
    pub(crate) fn answer(&mut self, answer: Answer) {
        match self.queue.is_empty() {
            true => answer.give(),
            false => self.push(InFlight { effect: None, answer }),
        }
    }

    /// Adds a commit that was submitted.
    pub(crate) fn submitted(&mut self, effect: Effect, answer: Answer) {
        self.push(InFlight { effect: Some(effect), answer });
    }

    /// Takes the oldest commit, which is now durable.
    pub(crate) fn durable(&mut self) -> Option<(Effect, Answer)> {
        let place = self.queue.pop_front()?;
        Some((place.effect?, place.answer))
    }

    /// Gives the answers that waited only for the commits that are durable by now.
    pub(crate) fn give_answers(&mut self) {
        while self.queue.front().is_some_and(|place| place.effect.is_none()) {
            if let Some(place) = self.queue.pop_front() {
                place.answer.give();
            }
        }
    }

    /// Fails the oldest commit, which was not written, and the answers that were decided upon it.
    pub(crate) fn refused(&mut self, why: &Unavailable) {
        if let Some(place) = self.queue.pop_front() {
            place.answer.fail(why.clone());
        }
        while self.queue.front().is_some_and(|place| place.effect.is_none()) {
            if let Some(place) = self.queue.pop_front() {
                place.answer.fail(why.clone());
            }
        }
    }

    /// Fails everything in flight.
    pub(crate) fn fail(&mut self, why: &Unavailable) {
        for place in self.queue.drain(..) {
            place.answer.fail(why.clone());
        }
    }
}

impl Answer {
    /// Gives the answer. Somebody who no longer listens needs none.
    pub(crate) fn give(self) {
        match self {
            Self::None => {}
            Self::Create { reply, answer, .. } => drop(reply.send(answer)),
            Self::Append { reply, answer, .. } => drop(reply.send(answer)),
            Self::Delete(reply, answer) => drop(reply.send(answer)),
            Self::Fork(reply, answer) => drop(reply.send(answer)),
            Self::Release(reply) => drop(reply.send(Ok(()))),
            Self::Plan(reply, plan) => drop(reply.send(Ok(plan))),
            Self::Truncate(reply, dropped) => drop(reply.send(Ok(dropped))),
        }
    }

    /// Tells that the answer did not come true.
    pub(crate) fn fail(self, why: Unavailable) {
        match self {
            Self::None => {}
            Self::Create { reply, .. } => fail(reply, why),
            Self::Append { reply, .. } => fail(reply, why),
            Self::Delete(reply, _) => fail(reply, why),
            Self::Fork(reply, _) => fail(reply, why),
            Self::Release(reply) => fail(reply, why),
            Self::Plan(reply, _) => fail(reply, why),
            Self::Truncate(reply, _) => fail(reply, why),
        }
    }
}

fn fail<T, E: From<Unavailable>>(reply: oneshot::Sender<Result<T, E>>, why: Unavailable) {
    drop(reply.send(Err(why.into())));
}

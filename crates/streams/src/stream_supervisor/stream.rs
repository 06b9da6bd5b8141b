//! The gen_server of one stream.
//!
//! It decides every write, one after the other, against the state that the records submitted so far
//! lead to; hands the record to storage without waiting; and publishes what is durable. If storage
//! fails it crashes on purpose, and its supervisor starts it again from what storage holds.

pub(crate) mod message;
mod operations;
mod outcomes;
mod pipeline;
mod refusal;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use streamkeeper_protocol::Timestamp;
use streamkeeper_protocol::stream::{Record, StreamState};
use streamkeeper_storage::{Chunk, Entry, StorageError};
use streamkeeper_supervisor::ChildFailure;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::message::{Follow, Message};
pub(crate) use self::outcomes::Courier;
use self::outcomes::{Outcome, Outcomes};
use self::pipeline::{Answer, Effect, Pipeline};
use super::StreamKey;
use super::ended::Ending;
use super::gauge::Gauge;
use super::touch::LastTouch;
use super::view::{Life, View};
use super::waiters::Waiters;
use crate::SupervisionEvent;
use crate::context::Context;
use crate::retention_supervisor::Place;
use crate::subscription_supervisor::Followers;

/// How long an actor that was started to create a stream waits for being told to.
const CREATION_PATIENCE: Duration = Duration::from_secs(5);

/// What a stream's actor is started with.
pub(crate) struct Arguments {
    pub(crate) context: Arc<Context>,
    pub(crate) key: StreamKey,
    /// What storage holds of the stream.
    pub(crate) state: Option<StreamState>,
    pub(crate) views: watch::Sender<Arc<View>>,
    pub(crate) last_touch: Arc<LastTouch>,
    pub(crate) gauge: Arc<Gauge>,
    /// Tells callers of the actor's end.
    pub(crate) ending: Ending,
    /// Whether the actor was asked to create the stream, so that there need not be one.
    pub(crate) may_be_absent: bool,
    /// For how long not to go dormant: the supervisor forgets a stream that does, and with it the
    /// crashes that its policy counts.
    pub(crate) wakeful: Option<Duration>,
}

/// The actor.
pub(crate) struct Stream;

/// What the actor knows.
pub(crate) struct State {
    context: Arc<Context>,
    key: StreamKey,
    myself: ActorRef<Message>,
    /// The fold of everything submitted; `None` while there is no stream.
    pending: Option<StreamState>,
    pipeline: Pipeline,
    views: watch::Sender<Arc<View>>,
    waiters: Waiters,
    subscribers: Arc<()>,
    /// What the views of the life that `pending` is of share.
    life: Option<Arc<Life>>,
    last_touch: Arc<LastTouch>,
    followers: Followers,
    timer: Option<AbortHandle>,
    wakeful_until: Option<Instant>,
    /// Where the stream stands on the agenda of retention, if it has a policy.
    place: Option<Place>,
    gauge: Arc<Gauge>,
    outcomes: Arc<Outcomes>,
    /// Storage has refused a record that others were decided upon: until the state is loaded anew,
    /// writes are turned away.
    reloading: bool,
    /// The stream is gone and the registry has forgotten this actor: it only empties its mailbox.
    retired: bool,
    /// Dropped last, when every reply that was in the actor's hands is answered or dropped.
    _ending: Ending,
}

impl Actor for Stream {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments {
            context,
            key,
            state,
            views,
            last_touch,
            gauge,
            ending,
            may_be_absent,
            wakeful,
        } = arguments;
        let outcomes = Outcomes::new(myself.clone(), context.courier.clone());
        let mut state = State {
            context,
            key,
            myself,
            pending: state,
            pipeline: Pipeline::default(),
            views,
            waiters: Waiters::default(),
            subscribers: Arc::new(()),
            life: None,
            last_touch,
            followers: Followers::default(),
            timer: None,
            wakeful_until: wakeful.map(|time| Instant::now() + time),
            place: None,
            gauge,
            outcomes,
            reloading: false,
            retired: false,
            _ending: ending,
        };
        state.gauge.subscribers_hold(Arc::downgrade(&state.subscribers));
        state.recover();
        state.see_whether_there_is_a_stream(may_be_absent);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if message.is_request() {
            state.gauge.taken();
        }
        if state.retired {
            // Dropping the reply tells the caller to look the stream up again.
            state.pass_on(&message);
            return Ok(());
        }
        state.handle(message)?;
        state.gauge.holds(state.pipeline.len(), state.waiters.len());
        state.retire_if_over();
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.disarm();
        // Whoever was accepted gets an answer; the supervisor's deadline bounds the wait.
        state.take_outcomes()?;
        while !state.pipeline.is_empty() {
            state.outcomes.wait().await;
            state.take_outcomes()?;
        }
        Ok(())
    }
}

impl State {
    fn handle(&mut self, message: Message) -> Result<(), ActorProcessingErr> {
        if let (Some(pending), Some(life)) = (&mut self.pending, &self.life) {
            pending.touch(life.touch.latest());
        }
        let message = match self.reloading {
            true => message.turn_away(&StorageError::Full.into()),
            false => Some(message),
        };
        let Some(message) = message else { return Ok(()) };
        match message {
            Message::Create { create, permits, reply } => self.create(&create, permits, reply),
            Message::Append { append, permits, reply } => self.append(&append, permits, reply),
            Message::Delete { reply } => self.delete(reply),
            Message::Fork { fork, reply } => self.fork(&fork, reply),
            Message::Release { fork, reply } => self.release(fork, reply),
            Message::PlanCompaction { reply } => self.plan_compaction(reply),
            Message::Truncate { id, cut, reply } => self.truncate(id, cut, reply),
            Message::Touch => self.record_touch(),
            Message::Expire => self.expire(),
            Message::Committed => self.take_outcomes(),
            Message::Reloaded(state) => {
                self.take_outcomes()?;
                self.reloaded(*state)
            }
            Message::Stir => {
                self.views.send_modify(|_| ());
                Ok(())
            }
            Message::Doze => {
                self.doze();
                Ok(())
            }
            Message::Wait(waiter) => {
                self.waiters.add(waiter, &self.views.borrow());
                Ok(())
            }
            Message::Subscribe { reply } => {
                let views = self.views.subscribe();
                // A reader that gave up needs no answer.
                drop(reply.send(Follow { views, _lease: self.subscribers.clone() }));
                Ok(())
            }
        }
    }

    /// Takes up the stream as storage holds it.
    fn recover(&mut self) {
        if let Some(state) = &mut self.pending {
            let touch = self.last_touch.touch(state.id);
            touch.recover(state, self.context.clock.now());
            state.touch(touch.latest());
            self.life = Some(Life::of(state, self.context.limits.recent_bytes_per_stream, touch));
        }
        let view = View::of(self.pending.as_ref(), self.life.as_ref());
        self.followers.tell(&self.context, &self.key.name, &view);
        self.views.send_replace(view);
        self.arm();
        self.take_place();
    }

    /// An actor without a stream ends: at once, or soon if its creation is on the way but does not
    /// come, because whoever asked for it has given up.
    fn see_whether_there_is_a_stream(&mut self, may_be_absent: bool) {
        match (&self.pending, may_be_absent) {
            (Some(_), _) => {}
            (None, true) => {
                let patience = self.myself.send_after(CREATION_PATIENCE, || Message::Expire);
                self.timer = Some(patience.abort_handle());
            }
            // A message to itself, because an actor cannot end before it has begun.
            (None, false) => drop(self.myself.cast(Message::Expire)),
        }
    }

    /// Submits a record; the answer is given, and the effect published, when it is durable.
    fn submit(&mut self, record: Record, answer: Answer) -> Result<(), ActorProcessingErr> {
        let entry = self.entry(record.clone());
        match self.context.storage.commit(entry).try_outcome() {
            Ok(Ok(())) if self.pipeline.is_empty() => {
                let effect = self.apply(&record);
                self.publish(effect);
                answer.give();
            }
            Ok(Err(error)) => return self.refused(error, answer),
            Ok(Ok(())) => {
                // Known at once, but not before what was submitted earlier.
                let effect = self.apply(&record);
                self.pipeline.submitted(effect, answer);
                self.outcomes.tell(Ok(()));
            }
            Err(commit) => {
                let effect = self.apply(&record);
                self.pipeline.submitted(effect, answer);
                let outcomes = self.outcomes.clone();
                commit.on_outcome(move |outcome| outcomes.tell(outcome));
            }
        }
        Ok(())
    }

    fn entry(&self, record: Record) -> Entry {
        let id = match (&record, &self.pending) {
            (Record::Created { id, .. }, _) => *id,
            (_, Some(state)) => state.id,
            (_, None) => unreachable!("only a creation is decided without a stream"),
        };
        let follows = self.pending.as_ref().map_or(0, |state| state.version);
        Entry { name: self.key.name.clone(), id, follows, record }
    }

    /// Folds a submitted record into the pending state, and says what to publish when it is durable.
    fn apply(&mut self, record: &Record) -> Effect {
        let before =
            self.pending.as_ref().and_then(|state| Some((state.origin.clone()?, state.id)));
        let existed = self.pending.is_some();
        StreamState::fold(&mut self.pending, record);
        match record {
            Record::Created { at, .. } => {
                // Another life, with a touch of its own: until it is durable, readers see the last one.
                self.life = self.pending.as_ref().map(|state| {
                    let touch = self.last_touch.touch(state.id);
                    touch.record(*at);
                    Life::of(state, self.context.limits.recent_bytes_per_stream, touch)
                });
                self.disarm();
                self.arm();
            }
            Record::Appended { at, .. } | Record::Touched { at } => {
                if let Some(life) = &self.life {
                    life.touch.record(*at);
                }
            }
            _ => {}
        }
        let visible = !matches!(record, Record::Touched { .. } | Record::ForkAdded { .. });
        let chunk = record.batch().zip(self.pending.as_ref()).map(|(batch, state)| Chunk {
            position: state.tail - batch.size(),
            batch: batch.clone(),
        });
        Effect {
            chunk,
            view: visible.then(|| View::of(self.pending.as_ref(), self.life.as_ref())),
            truncates: matches!(record, Record::Truncated { .. }),
            released: before.filter(|_| existed && self.pending.is_none()),
        }
    }

    /// Storage has told outcomes.
    fn take_outcomes(&mut self) -> Result<(), ActorProcessingErr> {
        self.outcomes.take().into_iter().try_for_each(|outcome| self.committed(outcome))
    }

    /// Storage has told the outcome of the oldest commit in flight.
    fn committed(&mut self, outcome: Outcome) -> Result<(), ActorProcessingErr> {
        match outcome {
            Ok(()) => {}
            Err(StorageError::Full) => return self.not_written(),
            // What was decided upon a record that was not written cannot be written either.
            Err(_) if self.reloading => return self.not_written(),
            Err(error) => return self.crash(error),
        }
        let Some((effect, answer)) = self.pipeline.durable() else {
            return Err(ChildFailure::new("storage told an outcome that nobody waits for").into());
        };
        self.publish(effect);
        answer.give();
        self.pipeline.give_answers();
        Ok(())
    }

    /// Shows readers what is durable now.
    fn publish(&mut self, effect: Effect) {
        if let Some(view) = effect.view {
            if let (Some(chunk), View::Live(live)) = (effect.chunk, &*view) {
                live.recent.push(chunk);
            }
            self.followers.tell(&self.context, &self.key.name, &view);
            // Only subscribers wait for another view; telling that there is one costs more than making it.
            let followed = Arc::strong_count(&self.subscribers) > 1;
            self.views.send_if_modified(|latest| {
                *latest = view.clone();
                followed
            });
            self.waiters.wake(&view);
            if let (true, View::Live(live)) = (effect.truncates, &*view) {
                live.recent.truncate_before(live.earliest);
            }
            self.note_due();
        }
        if let Some((origin, id)) = effect.released {
            self.context.release_source(origin, id);
        }
    }

    /// Ends the actor of a stream that is durably gone.
    fn retire_if_over(&mut self) {
        if self.retired || self.reloading || self.pending.is_some() || !self.pipeline.is_empty() {
            return;
        }
        self.retire(SupervisionEvent::Stopped { name: self.key.name.clone() });
    }

    fn retire(&mut self, why: SupervisionEvent) {
        self.retired = true;
        // First, so that nothing is told of a successor before.
        self.context.tell(why);
        self.context.registry.retire(&self.key);
        // Answers what is in the mailbox, then stops.
        let _ = self.myself.drain();
    }

    /// Goes dormant, if nobody needs the actor: what is known of the stream is in storage, and its
    /// deadline is kept elsewhere. The next request starts another actor.
    fn doze(&mut self) {
        let needed = !self.pipeline.is_empty()
            || self.reloading
            || self.wakeful_until.is_some_and(|until| Instant::now() < until)
            || self.waiters.any()
            || Arc::strong_count(&self.subscribers) > 1;
        if needed {
            return;
        }
        let (Some(state), Some(life)) = (&self.pending, &self.life) else { return };
        // Before the registry forgets the actor: whoever starts the next one finds the deadline.
        self.context.deadlines.keep(&self.key.name, state, &life.touch);
        self.disarm();
        self.retire(SupervisionEvent::Dormant { name: self.key.name.clone() });
    }

    /// A use that is noted when the stream goes dormant is recorded by its next actor.
    fn pass_on(&self, message: &Message) {
        if matches!(message, Message::Touch) && self.pending.is_some() {
            self.context.wake(self.key.name.clone());
        }
    }

    /// Starts the TTL timer, if there is a deadline and none runs.
    fn arm(&mut self) {
        let Some(state) = self.pending.as_ref().filter(|state| !state.soft_deleted) else { return };
        let deadline = state.config.expiry.deadline(self.last_use());
        let Some(deadline) = deadline.filter(|_| self.timer.is_none()) else { return };
        let wait = deadline.since(self.context.clock.now());
        self.timer = Some(self.myself.send_after(wait, || Message::Expire).abort_handle());
    }

    /// When the stream was last used, as far as anybody has noted.
    fn last_use(&self) -> Timestamp {
        let recorded = self.pending.as_ref().map_or(Timestamp::MIN, |state| state.touched_at);
        let noted = self.life.as_ref().map_or(Timestamp::MIN, |life| life.touch.latest());
        recorded.max(noted)
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

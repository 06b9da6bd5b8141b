//! The gen_server of one stream.
//!
//! It decides every write, one after the other, against the state that the records submitted so far
//! lead to; hands the record to storage without waiting; and publishes what is durable. If storage
//! fails it crashes on purpose, and its supervisor starts it again from what storage holds.

pub(crate) mod message;
mod operations;
mod pipeline;

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, MessagingErr};
use streamkeeper_protocol::stream::{Record, StreamState};
use streamkeeper_storage::{Chunk, Entry, StorageError};
use streamkeeper_supervisor::ChildFailure;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use self::message::{Follow, Message};
use self::pipeline::{Answer, Effect, Pipeline};
use super::StreamKey;
use super::ended::Ending;
use super::recent::Recent;
use super::touch::Touch;
use super::view::View;
use super::waiters::Waiters;
use crate::context::Context;

/// How long an actor that was started to create a stream waits for being told to.
const CREATION_PATIENCE: Duration = Duration::from_secs(5);

/// What a stream's actor is started with.
pub(crate) struct Arguments {
    pub(crate) context: Arc<Context>,
    pub(crate) key: StreamKey,
    /// What storage holds of the stream.
    pub(crate) state: Option<StreamState>,
    pub(crate) views: watch::Sender<Arc<View>>,
    pub(crate) touch: Arc<Touch>,
    /// Tells callers of the actor's end.
    pub(crate) ending: Ending,
    /// Whether the actor was asked to create the stream, so that there need not be one.
    pub(crate) may_be_absent: bool,
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
    recent: Arc<Recent>,
    waiters: Waiters,
    subscribers: Arc<()>,
    touch: Arc<Touch>,
    timer: Option<AbortHandle>,
    /// Outcomes that came when the mailbox took no more messages.
    late: (mpsc::UnboundedSender<Outcome>, mpsc::UnboundedReceiver<Outcome>),
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
        let Arguments { context, key, state, views, touch, ending, may_be_absent } = arguments;
        let mut state = State {
            recent: Recent::new(context.limits.recent_bytes_per_stream),
            context,
            key,
            myself,
            pending: state,
            pipeline: Pipeline::default(),
            views,
            waiters: Waiters::default(),
            subscribers: Arc::new(()),
            touch,
            timer: None,
            late: mpsc::unbounded_channel(),
            reloading: false,
            retired: false,
            _ending: ending,
        };
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
        if state.retired {
            // Dropping the reply tells the caller to look the stream up again.
            state.pass_on(&message);
            return Ok(());
        }
        state.handle(message)?;
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
        while !state.pipeline.is_empty() {
            let Some(outcome) = state.late.1.recv().await else { break };
            state.committed(outcome)?;
        }
        Ok(())
    }
}

/// What storage tells of a commit.
type Outcome = Result<(), StorageError>;

impl State {
    fn handle(&mut self, message: Message) -> Result<(), ActorProcessingErr> {
        if let Some(pending) = &mut self.pending {
            pending.touch(self.touch.latest());
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
            Message::Touch => self.record_touch(),
            Message::Expire => self.expire(),
            Message::Committed(outcome) => self.committed(outcome),
            Message::Reloaded(state) => self.reloaded(state),
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
            self.touch.recover(state, self.context.clock.now());
            state.touch(self.touch.latest());
        }
        self.views.send_replace(View::of(self.pending.as_ref(), &self.recent));
        self.arm();
    }

    /// An actor without a stream ends: at once, or soon if its creation is on the way but does not
    /// come, because whoever asked for it has given up.
    fn see_whether_there_is_a_stream(&self, may_be_absent: bool) {
        match (&self.pending, may_be_absent) {
            (Some(_), _) => {}
            (None, true) => drop(self.myself.send_after(CREATION_PATIENCE, || Message::Expire)),
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
                self.tell(Ok(()));
            }
            Err(commit) => {
                let effect = self.apply(&record);
                self.pipeline.submitted(effect, answer);
                let (myself, late) = (self.myself.clone(), self.late.0.clone());
                commit.on_outcome(move |outcome| tell(&myself, &late, outcome));
            }
        }
        Ok(())
    }

    fn tell(&self, outcome: Outcome) {
        tell(&self.myself, &self.late.0, outcome);
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
                self.recent = Recent::new(self.context.limits.recent_bytes_per_stream);
                self.touch.reset(*at);
                self.disarm();
                self.arm();
            }
            Record::Appended { at, .. } | Record::Touched { at } => self.touch.record(*at),
            _ => {}
        }
        let visible = !matches!(record, Record::Touched { .. } | Record::ForkAdded { .. });
        let chunk = record.batch().zip(self.pending.as_ref()).map(|(batch, state)| Chunk {
            position: state.tail - batch.size(),
            batch: batch.clone(),
        });
        Effect {
            chunk,
            view: visible.then(|| View::of(self.pending.as_ref(), &self.recent)),
            released: before.filter(|_| existed && self.pending.is_none()),
        }
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
            // Only subscribers wait for another view; telling that there is one costs more than making it.
            let followed = Arc::strong_count(&self.subscribers) > 1;
            self.views.send_if_modified(|latest| {
                *latest = view.clone();
                followed
            });
            self.waiters.wake(&view);
        }
        if let Some((origin, id)) = effect.released {
            self.context.release_source(origin, id);
        }
    }

    /// There was no space for a record that is in flight, nor for those upon it: take up the stream anew
    /// as storage holds it. That is no crash, and readers do not notice.
    fn not_written(&mut self) -> Result<(), ActorProcessingErr> {
        self.pipeline.refused(&StorageError::Full.into());
        if !self.reloading {
            self.reloading = true;
            let (context, name) = (self.context.clone(), self.key.name.clone());
            let myself = self.myself.clone();
            tokio::spawn(async move {
                let state = context.storage.load(&name).await;
                // An actor that has ended needs no state.
                let _ = myself.cast(Message::Reloaded(state));
            });
        }
        Ok(())
    }

    fn reloaded(
        &mut self,
        state: Result<Option<StreamState>, StorageError>,
    ) -> Result<(), ActorProcessingErr> {
        match state {
            // Storage tells the state after the outcomes of all that was accepted before.
            Ok(state) if self.pipeline.is_empty() => {
                self.pending = state;
                self.reloading = false;
                // The timer may have fired meanwhile.
                self.expire()
            }
            Ok(_) => Err(ChildFailure::new("storage told a state before an outcome").into()),
            Err(error) => self.crash(error),
        }
    }

    /// A record was refused outright; nothing has changed.
    fn refused(&mut self, error: StorageError, answer: Answer) -> Result<(), ActorProcessingErr> {
        answer.fail(error.clone().into());
        match error {
            StorageError::Full => Ok(()),
            error => self.crash(error),
        }
    }

    /// Crashes on purpose: what was submitted and what storage holds may differ now.
    fn crash(&mut self, error: StorageError) -> Result<(), ActorProcessingErr> {
        let failure = ChildFailure::new(&error);
        self.pipeline.fail(&error.into());
        Err(failure.into())
    }

    /// Ends the actor of a stream that is durably gone.
    fn retire_if_over(&mut self) {
        if self.retired || self.reloading || self.pending.is_some() || !self.pipeline.is_empty() {
            return;
        }
        self.retire();
    }

    fn retire(&mut self) {
        self.retired = true;
        self.context.registry.retire(&self.key);
        // Answers what is in the mailbox, then stops.
        let _ = self.myself.drain();
    }

    /// Goes dormant, if nobody needs the actor: what is known of the stream is in storage, and its
    /// deadline is kept elsewhere. The next request starts another actor.
    fn doze(&mut self) {
        let needed = !self.pipeline.is_empty()
            || self.reloading
            || self.waiters.any()
            || Arc::strong_count(&self.subscribers) > 1;
        if needed {
            return;
        }
        let Some(state) = &self.pending else { return };
        // Before the registry forgets the actor: whoever starts the next one finds the deadline.
        self.context.deadlines.keep(&self.key.name, state, &self.touch);
        self.disarm();
        self.retire();
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
        let deadline = state.config.expiry.deadline(state.touched_at.max(self.touch.latest()));
        let Some(deadline) = deadline.filter(|_| self.timer.is_none()) else { return };
        let wait = deadline.since(self.context.clock.now());
        self.timer = Some(self.myself.send_after(wait, || Message::Expire).abort_handle());
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

/// Brings an outcome to the actor: by its mailbox, or beside it if it is emptying that to stop.
fn tell(myself: &ActorRef<Message>, late: &mpsc::UnboundedSender<Outcome>, outcome: Outcome) {
    if let Err(error) = myself.cast(Message::Committed(outcome))
        && let MessagingErr::SendErr(Message::Committed(outcome)) = error
    {
        // An actor that is no more needs no outcome: it is in storage.
        let _ = late.send(outcome);
    }
}

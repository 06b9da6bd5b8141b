//! The gen_server of one subscription.
//!
//! It takes one message after the other through the same four steps: take in the news of its streams,
//! decide, make the events durable, and only then answer and do what the new state calls for. While a
//! commit is in flight, messages wait in its queue; the actor itself never waits. If storage fails it
//! crashes on purpose, and its supervisor starts it again from what storage holds.

mod duties;
mod following;
pub(crate) mod message;
mod operations;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, MessagingErr};
use streamkeeper_protocol::subscription::{
    Chance, Config, Event, LinkType, SubscriptionId, SubscriptionState, Tracker,
};
use streamkeeper_protocol::{StreamName, Timestamp};
use streamkeeper_storage::{Entry, StorageError};
use streamkeeper_supervisor::ChildFailure;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::DropGuard;

use self::duties::Duties;
use self::following::Following;
use self::message::Message;
use self::operations::{Answer, Surveying};
use super::handle::End;
use super::inbox::Inbox;
use super::log::EventLog;
use super::survey::{Survey, survey};
use crate::Unavailable;
use crate::context::Context;

/// How long an actor that was started to create a subscription waits for being told to.
const CREATION_PATIENCE: Duration = Duration::from_secs(5);

/// The shortest timer: a clock that disagrees with it must not make the actor spin.
const SHORTEST_TIMER: Duration = Duration::from_millis(1);

/// What a subscription's actor is started with.
pub(crate) struct Arguments {
    pub(crate) context: Arc<Context>,
    pub(crate) id: SubscriptionId,
    /// What storage holds; `None` if the subscription is to be created.
    pub(crate) loaded: Option<(EventLog, SubscriptionState)>,
    /// Whether there need not be a subscription, because it is about to be created.
    pub(crate) may_be_absent: bool,
    /// Tells callers of the actor's end.
    pub(crate) end: Arc<End>,
}

/// The actor.
pub(crate) struct Subscription;

/// What the actor knows.
pub(crate) struct State {
    context: Arc<Context>,
    id: SubscriptionId,
    myself: ActorRef<Message>,
    log: EventLog,
    /// `None` while there is no subscription.
    tracker: Option<Tracker>,
    following: Following,
    busy: Busy,
    queue: VecDeque<Message>,
    duties: Duties,
    timer: Option<(Timestamp, AbortHandle)>,
    /// Outcomes that came when the mailbox took no more messages.
    late: (mpsc::UnboundedSender<Outcome>, mpsc::UnboundedReceiver<Outcome>),
    /// The subscription is gone: the actor only empties its mailbox.
    retired: bool,
    end: Arc<End>,
    /// Dropped last, when every reply that was in the actor's hands is answered or dropped.
    _ended: DropGuard,
}

/// What the actor waits for before it looks at the next message.
enum Busy {
    No,
    Surveying(Surveying),
    Committing(Commit),
}

/// A commit that is in flight, and what follows when it is durable.
enum Commit {
    Decision(Answer),
    /// A snapshot, at this position of the log.
    Snapshot(u64),
    Truncation,
    Deletion(Answer),
}

/// What storage tells of a commit.
type Outcome = Result<(), StorageError>;

impl Actor for Subscription {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context, id, loaded, may_be_absent, end } = arguments;
        let following = Following::new(id.clone(), Inbox::new(myself.clone()));
        let (log, tracker) = match loaded {
            Some((log, state)) => (log, Some(Tracker::load(state))),
            None => (EventLog::new(&id, context.draw_id()), None),
        };
        let mut state = State {
            context,
            id,
            myself,
            log,
            tracker,
            following,
            busy: Busy::No,
            queue: VecDeque::new(),
            duties: Duties::default(),
            timer: None,
            late: mpsc::unbounded_channel(),
            retired: false,
            _ended: end.ended.clone().drop_guard(),
            end,
        };
        state.begin(may_be_absent);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let handled = state.handle(message);
        if handled.is_err() {
            // Whoever starts again asks anew, and reads in storage what was told meanwhile.
            state.following.forget_all(&state.context.subscriptions.interests);
            state.turn_queue_away(&Unavailable::Restarting);
        }
        handled
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.disarm();
        state.duties.cancel();
        state.turn_queue_away(&Unavailable::ShuttingDown);
        // What was decided gets its answer; the supervisor's deadline bounds the wait.
        while matches!(state.busy, Busy::Committing(_)) {
            let Some(outcome) = state.late.1.recv().await else { break };
            state.committed(outcome)?;
        }
        Ok(())
    }
}

impl State {
    /// Tells streams of the interest first, and looks where they end after that: nothing is appended
    /// in between unseen.
    fn begin(&mut self, may_be_absent: bool) {
        match &self.tracker {
            Some(tracker) => {
                let state = tracker.state();
                let interests = &self.context.subscriptions.interests;
                self.following.pattern(interests, state.config.pattern.as_ref());
                let named = state.links.iter().filter(|(_, link)| link.explicit);
                self.following.streams(interests, named.map(|(stream, _)| stream));
                let linked = state.links.keys().cloned().collect();
                let config = state.config.clone();
                self.survey(Some(config), linked, Surveying::Load);
            }
            None if may_be_absent => {
                drop(self.myself.send_after(CREATION_PATIENCE, || Message::GiveUp));
            }
            // A message to itself, because an actor cannot end before it has begun.
            None => drop(self.myself.cast(Message::GiveUp)),
        }
    }

    fn handle(&mut self, message: Message) -> Result<(), ActorProcessingErr> {
        match (message, &self.busy) {
            (Message::Request(request, _), _) if self.retired => {
                // A creation looks the name up again when its reply is dropped.
                drop(request.not_found());
            }
            (_, _) if self.retired => {}
            (Message::Committed(outcome), Busy::Committing(_)) => self.committed(outcome)?,
            (Message::Surveyed(survey), Busy::Surveying(_)) => self.surveyed(survey)?,
            (message, Busy::No) => self.process(message)?,
            // One of each is enough, and the work that waits looks for news anyway.
            (Message::News | Message::Deadline, _) => {}
            (message, _) => self.queue.push_back(message),
        }
        while matches!(self.busy, Busy::No) && !self.retired {
            let Some(message) = self.queue.pop_front() else { return self.rest() };
            self.process(message)?;
        }
        Ok(())
    }

    fn process(&mut self, message: Message) -> Result<(), ActorProcessingErr> {
        self.take_news();
        match message {
            Message::Request(request, _permit) => self.request(request),
            Message::Turn(turn) => {
                self.duties.take_turn(turn);
                self.decide(Answer::None)
            }
            Message::Called { attempt, outcome } => {
                self.duties.called(&attempt);
                self.with_tracker(|tracker, now, chance| {
                    tracker.delivered(&attempt, outcome, now, chance);
                });
                self.decide(Answer::None)
            }
            Message::Notified { generation, written } => {
                self.duties.notified(generation, written);
                self.with_tracker(|tracker, now, chance| {
                    tracker.notified(generation, written, now, chance);
                });
                self.decide(Answer::None)
            }
            Message::Deadline => {
                self.disarm();
                self.decide(Answer::None)
            }
            Message::News => self.decide(Answer::None),
            Message::GiveUp => {
                if self.tracker.is_none() {
                    self.retire();
                }
                Ok(())
            }
            // Not what the actor waits for.
            Message::Committed(_) | Message::Surveyed(_) => Ok(()),
        }
    }

    fn with_tracker(&mut self, change: impl FnOnce(&mut Tracker, Timestamp, Chance)) {
        let (now, chance) = (self.context.clock.now(), self.chance());
        if let Some(tracker) = &mut self.tracker {
            change(tracker, now, chance);
        }
    }

    fn chance(&self) -> Chance {
        let (high, low) = (self.context.draw_seed(), self.context.draw_seed());
        Chance(u128::from(high) << 64 | u128::from(low))
    }

    fn take_news(&mut self) {
        let Some(tracker) = &mut self.tracker else { return };
        for (stream, seen) in self.following.inbox.take() {
            tracker.see(&stream, seen);
        }
    }

    /// Brings the subscription up to the time and makes durable what was decided; the answer follows.
    fn decide(&mut self, answer: Answer) -> Result<(), ActorProcessingErr> {
        self.with_tracker(Tracker::settle);
        self.undertake();
        let Some(tracker) = &mut self.tracker else { return Ok(()) };
        let events = tracker.take_events();
        if events.is_empty() {
            return self.decided(answer);
        }
        self.follow(&events);
        let entry = self.log.append(&events, self.context.clock.now());
        self.commit(entry, Commit::Decision(answer))
    }

    /// Explicit streams tell their news from now on, or no longer.
    fn follow(&mut self, events: &[Event]) {
        let interests = &self.context.subscriptions.interests;
        for event in events {
            match event {
                Event::Linked { stream, link_type: LinkType::Explicit, .. } => {
                    self.following.streams(interests, [stream]);
                }
                Event::Unlinked { stream, link_type: LinkType::Explicit } => {
                    self.following.forget(interests, stream);
                }
                _ => {}
            }
        }
    }

    fn commit(&mut self, entry: Entry, then: Commit) -> Result<(), ActorProcessingErr> {
        self.busy = Busy::Committing(then);
        match self.context.storage.commit(entry).try_outcome() {
            Ok(outcome) => self.committed(outcome),
            Err(commit) => {
                let (myself, late) = (self.myself.clone(), self.late.0.clone());
                commit.on_outcome(move |outcome| tell(&myself, &late, outcome));
                Ok(())
            }
        }
    }

    fn committed(&mut self, outcome: Outcome) -> Result<(), ActorProcessingErr> {
        let Busy::Committing(commit) = std::mem::replace(&mut self.busy, Busy::No) else {
            return Ok(());
        };
        if let Err(error) = outcome {
            // What was decided and what storage holds differ now.
            let failure = ChildFailure::new(&error);
            if let Commit::Decision(answer) | Commit::Deletion(answer) = commit {
                answer.fail(&error.into());
            }
            return Err(failure.into());
        }
        match commit {
            Commit::Decision(answer) => self.decided(answer),
            Commit::Snapshot(position) => {
                let entry = self.log.truncate(position);
                self.commit(entry, Commit::Truncation)
            }
            Commit::Truncation => Ok(()),
            Commit::Deletion(answer) => {
                self.retire();
                answer.give();
                Ok(())
            }
        }
    }

    /// What was decided is durable: tell it, and do what it calls for.
    fn decided(&mut self, answer: Answer) -> Result<(), ActorProcessingErr> {
        answer.give();
        self.perform();
        match &self.tracker {
            Some(tracker) if self.log.is_long() => {
                let (position, snapshot) = (self.log.tail(), tracker.snapshot());
                let entry = self.log.append(&[snapshot], self.context.clock.now());
                self.commit(entry, Commit::Snapshot(position))
            }
            _ => Ok(()),
        }
    }

    /// Nothing is left to do: sees to it that the actor is called when there is.
    fn rest(&mut self) -> Result<(), ActorProcessingErr> {
        let Some(tracker) = &self.tracker else { return Ok(()) };
        let now = self.context.clock.now();
        let (deadline, idle) = (tracker.deadline(now), tracker.state().wake().is_none());
        match deadline {
            Some(deadline) => self.arm(deadline, now),
            None => self.disarm(),
        }
        if !idle {
            self.following.inbox.stop_listening();
        } else if !self.following.inbox.listen() {
            self.following.inbox.stop_listening();
            drop(self.myself.cast(Message::News));
        }
        Ok(())
    }

    fn survey(&mut self, config: Option<Config>, named: BTreeSet<StreamName>, then: Surveying) {
        self.busy = Busy::Surveying(then);
        let (context, myself) = (self.context.clone(), self.myself.clone());
        tokio::spawn(async move {
            let survey = survey(&context, config.as_ref(), named).await;
            // An actor that has ended needs no survey.
            let _ = myself.cast(Message::Surveyed(survey));
        });
    }

    fn surveyed(&mut self, survey: Result<Survey, StorageError>) -> Result<(), ActorProcessingErr> {
        let Busy::Surveying(then) = std::mem::replace(&mut self.busy, Busy::No) else {
            return Ok(());
        };
        match survey {
            Ok(survey) => self.go_on(then, survey),
            Err(error) => {
                let failure = ChildFailure::new(&error);
                then.fail(&error.into());
                Err(failure.into())
            }
        }
    }

    /// There is no subscription any more, or there never was.
    fn retire(&mut self) {
        self.retired = true;
        self.disarm();
        self.duties.cancel();
        let shared = &self.context.subscriptions;
        self.end.retired.store(true, Ordering::Release);
        shared.registry.forget(&self.id, self.myself.get_id());
        self.following.forget_all(&shared.interests);
        self.tracker = None;
        for message in std::mem::take(&mut self.queue) {
            if let Message::Request(request, _) = message {
                drop(request.not_found());
            }
        }
        // Answers what is in the mailbox, then stops.
        let _ = self.myself.drain();
    }

    fn turn_queue_away(&mut self, why: &Unavailable) {
        for message in self.queue.drain(..) {
            if let Message::Request(request, _) = message {
                request.turn_away(why);
            }
        }
    }

    fn arm(&mut self, deadline: Timestamp, now: Timestamp) {
        if self.timer.as_ref().is_some_and(|(armed, _)| *armed == deadline) {
            return;
        }
        self.disarm();
        let wait = deadline.since(now).max(SHORTEST_TIMER);
        let timer = self.myself.send_after(wait, || Message::Deadline);
        self.timer = Some((deadline, timer.abort_handle()));
    }

    fn disarm(&mut self) {
        if let Some((_, timer)) = self.timer.take() {
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

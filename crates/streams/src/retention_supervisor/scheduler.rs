//! The gen_server that sees who is due, every now and then or when told to, and starts workers.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::StartError;
use tokio::sync::oneshot;

use super::RetentionStatus;
use super::ledger::Figures;
use super::queue::Queue;
use super::worker;
use crate::context::Context;

/// Below this, the scheduler would do nothing else.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// What the scheduler understands.
pub(crate) enum Message {
    /// The interval has passed.
    Tick,
    /// Look now; answered when all that is due by then is done with, well or not.
    Check(oneshot::Sender<()>),
    /// Tell how things are.
    Status(oneshot::Sender<RetentionStatus>),
    /// The worker of this stream has ended, well or not.
    Ended(StreamName),
}

/// The actor.
pub(super) struct Scheduler;

/// What it knows.
pub(super) struct State {
    context: Arc<Context>,
    queue: Queue,
}

impl Actor for Scheduler {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        context: Arc<Context>,
    ) -> Result<State, ActorProcessingErr> {
        // In this order: a worker of an earlier scheduler that ends meanwhile is heard of.
        context.retention.processes.write().scheduler = Some(myself.clone());
        let running = match context.retention.workers() {
            Some(workers) => workers.which_children().await,
            None => Vec::new(),
        };
        let running = running.into_iter().map(|child| child.key).collect();
        myself.send_interval(context.limits.retention_interval.max(MIN_INTERVAL), || Message::Tick);
        let queue = Queue::new(context.limits.compaction_workers.max(1), running);
        Ok(State { context, queue })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Tick => {
                let due = state.due().await;
                state.queue.add(due);
            }
            Message::Check(reply) => {
                let due = state.due().await;
                // A worker that is at one may have decided before it was asked for.
                state.queue.repeat(&due);
                state.queue.add(due);
                state.queue.when_done(reply);
            }
            // Somebody who gave up needs no answer.
            Message::Status(reply) => drop(reply.send(state.status())),
            Message::Ended(name) => state.queue.ended(&name),
        }
        state.start_workers().await;
        Ok(())
    }
}

impl State {
    /// Looks for streams that have something to drop.
    async fn due(&self) -> Vec<StreamName> {
        let Context { retention, clock, .. } = &*self.context;
        let now = clock.now();
        retention.ledger.ran(now);
        retention.agenda.due(now).await
    }

    async fn start_workers(&mut self) {
        let Some(workers) = self.context.retention.workers() else { return };
        while let Some(name) = self.queue.next() {
            let spec = worker::spec(&self.context, &name);
            let Err(error) = workers.start_child(name.clone(), spec).await else { continue };
            if !matches!(error, StartError::ShuttingDown) {
                let Context { retention, clock, .. } = &*self.context;
                retention.ledger.failed(&name, &error.to_string(), clock.now());
            }
            self.queue.ended(&name);
        }
    }

    fn status(&self) -> RetentionStatus {
        let Context { retention, limits, .. } = &*self.context;
        let Figures { last_run, compactions, dropped, failures, last_failure } =
            retention.ledger.figures();
        RetentionStatus {
            interval: limits.retention_interval,
            last_run,
            streams: retention.agenda.len(),
            due: self.queue.waiting(),
            running: self.queue.running(),
            compactions,
            dropped_messages: dropped.messages,
            dropped_bytes: dropped.bytes,
            failures,
            last_failure,
        }
    }
}

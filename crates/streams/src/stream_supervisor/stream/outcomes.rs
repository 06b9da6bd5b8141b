//! The outcomes of a stream's commits, on their way from the storage's threads to the actor.
//!
//! A storage tells the outcomes of a batch one after the other. To wake the runtime for each would cost
//! more than the commit: they gather here, and a courier, which is woken once for many streams, tells
//! each actor once for many outcomes.

use std::collections::{VecDeque, vec_deque};
use std::iter::{self, Chain, RepeatN};
use std::sync::Arc;

use parking_lot::Mutex;
use ractor::ActorRef;
use streamkeeper_storage::StorageError;
use tokio::sync::{Notify, mpsc};

use super::message::Message;

/// What storage tells of a commit.
pub(super) type Outcome = Result<(), StorageError>;

/// How many actors the courier tells before others get their turn.
const ROUND: usize = 256;

/// The way of outcomes to one actor.
#[derive(Debug)]
pub(crate) struct Outcomes {
    actor: ActorRef<Message>,
    courier: Courier,
    unseen: Mutex<Unseen>,
    /// Told of outcomes that come when the mailbox takes no more messages.
    late: Notify,
}

impl Outcomes {
    pub(super) fn new(actor: ActorRef<Message>, courier: Courier) -> Arc<Self> {
        Arc::new(Self { actor, courier, unseen: Mutex::default(), late: Notify::new() })
    }

    /// Brings an outcome on its way. Never waits.
    pub(super) fn tell(self: &Arc<Self>, outcome: Outcome) {
        let mut unseen = self.unseen.lock();
        let first = unseen.is_empty();
        unseen.push(outcome);
        drop(unseen);
        if first {
            self.courier.bring(self.clone());
        }
    }

    /// Takes what has come.
    pub(super) fn take(&self) -> Unseen {
        std::mem::take(&mut *self.unseen.lock())
    }

    /// Waits for outcomes that come when the mailbox takes no more messages.
    pub(super) async fn wait(&self) {
        self.late.notified().await;
    }

    /// Tells the actor that there are outcomes: by its mailbox, or beside it if it is emptying that to stop.
    fn arrive(&self) {
        if self.actor.cast(Message::Committed).is_err() {
            self.late.notify_one();
        }
    }
}

/// The outcomes that an actor has not seen, in order: first so many successes, which need no memory.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    successes: usize,
    others: VecDeque<Outcome>,
}

impl Unseen {
    fn is_empty(&self) -> bool {
        self.successes == 0 && self.others.is_empty()
    }

    fn push(&mut self, outcome: Outcome) {
        match outcome {
            Ok(()) if self.others.is_empty() => self.successes += 1,
            other => self.others.push_back(other),
        }
    }
}

impl IntoIterator for Unseen {
    type Item = Outcome;
    type IntoIter = Chain<RepeatN<Outcome>, vec_deque::IntoIter<Outcome>>;

    fn into_iter(self) -> Self::IntoIter {
        iter::repeat_n(Ok(()), self.successes).chain(self.others)
    }
}

/// The way to the courier of a system. Each actor is on it once at most, however many outcomes it has.
#[derive(Debug, Clone)]
pub(crate) struct Courier(mpsc::UnboundedSender<Arc<Outcomes>>);

impl Courier {
    /// Starts the courier, which ends when nobody has anything to bring any more.
    pub(crate) fn start() -> Self {
        let (courier, mut bags) = mpsc::unbounded_channel::<Arc<Outcomes>>();
        tokio::spawn(async move {
            let mut round = Vec::with_capacity(ROUND);
            while bags.recv_many(&mut round, ROUND).await > 0 {
                round.drain(..).for_each(|outcomes| outcomes.arrive());
            }
        });
        Self(courier)
    }

    fn bring(&self, outcomes: Arc<Outcomes>) {
        if let Err(mpsc::error::SendError(outcomes)) = self.0.send(outcomes) {
            // The runtime is shutting down.
            outcomes.arrive();
        }
    }
}

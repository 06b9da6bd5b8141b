//! How a stream tells a subscription where it ends: nearly for free, because every append does.
//!
//! A stream keeps a [`Mark`] for each subscription that is interested in it, and moves it. The first
//! move puts the mark into the subscription's [`Inbox`]; until the subscription has taken it out, every
//! further move is two atomic operations. Only a subscription that listens, because nobody works for it
//! now, gets a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ractor::ActorRef;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::subscription::{Seen, Tail};

use super::subscription::message::Message;

/// The position of a stream that is no more.
const GONE: u64 = u64::MAX;

/// How many marks wait before a subscription that does not listen is told all the same.
const MARKS_BEFORE_TOLD: usize = 1024;

/// Where one life of a stream ends, as one subscription is told.
#[derive(Debug)]
pub(crate) struct Mark {
    stream: StreamName,
    /// `None`: there is no such stream.
    life: Option<StreamId>,
    position: AtomicU64,
    /// Whether the mark is in the inbox.
    queued: AtomicBool,
}

/// What streams have told a subscription and it has not looked at yet.
#[derive(Debug)]
pub(crate) struct Inbox {
    actor: ActorRef<Message>,
    listening: AtomicBool,
    marks: Mutex<Vec<Arc<Mark>>>,
}

impl Mark {
    pub(crate) fn new(stream: &StreamName, life: Option<StreamId>) -> Arc<Self> {
        let position = AtomicU64::new(if life.is_some() { 0 } else { GONE });
        Arc::new(Self { stream: stream.clone(), life, position, queued: AtomicBool::new(false) })
    }

    fn seen(&self) -> Seen {
        match (self.life, self.position.load(Ordering::Acquire)) {
            (None, _) => Seen::Absent,
            (Some(life), GONE) => Seen::Gone(life),
            (Some(life), position) => Seen::At(Tail { life, position }),
        }
    }
}

impl Inbox {
    pub(crate) fn new(actor: ActorRef<Message>) -> Arc<Self> {
        let listening = AtomicBool::new(false);
        Arc::new(Self { actor, listening, marks: Mutex::default() })
    }

    /// Tells that the mark's stream ends there; `None`: it is no more.
    pub(crate) fn tell(&self, mark: &Arc<Mark>, position: Option<u64>) {
        mark.position.store(position.unwrap_or(GONE), Ordering::Release);
        if mark.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let waiting = {
            let mut marks = self.marks.lock();
            marks.push(mark.clone());
            marks.len()
        };
        let told = waiting.is_multiple_of(MARKS_BEFORE_TOLD);
        if self.listening.swap(false, Ordering::AcqRel) || told {
            // An actor that has ended reads storage when it is started again.
            let _ = self.actor.cast(Message::News);
        }
    }

    /// Takes the news, in the order in which each stream told it.
    pub(crate) fn take(&self) -> Vec<(StreamName, Seen)> {
        let marks = std::mem::take(&mut *self.marks.lock());
        let read = |mark: Arc<Mark>| {
            // In this order: a move after it puts the mark in again.
            mark.queued.swap(false, Ordering::AcqRel);
            (mark.stream.clone(), mark.seen())
        };
        marks.into_iter().map(read).collect()
    }

    /// Asks for a message with the next news; `false` if there is some already.
    pub(crate) fn listen(&self) -> bool {
        // In this order: news that comes between the two is told twice, not never.
        self.listening.store(true, Ordering::Release);
        self.marks.lock().is_empty()
    }

    /// Does without messages.
    pub(crate) fn stop_listening(&self) {
        self.listening.store(false, Ordering::Release);
    }
}

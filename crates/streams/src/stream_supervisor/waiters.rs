//! The long-poll readers that wait for a stream to move.

use std::sync::Arc;

use streamkeeper_protocol::stream::StreamId;
use tokio::sync::oneshot;

use super::view::View;

/// A reader that has everything before a position and waits for more, or for the end.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// The life of the stream that it reads.
    pub(crate) id: StreamId,
    /// The position up to which it has read.
    pub(crate) position: u64,
    /// Gets the view that has news for it.
    pub(crate) reply: oneshot::Sender<Arc<View>>,
}

/// Readers that wait. Those who gave up are swept out when their number has doubled.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Vec<Waiter>,
    sweep_at: usize,
}

/// Below this many waiters, sweeping is not worth it.
const MIN_SWEEP: usize = 16;

impl Waiters {
    /// Answers the waiter at once if the view has news for it; lets it wait otherwise.
    pub(crate) fn add(&mut self, waiter: Waiter, view: &Arc<View>) {
        if view.has_news(waiter.id, waiter.position) {
            // A reader that gave up needs no answer.
            let _ = waiter.reply.send(view.clone());
            return;
        }
        if self.waiting.len() >= self.sweep_at {
            self.waiting.retain(|waiter| !waiter.reply.is_closed());
            self.sweep_at = (2 * self.waiting.len()).max(MIN_SWEEP);
        }
        self.waiting.push(waiter);
    }

    /// Whether somebody waits.
    pub(crate) fn any(&mut self) -> bool {
        self.waiting.retain(|waiter| !waiter.reply.is_closed());
        !self.waiting.is_empty()
    }

    /// Answers the waiters for whom the view has news.
    pub(crate) fn wake(&mut self, view: &Arc<View>) {
        for waiter in self.waiting.extract_if(.., |w| view.has_news(w.id, w.position)) {
            let _ = waiter.reply.send(view.clone());
        }
    }
}

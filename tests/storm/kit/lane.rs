//! A slow way to storage: the commits of one stream, one after the other, each after a while.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use streamkeeper_storage::{Completer, Entry, Storage, StorageError};
use tokio::sync::{mpsc, oneshot};

/// What becomes of a commit that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Durable,
    /// Not written; what was decided upon it is refused by storage.
    Lost,
    /// Written, but told to have failed.
    AckLost,
}

/// What is on the way.
pub(crate) enum Errand {
    Write {
        entry: Box<Entry>,
        outcome: Outcome,
        delay: Duration,
        completer: Completer,
    },
    /// Tells when everything before it has arrived.
    Barrier(oneshot::Sender<()>),
}

/// What became durable, at some moment between two ticks.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) entry: Entry,
}

/// Everything that became durable through lanes; what is of one stream is in order.
pub(crate) type Journal = Arc<Mutex<Vec<Durable>>>;

/// A way that carries errands in order. It ends with the last sender.
pub(crate) fn lane(
    storage: Arc<dyn Storage>,
    journal: Option<Journal>,
    tick: Arc<dyn Fn() -> u64 + Send + Sync>,
) -> mpsc::UnboundedSender<Errand> {
    let (sender, mut errands) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(errand) = errands.recv().await {
            let (entry, outcome, delay, completer) = match errand {
                Errand::Barrier(passed) => {
                    // Whoever gave up waiting needs no answer.
                    let _ = passed.send(());
                    continue;
                }
                Errand::Write { entry, outcome, delay, completer } => {
                    (entry, outcome, delay, completer)
                }
            };
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let failed = StorageError::Unavailable("injected".into());
            if outcome == Outcome::Lost {
                completer.complete(Err(failed));
                continue;
            }
            let from = tick();
            let written = storage.commit((*entry).clone()).await;
            if let (Ok(()), Some(journal)) = (&written, &journal) {
                journal.lock().push(Durable { from, until: tick(), entry: *entry });
            }
            completer.complete(match outcome {
                Outcome::AckLost => written.and(Err(failed)),
                _ => written,
            });
        }
    });
    sender
}

//! The filing thread: a worker that fails, by an error or a panic, is begun again after a while.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use parking_lot::Mutex;
use streamkeeper_storage::StorageError;

use crate::engine::Engine;

/// How often to look for garbage when nothing is sealed.
const GARBAGE_PERIOD: Duration = Duration::from_secs(10);
/// After how long filing is tried again that has failed; doubled with each failure.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// After how long at most.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// What the filing thread is told.
pub(super) enum Chore {
    /// There may be something to file.
    Sealed,
    /// Tells when nothing is left to file or to merge, or that it failed.
    Settle(Sender<()>),
}

/// Why filing does not get on, in words, if it does not. Nothing is lost by that, but the journal grows.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

/// Files and merges until nobody can ask for it any more.
pub(super) fn run(engine: &Engine, chores: &Receiver<Chore>, trouble: &Trouble) {
    let mut failures = 0;
    loop {
        let chore = match chores.recv_timeout(patience(failures)) {
            Ok(chore) => chore,
            Err(RecvTimeoutError::Timeout) => Chore::Sealed,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| file_all(engine)));
        if engine.is_closing() {
            return;
        }
        let outcome = outcome
            .unwrap_or_else(|_| Err(StorageError::Unavailable("filing has panicked".to_owned())));
        failures = if outcome.is_ok() { 0 } else { failures + 1 };
        *trouble.lock() = judge(&outcome, failures);
        if let Chore::Settle(settled) = chore {
            let _ = settled.send(());
        }
    }
}

fn file_all(engine: &Engine) -> Result<(), StorageError> {
    while engine.file_oldest()? {}
    let mut first = Ok(());
    while let Some(covers) = engine.merge_candidates() {
        match engine.merge(&covers) {
            // What is damaged is no candidate any more; the others are.
            Err(error @ StorageError::Corrupt(_)) => first = first.and(Err(error)),
            merged => merged?,
        }
    }
    first
}

/// Tells of a failure; what of it makes the log unwell. A full disk does not, for that has an answer of
/// its own, nor does damage, which only its stream suffers from.
fn judge(outcome: &Result<(), StorageError>, failures: u32) -> Option<String> {
    let retry = patience(failures);
    match outcome {
        Ok(()) => None,
        Err(error @ (StorageError::Full | StorageError::Corrupt(_))) => {
            tracing::warn!(%error, failures, ?retry, "filing waits");
            None
        }
        Err(error) => {
            tracing::error!(%error, failures, ?retry, "filing failed");
            Some(error.to_string())
        }
    }
}

/// How long to wait for something to do, after so many failures in a row.
fn patience(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => GARBAGE_PERIOD,
        Some(doublings) => LAST_RETRY.min(FIRST_RETRY * 2u32.pow(doublings.min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_failures_and_has_an_end() {
        let millis: Vec<u128> = (0..5).map(|failures| patience(failures).as_millis()).collect();
        assert_eq!(millis, [10_000, 100, 200, 400, 800]);
        assert_eq!((patience(11), patience(u32::MAX)), (LAST_RETRY, LAST_RETRY));
    }
}

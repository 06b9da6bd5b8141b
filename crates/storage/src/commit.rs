//! A commit: accepted now, durable later.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::StorageError;

type Outcome = Result<(), StorageError>;
type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// The outcome of [`Storage::commit`](crate::Storage::commit): resolves when the record is durable.
///
/// A backend that is durable at once returns it ready, and costs its caller no wait and no task. For
/// others there are two ways to learn the outcome: await it, or leave a callback that the backend
/// calls, which is how an actor turns it into a message without a task for each commit.
#[must_use = "a commit may fail"]
pub struct Commit(Inner);

enum Inner {
    Ready(Outcome),
    Pending(Arc<Mutex<State>>),
}

enum State {
    Waiting(Option<Waker>),
    Callback(Callback),
    Done(Outcome),
    Taken,
}

/// The backend's side of a pending commit. Dropped without an outcome, the commit fails.
#[derive(Debug)]
pub struct Completer(Option<Arc<Mutex<State>>>);

impl Commit {
    /// A commit whose outcome is known.
    pub fn ready(outcome: Outcome) -> Self {
        Self(Inner::Ready(outcome))
    }

    /// A commit whose outcome the backend will tell.
    pub fn pending() -> (Completer, Self) {
        let state = Arc::new(Mutex::new(State::Waiting(None)));
        (Completer(Some(state.clone())), Self(Inner::Pending(state)))
    }

    /// The outcome, if it is known already; otherwise the commit.
    pub fn try_outcome(self) -> Result<Outcome, Self> {
        match self.0 {
            Inner::Ready(outcome) => Ok(outcome),
            Inner::Pending(state) => {
                let taken = take_done(&mut state.lock());
                taken.ok_or(Self(Inner::Pending(state)))
            }
        }
    }

    /// Calls back with the outcome: at once if it is known, else from the backend's thread, which it
    /// must not block.
    pub fn on_outcome(self, callback: impl FnOnce(Outcome) + Send + 'static) {
        match self.try_outcome() {
            Ok(outcome) => callback(outcome),
            Err(Self(Inner::Ready(outcome))) => callback(outcome),
            Err(Self(Inner::Pending(state))) => {
                let mut guard = state.lock();
                match take_done(&mut guard) {
                    Some(outcome) => {
                        drop(guard);
                        callback(outcome);
                    }
                    None => *guard = State::Callback(Box::new(callback)),
                }
            }
        }
    }
}

fn take_done(state: &mut State) -> Option<Outcome> {
    match mem::replace(state, State::Taken) {
        State::Done(outcome) => Some(outcome),
        other => {
            *state = other;
            None
        }
    }
}

impl Future for Commit {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.get_mut().0 {
            Inner::Ready(outcome) => Poll::Ready(outcome.clone()),
            Inner::Pending(state) => {
                let mut guard = state.lock();
                match take_done(&mut guard) {
                    Some(outcome) => Poll::Ready(outcome),
                    None => {
                        *guard = State::Waiting(Some(context.waker().clone()));
                        Poll::Pending
                    }
                }
            }
        }
    }
}

impl Completer {
    /// Tells the outcome.
    pub fn complete(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(state) = self.0.take() else { return };
        let before = {
            let mut guard = state.lock();
            match mem::replace(&mut *guard, State::Taken) {
                State::Waiting(waker) => {
                    *guard = State::Done(outcome.clone());
                    State::Waiting(waker)
                }
                other => other,
            }
        };
        match before {
            State::Waiting(Some(waker)) => waker.wake(),
            State::Callback(callback) => callback(outcome),
            State::Waiting(None) | State::Done(_) | State::Taken => {}
        }
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        self.finish(Err(StorageError::Unavailable("the storage gave the commit up".into())));
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Ready(outcome) => f.debug_tuple("Commit::Ready").field(outcome).finish(),
            Inner::Pending(_) => f.write_str("Commit::Pending"),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting",
            Self::Callback(_) => "Callback",
            Self::Done(_) => "Done",
            Self::Taken => "Taken",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_commit_can_be_awaited() {
        assert_eq!(Commit::ready(Ok(())).await, Ok(()));
        let (completer, commit) = Commit::pending();
        let waiting = tokio::spawn(commit);
        tokio::task::yield_now().await;
        completer.complete(Err(StorageError::Full));
        assert_eq!(waiting.await.unwrap(), Err(StorageError::Full));
    }

    #[test]
    fn a_commit_calls_back_once_before_or_after_completion() {
        let (sender, outcomes) = mpsc::channel();
        for complete_first in [true, false] {
            let (completer, commit) = Commit::pending();
            let sender = sender.clone();
            let callback = move |outcome| sender.send(outcome).unwrap();
            if complete_first {
                completer.complete(Ok(()));
                commit.on_outcome(callback);
            } else {
                commit.on_outcome(callback);
                completer.complete(Ok(()));
            }
            assert_eq!(outcomes.try_recv(), Ok(Ok(())));
            assert!(outcomes.try_recv().is_err());
        }
    }

    #[test]
    fn a_pending_commit_has_no_outcome_yet() {
        let (completer, commit) = Commit::pending();
        let commit = commit.try_outcome().unwrap_err();
        completer.complete(Ok(()));
        assert_eq!(commit.try_outcome().unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_commit_that_is_given_up_fails() {
        let (completer, commit) = Commit::pending();
        drop(completer);
        assert!(matches!(commit.await, Err(StorageError::Unavailable(_))));
    }
}

//! The end of an actor, told to those who wait for its answers.
//!
//! A cancellation token would do; but every request waits for an answer, so this is the least that does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// Whether an actor has ended, and who is to be woken when it does.
#[derive(Debug, Default)]
pub(crate) struct Ended(Mutex<Callers>);

#[derive(Debug, Default)]
struct Callers {
    over: bool,
    wakers: Slab<Waker>,
}

/// Held by an actor. Dropping it is the end.
#[derive(Debug)]
pub(crate) struct Ending(Arc<Ended>);

impl Ended {
    /// An actor that lives until the other value is dropped.
    pub(crate) fn new() -> (Arc<Self>, Ending) {
        let ended = Arc::new(Self::default());
        (ended.clone(), Ending(ended))
    }

    /// The answer to a message. Once the actor has ended: the answer if there is one,
    /// [`TryRecvError::Closed`] if the message was dropped, [`TryRecvError::Empty`] if it is still in the mailbox.
    pub(crate) fn or_answer<T>(&self, answer: oneshot::Receiver<T>) -> Answer<'_, T> {
        Answer { answer, ended: self, place: None }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut callers = self.0.0.lock();
        callers.over = true;
        let wakers = std::mem::take(&mut callers.wakers);
        drop(callers);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// A wait for an answer.
#[derive(Debug)]
pub(crate) struct Answer<'a, T> {
    answer: oneshot::Receiver<T>,
    ended: &'a Ended,
    place: Option<usize>,
}

impl<T> Future for Answer<'_, T> {
    type Output = Result<T, TryRecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(answer) = Pin::new(&mut this.answer).poll(context) {
            return Poll::Ready(answer.map_err(|_| TryRecvError::Closed));
        }
        let mut callers = this.ended.0.lock();
        if callers.over {
            drop(callers);
            return Poll::Ready(this.answer.try_recv());
        }
        match this.place {
            Some(place) => callers.wakers[place].clone_from(context.waker()),
            None => this.place = Some(callers.wakers.insert(context.waker().clone())),
        }
        Poll::Pending
    }
}

impl<T> Drop for Answer<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // After the end there are no places any more.
            drop(self.ended.0.lock().wakers.try_remove(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_before_the_end_or_not_at_all() {
        let (ended, ending) = Ended::new();
        let (reply, answer) = oneshot::channel();
        reply.send(7).unwrap();
        assert_eq!(ended.or_answer(answer).await, Ok(7));
        let (dropped, answer) = oneshot::channel::<u8>();
        drop(dropped);
        assert_eq!(ended.or_answer(answer).await, Err(TryRecvError::Closed));

        let (stranded, answer) = oneshot::channel::<u8>();
        let waiting = tokio::spawn({
            let ended = ended.clone();
            async move { ended.or_answer(answer).await }
        });
        tokio::task::yield_now().await;
        drop(ending);
        assert_eq!(waiting.await.unwrap(), Err(TryRecvError::Empty));
        assert!(stranded.is_closed());
        let (_stranded, answer) = oneshot::channel::<u8>();
        assert_eq!(ended.or_answer(answer).await, Err(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let (ended, _ending) = Ended::new();
        let (_reply, answer) = oneshot::channel::<u8>();
        let mut waiting = Box::pin(ended.or_answer(answer));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(ended.0.lock().wakers.len(), 1);
        drop(waiting);
        assert!(ended.0.lock().wakers.is_empty());
    }
}

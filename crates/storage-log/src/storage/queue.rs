//! The queue before the commit thread.
//!
//! To begin a batch with its first commit would make batches of one or two: the thread would take the
//! processor from those who are about to commit, too. So the thread is called by a task that first lets
//! the runtime do what it has to do anyway. A lone commit waits for nothing by that, and no timer runs.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Request;

/// How often every task that is ready may run before a batch is begun.
const MOST_ROUNDS: usize = 4;
/// After how much time no further round is waited for.
const PATIENCE: Duration = Duration::from_micros(250);

/// Where requests wait for the commit thread. It has no bound of its own: callers bound what they have in
/// flight, and each waits for its outcome.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    called: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// Somebody is going to call the thread.
    calling: bool,
    /// The thread is to take what there is.
    called: bool,
    /// Nothing more comes, or nobody takes it.
    closed: bool,
}

impl Queue {
    /// Queues a request; `false` if it is closed.
    pub(super) fn push(self: &Arc<Self>, request: Request) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        waiting.requests.push_back(request);
        let first = !mem::replace(&mut waiting.calling, true);
        drop(waiting);
        if first {
            self.call_soon();
        }
        true
    }

    /// Lets the thread end when it has taken what there is.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.called.notify_one();
    }

    fn call_soon(self: &Arc<Self>) {
        let call = Call(self.clone());
        // Without a runtime, and when one ends, the call is dropped, and with that made, at once.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { call.0.gather().await });
        }
    }

    /// Lets the runtime go on with its work, while that brings more requests and takes little time.
    async fn gather(&self) {
        let begun = Instant::now();
        let mut gathered = 1;
        for _ in 0..MOST_ROUNDS {
            let_others_run().await;
            let waiting = self.waiting.lock().requests.len();
            if waiting <= gathered || begun.elapsed() > PATIENCE {
                break;
            }
            gathered = waiting;
        }
    }
}

/// Goes to the end of the runtime's queue: every task that is ready runs once. Tokio's `yield_now` would
/// wait until none is ready, or for dozens of them.
async fn let_others_run() {
    let mut queued = false;
    poll_fn(|context| match mem::replace(&mut queued, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Calls the thread when it is dropped.
struct Call(Arc<Queue>);

impl Drop for Call {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.calling = false;
        waiting.called = true;
        drop(waiting);
        self.0.called.notify_one();
    }
}

/// The thread's side. Dropped, by a panic too, it gives up what nobody will take any more.
pub(super) struct Taker(pub(super) Arc<Queue>);

impl Taker {
    /// Waits until there is something to do and takes all of it; `false` when nothing more comes.
    pub(super) fn take(&self, requests: &mut VecDeque<Request>) -> bool {
        let mut waiting = self.0.waiting.lock();
        self.0.called.wait_while(&mut waiting, |waiting| !waiting.called && !waiting.closed);
        waiting.called = false;
        requests.append(&mut waiting.requests);
        !(waiting.closed && requests.is_empty())
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.closed = true;
        let given_up = mem::take(&mut waiting.requests);
        drop(waiting);
        // Outside the lock, because it tells outcomes.
        drop(given_up);
    }
}

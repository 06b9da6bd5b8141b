//! The queue before the commit thread.
//!
//! To begin a batch with its first commit would make batches of one or two: the thread would take the
//! processor from those who are about to commit, too. So the thread is called by a task that first lets
//! the runtime do what it has to do anyway. A lone commit waits for nothing by that, and no timer runs.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::task;

use super::Request;

/// How often the runtime may go on with its work while that brings more requests.
const PATIENCE: usize = 4;

/// Where requests wait for the commit thread.
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
            runtime.spawn(async move {
                let mut gathered = 0;
                for _ in 0..PATIENCE {
                    task::yield_now().await;
                    let waiting = call.0.waiting.lock().requests.len();
                    if waiting == gathered {
                        break;
                    }
                    gathered = waiting;
                }
            });
        }
    }
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

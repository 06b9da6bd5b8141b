//! Open connections: told to finish what they are at, and waited for.
//!
//! `hyper_util::server::graceful` does the same; but it looks whether to stop through a channel, each time that a connection is
//! polled. Here that is one atomic load.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::watch;

/// All open connections of a server.
#[derive(Debug)]
pub(crate) struct Connections {
    shared: Arc<Shared>,
    /// Every connection holds a receiver.
    open: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    wakers: Mutex<Slab<Waker>>,
}

/// One connection's place among the others.
struct Place {
    shared: Arc<Shared>,
    waker: Option<usize>,
    _open: watch::Receiver<()>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { shared: Arc::default(), open: watch::Sender::new(()) }
    }

    /// Runs a connection to its end, in a task that polls nothing else.
    pub(super) fn watch<C: GracefulConnection>(
        &self,
        connection: C,
    ) -> impl Future<Output = C::Output> + use<C> {
        let shared = self.shared.clone();
        let mut place = Place { shared, waker: None, _open: self.open.subscribe() };
        async move {
            let mut connection = pin!(connection);
            let mut told = false;
            poll_fn(|context| {
                if !told && place.is_stopping(context) {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                connection.as_mut().poll(context)
            })
            .await
        }
    }

    /// Lets every connection finish the request that it is at, and waits until all are closed.
    pub(crate) async fn shutdown(self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for (_, waker) in std::mem::take(&mut *self.shared.wakers.lock()) {
            waker.wake();
        }
        self.open.closed().await;
    }
}

impl Place {
    fn is_stopping(&mut self, context: &Context<'_>) -> bool {
        if self.waker.is_none() {
            self.waker = Some(self.shared.wakers.lock().insert(context.waker().clone()));
        }
        // After the waker is where it is looked for: one of the two sees the other.
        self.shared.stopping.load(Ordering::SeqCst)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(waker) = self.waker {
            drop(self.shared.wakers.lock().try_remove(waker));
        }
    }
}

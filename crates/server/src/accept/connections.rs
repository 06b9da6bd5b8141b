//! Open connections: told to finish what they are at, and waited for.
//!
//! `hyper_util::server::graceful` does the same; but it looks whether to stop through a channel, each time that a connection is
//! polled. Here that is one atomic load.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
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
    pub(super) fn watch<C>(&self, connection: C) -> Watched<C> {
        let shared = self.shared.clone();
        let place = Place { shared, waker: None, _open: self.open.subscribe() };
        Watched { connection, place, told: false }
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

pin_project! {
    /// A connection that runs to its end, or until it is told to stop and has finished its request.
    ///
    /// Not an `async` block, which would hold the connection twice.
    pub(super) struct Watched<C> {
        #[pin]
        connection: C,
        place: Place,
        told: bool,
    }
}

impl<C> Future for Watched<C>
where
    C: GracefulConnection<Error: Display>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut watched = self.project();
        if !*watched.told && watched.place.is_stopping(context) {
            *watched.told = true;
            watched.connection.as_mut().graceful_shutdown();
        }
        if let Err(error) = ready!(Future::poll(watched.connection, context)) {
            tracing::debug!(%error, "connection ended");
        }
        Poll::Ready(())
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

//! The timer of one connection, for the time that a request's headers may take.
//!
//! hyper takes a new timer for every request and drops it when the headers are there, nearly always at once. Here all of
//! them share one entry in the runtime's timer wheel, which is moved only when it fires.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// A timer for one connection, which is polled by one task.
#[derive(Debug, Default, Clone)]
pub(super) struct HeaderTimer {
    /// The entry in the timer wheel, once somebody has waited.
    entry: Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>,
}

/// One wait, until a deadline.
struct Wait {
    timer: HeaderTimer,
    deadline: Instant,
}

impl Timer for HeaderTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Wait { timer: self.clone(), deadline })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

impl Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.into();
        let mut entry = self.timer.entry.lock();
        let Some(sleep) = entry.as_mut() else {
            let mut sleep = Box::pin(tokio::time::sleep_until(deadline));
            let fired = sleep.as_mut().poll(context);
            *entry = Some(sleep);
            return fired;
        };
        // It will wake the connection's task, which then looks at its deadline of that time.
        if !sleep.is_elapsed() && sleep.deadline() <= deadline {
            return Poll::Pending;
        }
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_lasts_until_its_own_deadline() {
        let timer = HeaderTimer::default();
        let second = Duration::from_secs(1);
        let begun = timer.now();
        // Given up before it fires, as when the headers arrive.
        let mut first = timer.sleep(second);
        assert!(futures::poll!(&mut first).is_pending());
        drop(first);
        tokio::time::sleep(second / 2).await;
        timer.sleep(second).await;
        assert_eq!(timer.now() - begun, second * 3 / 2);
        // Long after the entry has fired, and earlier than it stands.
        tokio::time::sleep(10 * second).await;
        let late = timer.now();
        let mut long = timer.sleep(5 * second);
        assert!(futures::poll!(&mut long).is_pending());
        timer.sleep(second).await;
        assert_eq!(timer.now() - late, second);
        long.await;
        assert_eq!(timer.now() - late, 5 * second);
    }
}

//! A fixed rate: requests are due at times that do not depend on answers.
//!
//! The runtime's timers tell milliseconds apart, which is more than most answers take, so a thread of
//! its own sleeps until each request is due and then wakes the worker whose turn it is.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// The times at which a worker's requests are due, each told when it has come.
pub(crate) type Due = UnboundedReceiver<Instant>;

/// Begins to tell `workers` in turns, `rate` times a second in all, until some time.
pub(crate) fn start(rate: u32, workers: usize, until: Instant) -> io::Result<Vec<Due>> {
    let (tell, due): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
    let begin = Instant::now();
    thread::Builder::new().name("pace".to_owned()).spawn(move || {
        for (index, worker) in (0..).zip(tell.iter().cycle()) {
            let time = begin + after(index, rate);
            if time > until || !tell_at(time, worker) {
                break;
            }
        }
    })?;
    Ok(due)
}

/// Waits, and tells; `false` if the worker is gone.
fn tell_at(time: Instant, worker: &UnboundedSender<Instant>) -> bool {
    thread::sleep(time.saturating_duration_since(Instant::now()));
    worker.send(time).is_ok()
}

/// How long after the first request another one is due.
fn after(index: u64, rate: u32) -> Duration {
    Duration::from_nanos((u128::from(index) * 1_000_000_000 / u128::from(rate)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_even_times_that_do_not_drift() {
        assert_eq!(after(0, 3), Duration::ZERO);
        assert_eq!(after(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(after(3_000_000, 3), Duration::from_secs(1_000_000));
    }

    #[tokio::test]
    async fn workers_are_told_in_turns_until_the_end() {
        let until = Instant::now() + after(9, 10_000);
        let mut due = start(10_000, 2, until).unwrap();
        let (mut second, mut first) = (due.pop().unwrap(), due.pop().unwrap());
        let (Some(a), Some(b)) = (first.recv().await, second.recv().await) else {
            panic!("nobody was told")
        };
        assert_eq!(b - a, after(1, 10_000));
        while let Some(time) = first.recv().await {
            assert!(time <= until);
        }
    }
}

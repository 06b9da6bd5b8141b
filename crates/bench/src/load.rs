//! A closed loop of workers, and what is measured of it.
//!
//! Each worker sends its next request when it has the answer to the last: latencies are those of a
//! server that is as busy as it can be, and a slow answer holds the next request back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::process;

/// The longest latency that is told apart, in nanoseconds.
const MAX_NANOS: u64 = 60_000_000_000;

/// How long workers may take to finish their last request.
const LAST_REQUEST: Duration = Duration::from_secs(20);

/// When to measure.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Window {
    /// How long the load runs before anything counts.
    pub(crate) warm_up: Duration,
    /// How long everything counts.
    pub(crate) measured: Duration,
}

/// What one measurement said.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    /// The scenario's figure, in its unit.
    pub(crate) value: f64,
    /// How many operations were counted.
    pub(crate) operations: u64,
    /// How many bytes were counted, where a scenario counts them.
    pub(crate) bytes: u64,
    /// How long the measurement lasted.
    pub(crate) seconds: f64,
    /// Half of the operations took at most so many microseconds.
    pub(crate) p50_us: f64,
    /// 99 % of them.
    pub(crate) p99_us: f64,
    /// All of them.
    pub(crate) max_us: f64,
    /// The processor time of the server.
    pub(crate) server_cpu_seconds: f64,
    /// The processor time of the load generator.
    pub(crate) load_cpu_seconds: f64,
    /// The server's resident memory in the end.
    pub(crate) server_rss_mib: f64,
}

impl Sample {
    /// The operations of a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    /// The server's processor time in microseconds: for one operation; where bytes are counted, for
    /// 10^6 of them, because an operation is then a page of whatever size the server likes.
    pub(crate) fn cpu_micros(&self) -> f64 {
        let amount = match self.bytes {
            0 => self.operations as f64,
            bytes => bytes as f64 / 1e6,
        };
        self.server_cpu_seconds * 1e6 / amount
    }
}

/// Counts operations within a window. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    from: Instant,
    until: Instant,
    latencies: Arc<Mutex<Histogram<u64>>>,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    /// A meter whose window begins with a warm-up now.
    pub(crate) fn start(window: Window) -> io::Result<Self> {
        let latencies = Histogram::new_with_max(MAX_NANOS, 3).map_err(io::Error::other)?;
        let from = Instant::now() + window.warm_up;
        Ok(Self {
            from,
            until: from + window.measured,
            latencies: Arc::new(Mutex::new(latencies)),
            bytes: Arc::default(),
        })
    }

    /// Counts an operation that has just ended, if all of it was within the window.
    pub(crate) fn count(&self, begun: Instant) -> Instant {
        let now = Instant::now();
        if begun >= self.from && now <= self.until {
            self.latencies.lock().saturating_record((now - begun).as_nanos() as u64);
        }
        now
    }

    /// Counts bytes that have just arrived, if it is time.
    pub(crate) fn count_bytes(&self, bytes: usize) {
        let now = Instant::now();
        if now >= self.from && now <= self.until {
            self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Whether workers are to stop.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now > self.until
    }

    /// Lets the workers work until the window is over. The figure of the sample is still open.
    pub(crate) async fn measure(
        self,
        server: u32,
        mut workers: JoinSet<io::Result<()>>,
    ) -> io::Result<Sample> {
        let load = std::process::id();
        let cpu = || (process::cpu_seconds(server), process::cpu_seconds(load));
        until(self.from, &mut workers).await?;
        let (before, begun) = (cpu(), Instant::now());
        until(self.until, &mut workers).await?;
        let (after, seconds) = (cpu(), begun.elapsed().as_secs_f64());
        let server_rss_mib = process::resident_mib(server);
        let finish = async {
            while let Some(worker) = workers.join_next().await {
                worker.map_err(io::Error::other)??;
            }
            io::Result::Ok(())
        };
        timeout(LAST_REQUEST, finish).await??;
        let latencies = self.latencies.lock();
        let micros = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Sample {
            value: 0.0,
            operations: latencies.len(),
            bytes: self.bytes.load(Ordering::Relaxed),
            seconds,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            max_us: latencies.max() as f64 / 1000.0,
            server_cpu_seconds: after.0 - before.0,
            load_cpu_seconds: after.1 - before.1,
            server_rss_mib,
        })
    }
}

/// Waits; a worker that fails meanwhile fails the run.
async fn until(deadline: Instant, workers: &mut JoinSet<io::Result<()>>) -> io::Result<()> {
    let wait = sleep_until(deadline);
    tokio::pin!(wait);
    loop {
        tokio::select! {
            () = &mut wait => return Ok(()),
            Some(worker) = workers.join_next() => worker.map_err(io::Error::other)??,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_told_for_an_operation_or_for_a_megabyte() {
        let sample = Sample {
            value: 0.0,
            operations: 1000,
            bytes: 0,
            seconds: 2.0,
            p50_us: 0.0,
            p99_us: 0.0,
            max_us: 0.0,
            server_cpu_seconds: 1.0,
            load_cpu_seconds: 0.0,
            server_rss_mib: 0.0,
        };
        assert_eq!((sample.rate(), sample.cpu_micros()), (500.0, 1000.0));
        assert_eq!(Sample { bytes: 10_000_000, ..sample }.cpu_micros(), 100_000.0);
    }
}

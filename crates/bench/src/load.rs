//! Load, and what is measured of it.
//!
//! In a closed loop each worker sends its next request when it has the answer to the last: latencies
//! are those of a server that is as busy as it can be, and a slow answer holds the next request back.
//! At a fixed rate ([`pace`]) latencies count from the time at which a request was due, sent or not.

pub(crate) mod pace;
mod sample;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

pub(crate) use self::sample::{Figure, Sample};
use crate::process;

/// The longest latency that is told apart, in nanoseconds.
const MAX_NANOS: u64 = 60_000_000_000;

/// A histogram of latencies in nanoseconds, to three digits.
pub(crate) fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_max(MAX_NANOS, 3).map_err(io::Error::other)
}

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
        let from = Instant::now() + window.warm_up;
        Ok(Self {
            from,
            until: from + window.measured,
            latencies: Arc::new(Mutex::new(histogram()?)),
            bytes: Arc::default(),
        })
    }

    /// Counts an operation that has just ended, if it is time.
    pub(crate) fn count(&self, begun: Instant) -> Instant {
        let now = Instant::now();
        if now >= self.from && now <= self.until {
            self.latencies.lock().saturating_record((now - begun).as_nanos() as u64);
        }
        now
    }

    /// Counts an operation that has just ended and was due in the window, however long it took.
    pub(crate) fn count_due(&self, due: Instant) {
        if due >= self.from && due <= self.until {
            self.latencies.lock().saturating_record(due.elapsed().as_nanos() as u64);
        }
    }

    /// Counts bytes that have just arrived, if it is time.
    pub(crate) fn count_bytes(&self, bytes: usize) {
        let now = Instant::now();
        if now >= self.from && now <= self.until {
            self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// The bytes that were counted so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the window is over.
    pub(crate) fn until(&self) -> Instant {
        self.until
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
        timeout(LAST_REQUEST, finish)
            .await
            .map_err(|_| io::Error::other("the server does not keep up with the load"))??;
        let latencies = self.latencies.lock();
        if latencies.is_empty() {
            return Err(io::Error::other("nothing was answered within the window"));
        }
        let micros = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Sample {
            value: 0.0,
            operations: latencies.len(),
            bytes: self.bytes(),
            seconds,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            max_us: latencies.max() as f64 / 1000.0,
            server_cpu_seconds: after.0 - before.0,
            load_cpu_seconds: after.1 - before.1,
            server_rss_mib,
            server_peak_mib: process::peak_mib(server),
            figures: Vec::new(),
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

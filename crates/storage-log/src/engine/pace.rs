//! How fast filing and merging write, so that they leave the disk to commits.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::env::Env;

/// Keeps a rate of writing by pausing after every write for as long as it might have taken.
///
/// The writing itself takes time, too, so the rate stays below; and no clock is needed.
#[derive(Default)]
pub(crate) struct Pace {
    stopped: AtomicBool,
}

impl Pace {
    /// Pauses for what was written. Fails if it is to be given up.
    pub(crate) fn wrote(&self, env: &dyn Env, bytes: u64, bytes_per_second: u64) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("the log is being closed"));
        }
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
        env.pause(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

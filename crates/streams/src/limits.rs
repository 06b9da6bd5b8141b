//! Limits, and the permits that keep mailboxes within them.
//!
//! An actor's mailbox is unbounded, so a request takes a permit before it enters one. A request counts
//! as its bytes plus [`REQUEST_OVERHEAD`], so a limit on bytes bounds the number of requests too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Unavailable;

/// What a request counts for beside its body, in bytes: its message, its reply, its headers.
pub const REQUEST_OVERHEAD: usize = 1024;

/// The limits of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of requests that may wait in the whole system. Default: 256 MiB.
    pub pending_bytes: usize,
    /// Bytes of requests that may wait at one stream. Default: 64 MiB.
    pub pending_bytes_per_stream: usize,
    /// Bytes of its latest messages that a live stream keeps at hand for readers at its tail.
    /// Default: 64 KiB.
    pub recent_bytes_per_stream: usize,
    /// How long a request waits for a stream that is being started again. Default: 5 s.
    pub restart_patience: Duration,
    /// How often retention looks for streams that have something to drop. Default: 30 s.
    pub retention_interval: Duration,
    /// How many streams retention works on at once. Default: 5.
    pub compaction_workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_bytes: 256 << 20,
            pending_bytes_per_stream: 64 << 20,
            recent_bytes_per_stream: 64 << 10,
            restart_patience: Duration::from_secs(5),
            retention_interval: Duration::from_secs(30),
            compaction_workers: 5,
        }
    }
}

/// Leave to bring one request, with so many bytes, into the system. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: OwnedSemaphorePermit,
    pool: Arc<Semaphore>,
}

impl Permit {
    /// Takes a permit from a pool for a request with a body of `bytes`.
    pub(crate) fn take(pool: &Arc<Semaphore>, bytes: usize) -> Result<Self, Unavailable> {
        let taken = acquire(pool, bytes.saturating_add(REQUEST_OVERHEAD))?;
        Ok(Self { bytes: taken, pool: pool.clone() })
    }

    /// Widens the permit as more of the body arrives.
    ///
    /// Fails with [`Unavailable::Overloaded`] if the system holds too much already.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Unavailable> {
        self.bytes.merge(acquire(&self.pool, bytes)?);
        Ok(())
    }
}

/// A pool of so many bytes.
pub(crate) fn pool(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

fn acquire(pool: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Unavailable> {
    let bytes = u32::try_from(bytes).map_err(|_| Unavailable::Overloaded)?;
    pool.clone().try_acquire_many_owned(bytes).map_err(|_| Unavailable::Overloaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_none() {
        assert!(Permit::take(&pool(usize::MAX), 1 << 20).is_ok());
    }

    #[test]
    fn permits_are_bounded_by_bytes_and_by_number_and_given_back() {
        let pool = Arc::new(Semaphore::new(4 * REQUEST_OVERHEAD));
        let small: Vec<_> = (0..4).map(|_| Permit::take(&pool, 0).unwrap()).collect();
        assert!(matches!(Permit::take(&pool, 0), Err(Unavailable::Overloaded)));
        drop(small);
        let mut large = Permit::take(&pool, 2 * REQUEST_OVERHEAD).unwrap();
        large.grow(REQUEST_OVERHEAD).unwrap();
        assert_eq!(large.grow(1), Err(Unavailable::Overloaded));
        drop(large);
        assert_eq!(pool.available_permits(), 4 * REQUEST_OVERHEAD);
    }
}

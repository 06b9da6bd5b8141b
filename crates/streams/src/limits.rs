//! Limits, and the permits that keep mailboxes within them.
//!
//! An actor's mailbox is unbounded, so a request takes a permit before it enters one. A request counts
//! as its bytes plus [`REQUEST_OVERHEAD`], so a limit on bytes bounds the number of requests too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
    /// How long nobody must use a stream for it to give up its actor. Zero: it never does. Default: 60 s.
    pub dormant_after: Duration,
    /// How many streams have an actor at once, preferably: beyond that, those that are not in use at
    /// the moment go dormant at once. Default: 10,000.
    pub awake_streams: usize,
    /// How long a request waits for a stream that is being started again. Default: 5 s.
    pub restart_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_bytes: 256 << 20,
            pending_bytes_per_stream: 64 << 20,
            recent_bytes_per_stream: 64 << 10,
            dormant_after: Duration::from_secs(60),
            awake_streams: 10_000,
            restart_patience: Duration::from_secs(5),
        }
    }
}

/// Leave to bring one request, with so many bytes, into the system. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: usize,
    pool: Arc<Pool>,
}

impl Permit {
    /// Takes a permit from a pool for a request with a body of `bytes`.
    pub(crate) fn take(pool: &Arc<Pool>, bytes: usize) -> Result<Self, Unavailable> {
        let bytes = bytes.saturating_add(REQUEST_OVERHEAD);
        pool.take(bytes)?;
        Ok(Self { bytes, pool: pool.clone() })
    }

    /// Widens the permit as more of the body arrives.
    ///
    /// Fails with [`Unavailable::Overloaded`] if the system holds too much already.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Unavailable> {
        self.pool.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.left.fetch_add(self.bytes, Ordering::Release);
    }
}

/// Bytes that permits are taken of. Nobody waits for them, so a number is enough.
#[derive(Debug)]
pub(crate) struct Pool {
    left: AtomicUsize,
}

impl Pool {
    fn take(&self, bytes: usize) -> Result<(), Unavailable> {
        let take = |left: usize| left.checked_sub(bytes);
        let taken = self.left.fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
        taken.map(|_| ()).map_err(|_| Unavailable::Overloaded)
    }
}

/// A pool of so many bytes.
pub(crate) fn pool(bytes: usize) -> Arc<Pool> {
    Arc::new(Pool { left: AtomicUsize::new(bytes) })
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
        let pool = pool(4 * REQUEST_OVERHEAD);
        let small: Vec<_> = (0..4).map(|_| Permit::take(&pool, 0).unwrap()).collect();
        assert!(matches!(Permit::take(&pool, 0), Err(Unavailable::Overloaded)));
        drop(small);
        let mut large = Permit::take(&pool, 2 * REQUEST_OVERHEAD).unwrap();
        large.grow(REQUEST_OVERHEAD).unwrap();
        assert_eq!(large.grow(1), Err(Unavailable::Overloaded));
        drop(large);
        assert_eq!(pool.left.load(Ordering::Acquire), 4 * REQUEST_OVERHEAD);
    }
}

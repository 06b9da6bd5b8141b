//! How long to wait before a restart: exponential, with jitter, without a clock or a die.

use std::time::Duration;

/// Where the growth begins when the first restart is immediate.
const FIRST_STEP: Duration = Duration::from_millis(10);

/// Exponential backoff.
///
/// Restart `n` (from zero) waits `initial * factor^n`, at most `max`. With `initial` zero the first
/// restart is immediate and the growth begins at 10 ms with the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The wait before the first restart; may be zero.
    pub initial: Duration,
    /// No wait is longer; zero means never to wait.
    pub max: Duration,
    /// The growth from one restart to the next; less than one counts as one.
    pub factor: f64,
    /// The share of a wait, from 0 to 1, that chance may take away.
    pub jitter: f64,
}

impl Backoff {
    /// Restarts at once, always.
    pub const NONE: Self =
        Self { initial: Duration::ZERO, max: Duration::ZERO, factor: 1.0, jitter: 0.0 };

    /// The wait before restart `attempt` (from zero). `chance` is uniform in `[0, 1)`; zero gives
    /// the wait before jitter, which is also the longest.
    pub fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let full = self.full(attempt).as_secs_f64();
        let kept = 1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(full * kept).unwrap_or(self.max).min(self.max)
    }

    fn full(&self, attempt: u32) -> Duration {
        let (first, growth) = match attempt {
            0 => return self.initial.min(self.max),
            n if self.initial.is_zero() => (FIRST_STEP, n - 1),
            n => (self.initial, n),
        };
        let exponent = i32::try_from(growth).unwrap_or(i32::MAX);
        let seconds = first.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        // Beyond what a Duration holds (or infinite) is beyond `max` too.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }
}

impl Default for Backoff {
    /// At once, then 10 ms doubling up to 30 s; chance takes away up to a half.
    fn default() -> Self {
        Self { initial: Duration::ZERO, max: Duration::from_secs(30), factor: 2.0, jitter: 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_keeps_its_bounds_and_grows_before_jitter(
            initial in 0u64..10_000,
            max in 0u64..100_000,
            factor in -1.0f64..10.0,
            jitter in -1.0f64..2.0,
            chance in 0.0f64..1.0,
            attempt in prop_oneof![0u32..100, any::<u32>()],
        ) {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(max));
            let backoff = Backoff { initial, max, factor, jitter };
            let full = backoff.delay(attempt, 0.0);
            let with_jitter = backoff.delay(attempt, chance);
            prop_assert!(full <= max);
            prop_assert!(with_jitter <= full);
            let floor = full.as_secs_f64() * (1.0 - jitter.clamp(0.0, 1.0));
            prop_assert!(with_jitter.as_secs_f64() >= floor - 1e-6);
            prop_assert!(backoff.delay(attempt.saturating_add(1), 0.0) >= full);
        }
    }

    #[test]
    fn the_first_may_be_immediate() {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let millis: Vec<_> = (0..5).map(|n| backoff.delay(n, 0.9).as_millis()).collect();
        assert_eq!(millis, [0, 10, 20, 40, 80]);
        assert_eq!(backoff.delay(1_000_000, 0.0), backoff.max);
        assert_eq!(Backoff::NONE.delay(7, 0.0), Duration::ZERO);
    }
}

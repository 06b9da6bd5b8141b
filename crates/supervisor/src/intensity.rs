//! How many restarts in how long are too many: a sliding window without a clock.

use std::collections::VecDeque;
use std::time::Duration;

/// OTP's `intensity` and `period`: more than `max_restarts` restarts within `period` are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Intensity {
    /// The restarts that are tolerated within `period`; zero tolerates none.
    pub max_restarts: u32,
    /// The length of the window.
    pub period: Duration,
}

impl Intensity {
    /// At most `max_restarts` restarts within `period`.
    pub const fn new(max_restarts: u32, period: Duration) -> Self {
        Self { max_restarts, period }
    }
}

impl Default for Intensity {
    /// Five restarts a minute.
    fn default() -> Self {
        Self::new(5, Duration::from_secs(60))
    }
}

/// The restarts of the recent past. It remembers at most `max_restarts` of them.
///
/// Times are durations since some fixed start and must not go backwards.
#[derive(Debug, Clone)]
pub struct RestartWindow {
    intensity: Intensity,
    restarts: VecDeque<Duration>,
}

impl RestartWindow {
    /// An empty window.
    pub fn new(intensity: Intensity) -> Self {
        Self { intensity, restarts: VecDeque::new() }
    }

    /// Notes a restart at `now`.
    pub fn record(&mut self, now: Duration) {
        self.expire(now);
        self.restarts.push_back(now);
        // Older ones cannot change the answer of `is_exhausted`.
        if self.restarts.len() > self.intensity.max_restarts as usize {
            self.restarts.pop_front();
        }
    }

    /// The restarts within the period that ends at `now`, capped at `max_restarts`. As in OTP a
    /// restart exactly one period ago still counts.
    pub fn count(&mut self, now: Duration) -> u32 {
        self.expire(now);
        // The length never exceeds `max_restarts`, which is a `u32`.
        self.restarts.len() as u32
    }

    /// Whether one more restart at `now` would be one too many.
    pub fn is_exhausted(&mut self, now: Duration) -> bool {
        self.count(now) >= self.intensity.max_restarts
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.restarts.clear();
    }

    fn expire(&mut self, now: Duration) {
        let period = self.intensity.period;
        while self.restarts.front().is_some_and(|&at| at.saturating_add(period) < now) {
            self.restarts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_window_agrees_with_a_naive_count(
            max_restarts in 0u32..6,
            period in 0u64..50,
            steps in prop::collection::vec((0u64..20, any::<bool>()), 0..200),
        ) {
            let intensity = Intensity::new(max_restarts, Duration::from_millis(period));
            let mut window = RestartWindow::new(intensity);
            let mut all: Vec<u64> = Vec::new();
            let mut now = 0;
            for (step, restart) in steps {
                now += step;
                let at = Duration::from_millis(now);
                let naive = all.iter().filter(|&&then| now - then <= period).count();
                prop_assert_eq!(window.count(at) as usize, naive.min(max_restarts as usize));
                prop_assert_eq!(window.is_exhausted(at), naive >= max_restarts as usize);
                if restart {
                    window.record(at);
                    all.push(now);
                }
                prop_assert!(window.restarts.len() <= max_restarts as usize);
            }
        }
    }

    #[test]
    fn three_in_a_period_pass_and_the_fourth_does_not() {
        let at = Duration::from_secs;
        let mut window = RestartWindow::new(Intensity::new(3, at(10)));
        for second in 0..3 {
            assert!(!window.is_exhausted(at(second)));
            window.record(at(second));
        }
        assert!(window.is_exhausted(at(10)));
        assert!(!window.is_exhausted(at(11)));
        window.clear();
        assert_eq!(window.count(at(11)), 0);
    }
}

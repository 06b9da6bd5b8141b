//! What to do when a child has ended: the policy that embedders write, and the standard one.

use std::sync::Arc;
use std::time::Duration;

use crate::{Backoff, ExitReason, Intensity, Restart};

/// Decides what happens after a child ended or could not be started again.
///
/// A policy keeps no state: the supervisor keeps the history of each child and hands it in. It is
/// called inside the supervisor and must not block. A policy that panics counts as
/// [`Verdict::Quarantine`].
pub trait RestartPolicy: Send + Sync + 'static {
    /// The verdict on one incident.
    fn decide(&self, incident: &Incident<'_>) -> Verdict;

    /// How far back, and how many restarts, the supervisor remembers for this policy: it bounds
    /// [`Incident::restarts_in_period`].
    fn intensity(&self) -> Intensity {
        Intensity::default()
    }
}

impl<P: RestartPolicy + ?Sized> RestartPolicy for Arc<P> {
    fn decide(&self, incident: &Incident<'_>) -> Verdict {
        (**self).decide(incident)
    }

    fn intensity(&self) -> Intensity {
        (**self).intensity()
    }
}

/// A child ended, or could not be started again.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Incident<'a> {
    /// The child's name: its key in a dynamic supervisor, its id in a static one.
    pub child: &'a str,
    /// What happened.
    pub exit: &'a ExitReason,
    /// Earlier restarts within the policy's period, this incident not counted; never more than the
    /// policy's `max_restarts`.
    pub restarts_in_period: u32,
    /// Earlier restarts since the child last stayed up for a whole period: the attempt number for a
    /// backoff.
    pub consecutive: u32,
    /// All earlier restarts of this child.
    pub restarts: u64,
    /// How long the child was up; zero if it could not be started.
    pub uptime: Duration,
    /// A number drawn uniformly from `[0, 1)`, for jitter.
    pub chance: f64,
}

impl<'a> Incident<'a> {
    /// An incident without a history, for tests of a policy.
    pub fn first(child: &'a str, exit: &'a ExitReason) -> Self {
        Self {
            child,
            exit,
            restarts_in_period: 0,
            consecutive: 0,
            restarts: 0,
            uptime: Duration::ZERO,
            chance: 0.0,
        }
    }
}

/// What the supervisor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start the child again after a wait.
    Restart {
        /// The wait; zero is at once.
        after: Duration,
    },
    /// Keep the child down, but keep its spec, until somebody lifts the quarantine. Siblings do not
    /// notice. A static supervisor has no quarantine and escalates.
    Quarantine,
    /// Let the child go and forget it.
    Stop,
    /// Stop all children and fail, so that the parent decides.
    Escalate,
}

/// What follows when a child is past its intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnExhausted {
    /// [`Verdict::Quarantine`].
    Quarantine,
    /// [`Verdict::Escalate`], which is what OTP does.
    Escalate,
    /// [`Verdict::Stop`].
    Stop,
}

/// The built-in policy: a restart type, an intensity, a backoff.
#[derive(Debug, Clone, PartialEq)]
pub struct StandardPolicy {
    /// Which exits call for a restart.
    pub restart: Restart,
    /// How many restarts are tolerated, counted for each child on its own.
    pub intensity: Intensity,
    /// How long to wait before each.
    pub backoff: Backoff,
    /// What follows when they are too many.
    pub on_exhausted: OnExhausted,
}

impl StandardPolicy {
    /// Always restarts; five restarts a minute, then quarantine.
    pub fn permanent() -> Self {
        Self::new(Restart::Permanent)
    }

    /// Restarts after an abnormal exit; five restarts a minute, then quarantine.
    pub fn transient() -> Self {
        Self::new(Restart::Transient)
    }

    /// Never restarts.
    pub fn temporary() -> Self {
        Self::new(Restart::Temporary)
    }

    /// The same with another intensity.
    pub fn intensity(self, max_restarts: u32, period: Duration) -> Self {
        Self { intensity: Intensity::new(max_restarts, period), ..self }
    }

    /// The same with another backoff.
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The same with another end.
    pub fn on_exhausted(self, on_exhausted: OnExhausted) -> Self {
        Self { on_exhausted, ..self }
    }

    fn new(restart: Restart) -> Self {
        Self {
            restart,
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            on_exhausted: OnExhausted::Quarantine,
        }
    }
}

impl RestartPolicy for StandardPolicy {
    fn decide(&self, incident: &Incident<'_>) -> Verdict {
        if !self.restart.should_restart(incident.exit) {
            return Verdict::Stop;
        }
        if incident.restarts_in_period >= self.intensity.max_restarts {
            return match self.on_exhausted {
                OnExhausted::Quarantine => Verdict::Quarantine,
                OnExhausted::Escalate => Verdict::Escalate,
                OnExhausted::Stop => Verdict::Stop,
            };
        }
        Verdict::Restart { after: self.backoff.delay(incident.consecutive, incident.chance) }
    }

    fn intensity(&self) -> Intensity {
        self.intensity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Verdict = Verdict::Restart { after: Duration::ZERO };

    #[test]
    fn the_table_of_policy_and_exit() {
        let (normal, panicked) = (ExitReason::Normal, ExitReason::Panicked("x".into()));
        let table = [
            (StandardPolicy::permanent(), &normal, AT_ONCE),
            (StandardPolicy::permanent(), &panicked, AT_ONCE),
            (StandardPolicy::transient(), &normal, Verdict::Stop),
            (StandardPolicy::transient(), &ExitReason::Shutdown, Verdict::Stop),
            (StandardPolicy::transient(), &panicked, AT_ONCE),
            (StandardPolicy::transient(), &ExitReason::Killed, AT_ONCE),
            (StandardPolicy::temporary(), &normal, Verdict::Stop),
            (StandardPolicy::temporary(), &panicked, Verdict::Stop),
        ];
        for (policy, exit, verdict) in table {
            assert_eq!(policy.decide(&Incident::first("c", exit)), verdict, "{policy:?} {exit}");
        }
    }

    #[test]
    fn past_the_intensity_the_end_is_what_was_configured() {
        let ends = [
            (OnExhausted::Quarantine, Verdict::Quarantine),
            (OnExhausted::Escalate, Verdict::Escalate),
            (OnExhausted::Stop, Verdict::Stop),
        ];
        for (end, verdict) in ends {
            let policy = StandardPolicy::transient().on_exhausted(end);
            let mut incident = Incident::first("c", &ExitReason::Killed);
            incident.restarts_in_period = 4;
            assert!(matches!(policy.decide(&incident), Verdict::Restart { .. }));
            incident.restarts_in_period = 5;
            assert_eq!(policy.decide(&incident), verdict);
            // A normal exit is no restart, so it is never one too many.
            incident.exit = &ExitReason::Normal;
            assert_eq!(policy.decide(&incident), Verdict::Stop);
        }
    }

    #[test]
    fn the_backoff_follows_the_consecutive_restarts() {
        let policy = StandardPolicy::permanent();
        let mut incident = Incident::first("c", &ExitReason::Killed);
        incident.consecutive = 3;
        let after = Duration::from_millis(40);
        assert_eq!(policy.decide(&incident), Verdict::Restart { after });
    }
}

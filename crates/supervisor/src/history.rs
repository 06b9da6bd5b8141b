//! What a supervisor remembers of one child, and how it consults the child's policy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::{ExitReason, Incident, Intensity, RestartPolicy, RestartWindow, Verdict};

#[derive(Debug)]
pub(crate) struct History {
    period: Duration,
    window: RestartWindow,
    consecutive: u32,
    started: Option<Duration>,
    pub(crate) restarts: u64,
    pub(crate) last_exit: Option<ExitReason>,
}

impl History {
    pub(crate) fn new(intensity: Intensity) -> Self {
        Self {
            period: intensity.period,
            window: RestartWindow::new(intensity),
            consecutive: 0,
            started: None,
            restarts: 0,
            last_exit: None,
        }
    }

    /// The child is up.
    pub(crate) fn started(&mut self, now: Duration) {
        self.started = Some(now);
    }

    /// Begins anew: earlier restarts no longer count against the child.
    pub(crate) fn pardon(&mut self) {
        self.window.clear();
        self.consecutive = 0;
    }

    /// Asks the policy about an incident and notes the restart if that is the verdict.
    pub(crate) fn consult(
        &mut self,
        policy: &dyn RestartPolicy,
        child: &str,
        exit: &ExitReason,
        now: Duration,
        rng: &mut StdRng,
    ) -> Verdict {
        let uptime = self.started.take().map_or(Duration::ZERO, |at| now.saturating_sub(at));
        if uptime >= self.period {
            self.consecutive = 0;
        }
        let incident = Incident {
            child,
            exit,
            restarts_in_period: self.window.count(now),
            consecutive: self.consecutive,
            restarts: self.restarts,
            uptime,
            chance: rng.random(),
        };
        let verdict =
            catch_unwind(AssertUnwindSafe(|| policy.decide(&incident))).unwrap_or_else(|_| {
                tracing::error!(child, "restart policy panicked");
                Verdict::Quarantine
            });
        if matches!(verdict, Verdict::Restart { .. }) {
            self.window.record(now);
            self.consecutive = self.consecutive.saturating_add(1);
            self.restarts += 1;
        }
        self.last_exit = Some(exit.clone());
        verdict
    }
}

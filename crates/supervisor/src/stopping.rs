//! Ends children: asks them as their specs say, and has the last word.

use std::time::Duration;

use ractor::ActorCell;
use tokio::time::{Instant, timeout_at};

use crate::{ExitReason, Shutdown};

/// How long a child that missed its deadline has to stop before it is killed.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long a killed child has to be gone; only one that blocks its thread needs more.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(1);

/// How long a child may take before it counts as late.
pub(crate) fn patience(shutdown: Shutdown) -> Duration {
    match shutdown {
        Shutdown::BrutalKill => KILL_GRACE,
        gentle => gentle.timeout(),
    }
}

/// The exit of a child that its supervisor was ending: one that was to be killed ended as it should.
pub(crate) fn as_asked(shutdown: Shutdown, reason: ExitReason) -> ExitReason {
    match (shutdown, reason) {
        (Shutdown::BrutalKill, ExitReason::Killed) => ExitReason::Shutdown,
        (_, reason) => reason,
    }
}

/// How the children of a supervisor ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// How many ended in time, the way their specs ask for.
    pub drained: usize,
    /// Who was late and stopped when told to: `post_stop` ran, queued messages are lost.
    pub stopped: Vec<String>,
    /// Who had to be killed, or was still starting at the deadline.
    pub killed: Vec<String>,
}

impl ShutdownReport {
    /// Whether every child ended in time.
    pub fn is_clean(&self) -> bool {
        self.stopped.is_empty() && self.killed.is_empty()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.drained += other.drained;
        self.stopped.extend(other.stopped);
        self.killed.extend(other.killed);
    }
}

/// A child to be ended.
#[derive(Debug)]
pub(crate) struct Leaver {
    pub(crate) name: String,
    pub(crate) cell: ActorCell,
    pub(crate) shutdown: Shutdown,
}

impl Leaver {
    fn ask(&self) {
        match self.shutdown {
            // An error says that it has ended already.
            Shutdown::Drain { .. } => drop(self.cell.drain()),
            Shutdown::Stop { .. } => self.cell.stop(None),
            Shutdown::BrutalKill => self.cell.kill(),
        }
    }
}

/// Ends `children` concurrently: those that are not gone at `deadline` are stopped, then killed.
/// Needs neither a task nor a timer for each child.
pub(crate) async fn stop_all(children: Vec<Leaver>, deadline: Instant) -> ShutdownReport {
    children.iter().for_each(Leaver::ask);
    let asked = children.len();
    let late = wait(children, deadline).await;
    let mut report = ShutdownReport { drained: asked - late.len(), ..Default::default() };
    if late.is_empty() {
        return report;
    }

    late.iter().for_each(|child| child.cell.stop(None));
    let names: Vec<String> = late.iter().map(|child| child.name.clone()).collect();
    let stuck = wait(late, Instant::now() + STOP_GRACE).await;

    stuck.iter().for_each(|child| child.cell.kill());
    report.killed = stuck.iter().map(|child| child.name.clone()).collect();
    let mut killed = report.killed.iter().peekable();
    // `stuck` keeps the order of `late`, so one walk tells them apart.
    report.stopped = names.into_iter().filter(|name| killed.next_if_eq(&name).is_none()).collect();
    wait(stuck, Instant::now() + KILL_GRACE).await;
    report
}

/// Ends `children` one after the other, each within its own timeout and all before `deadline`.
pub(crate) async fn stop_in_turn(
    children: Vec<Leaver>,
    deadline: Option<Instant>,
) -> ShutdownReport {
    let mut report = ShutdownReport::default();
    for child in children {
        let own = Instant::now() + patience(child.shutdown);
        let until = deadline.map_or(own, |deadline| deadline.min(own));
        report.merge(stop_all(vec![child], until).await);
    }
    report
}

/// Waits for all of them and returns those that are still there at `until`.
async fn wait(children: Vec<Leaver>, until: Instant) -> Vec<Leaver> {
    let mut late = Vec::new();
    for child in children {
        if timeout_at(until, child.cell.wait(None)).await.is_err() {
            late.push(child);
        }
    }
    late
}

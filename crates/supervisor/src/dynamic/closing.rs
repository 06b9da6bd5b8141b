//! The end of a dynamic supervisor: shutdown on request, escalation, or being stopped as an actor.

use std::mem;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Key;
use super::child::{Child, Phase};
use super::children::Children;
use super::message::Message;
use crate::stopping::{Leaver, patience, stop_all};
use crate::{ChildFailure, Event, ExitReason, ShutdownReport};

/// The supervisor takes no more children and waits for the ones it has.
pub(super) struct Closing {
    deadline: Instant,
    /// Tasks that still wait for children.
    sweeps: usize,
    report: ShutdownReport,
    replies: Vec<oneshot::Sender<ShutdownReport>>,
    /// Set if the supervisor is to fail in the end.
    failure: Option<ChildFailure>,
    settled: bool,
}

impl<K: Key> Children<K> {
    pub(super) fn shutdown(&mut self, deadline: Duration, reply: oneshot::Sender<ShutdownReport>) {
        match &mut self.closing {
            // The first deadline holds.
            Some(closing) if !closing.settled => closing.replies.push(reply),
            Some(closing) => drop(reply.send(closing.report.clone())),
            None => self.close(deadline, vec![reply], None),
        }
    }

    /// Stops all children as their specs say and then fails, so that the parent decides.
    pub(super) fn escalate(&mut self, key: &K, reason: &ExitReason) {
        self.emit(Event::Escalated { key: key.clone(), reason: reason.clone() });
        let failure = ChildFailure::new(format_args!("child {key} is past help: {reason}"));
        self.remove(key);
        self.close(self.patience(), Vec::new(), Some(failure));
    }

    fn close(
        &mut self,
        deadline: Duration,
        replies: Vec<oneshot::Sender<ShutdownReport>>,
        failure: Option<ChildFailure>,
    ) {
        let deadline = Instant::now() + deadline;
        self.closing = Some(Closing {
            deadline,
            sweeps: 0,
            report: ShutdownReport::default(),
            replies,
            failure,
            settled: false,
        });
        for key in
            self.keys_of(|phase| matches!(phase, Phase::Restarting | Phase::Quarantined { .. }))
        {
            self.remove(&key);
        }
        self.sweep(self.leavers());
        if self.is_starting() {
            let myself = self.myself.clone();
            tokio::spawn(async move {
                tokio::time::sleep_until(deadline).await;
                let _ = myself.cast(Message::Deadline);
            });
        }
    }

    /// A child came up; if that was too late, it has to go again.
    pub(super) fn sweep_one(&mut self, key: &K) {
        let leaver = self.by_key.get(key).and_then(|child| child.leaver(key));
        self.sweep(leaver.into_iter().collect());
    }

    fn sweep(&mut self, leavers: Vec<Leaver>) {
        let Some(closing) = &mut self.closing else { return };
        closing.sweeps += 1;
        let (myself, deadline) = (self.myself.clone(), closing.deadline);
        tokio::spawn(async move {
            let report = stop_all(leavers, deadline).await;
            let _ = myself.cast(Message::Swept { report });
        });
    }

    pub(super) fn swept(&mut self, report: ShutdownReport) {
        if let Some(closing) = &mut self.closing {
            closing.sweeps -= 1;
            closing.report.merge(report);
        }
    }

    /// Gives up the starts that are still under way.
    pub(super) fn deadline(&mut self) {
        for key in self.keys_of(|phase| matches!(phase, Phase::Starting { .. })) {
            self.remove(&key);
            if let Some(closing) = &mut self.closing {
                closing.report.killed.push(key.to_string());
            }
        }
    }

    /// Ends the supervisor if it is closing and nothing is left to wait for.
    pub(super) fn settle(&mut self) -> Result<(), ChildFailure> {
        // This runs at each exit: look through the children only when the sweeps are over.
        let waits = |closing: &Closing| closing.settled || closing.sweeps > 0;
        if self.closing.as_ref().is_none_or(waits) || self.is_starting() {
            return Ok(());
        }
        let Some(closing) = &mut self.closing else { return Ok(()) };
        closing.settled = true;
        let report = &closing.report;
        tracing::info!(
            drained = report.drained,
            stopped = report.stopped.len(),
            killed = report.killed.len(),
            "dynamic supervisor shut down"
        );
        for reply in mem::take(&mut closing.replies) {
            let _ = reply.send(report.clone());
        }
        // Whoever is linked still, was abandoned in the middle of a start.
        self.myself.get_children().iter().for_each(|stray| stray.kill());
        if let Some(failure) = closing.failure.take() {
            return Err(failure);
        }
        if !self.supervised {
            self.myself.stop(None);
        }
        Ok(())
    }

    /// The same without the mailbox, which is closed in `post_stop`.
    pub(super) async fn close_now(&mut self) {
        for key in
            self.keys_of(|phase| !matches!(phase, Phase::Running { .. } | Phase::Stopping { .. }))
        {
            self.remove(&key);
        }
        let mut leavers = self.leavers();
        let strays: Vec<Leaver> = self
            .myself
            .get_children()
            .into_iter()
            .filter(|cell| !self.keys.contains_key(&cell.get_id()))
            .map(|cell| Leaver {
                name: cell.get_id().to_string(),
                cell,
                shutdown: Default::default(),
            })
            .collect();
        leavers.extend(strays);
        let deadline = match &self.closing {
            Some(closing) => closing.deadline,
            None => Instant::now() + self.patience(),
        };
        let report = stop_all(leavers, deadline).await;
        for key in self.keys_of(|_| true) {
            if let Some(child) = self.by_key.get(&key) {
                let (generation, reason) = (child.generation, ExitReason::Shutdown);
                self.emit(Event::Exited { key: key.clone(), generation, reason });
            }
            self.remove(&key);
        }
        if let Some(mut closing) = self.closing.take() {
            closing.report.merge(report);
            for reply in closing.replies {
                let _ = reply.send(closing.report.clone());
            }
        }
    }

    fn leavers(&self) -> Vec<Leaver> {
        self.by_key.iter().filter_map(|(key, child)| child.leaver(key)).collect()
    }

    fn keys_of(&self, wanted: impl Fn(&Phase) -> bool) -> Vec<K> {
        let wanted = |(key, child): (&K, &Child)| wanted(&child.phase).then(|| key.clone());
        self.by_key.iter().filter_map(wanted).collect()
    }

    fn is_starting(&self) -> bool {
        self.by_key.values().any(|child| matches!(child.phase, Phase::Starting { .. }))
    }

    /// How long the most patient child may take.
    fn patience(&self) -> Duration {
        let patience = |child: &Child| patience(child.spec.shutdown);
        self.by_key.values().map(patience).max().unwrap_or_default()
    }
}

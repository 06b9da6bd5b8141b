//! The end of a static supervisor: shutdown on request, escalation, or being stopped as an actor.

use std::mem;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::message::Message;
use super::slots::{Phase, Slots};
use crate::stopping::{Leaver, stop_in_turn};
use crate::{ChildFailure, Event, ExitReason, ShutdownReport};

/// The supervisor restarts nobody any more and stops its children.
pub(super) struct Closing {
    /// Without one, each child's own timeout is all there is.
    deadline: Option<Instant>,
    replies: Vec<oneshot::Sender<ShutdownReport>>,
    /// Set if the supervisor is to fail in the end.
    failure: Option<ChildFailure>,
    report: Option<ShutdownReport>,
}

impl Slots {
    pub(super) fn shutdown(&mut self, deadline: Duration, reply: oneshot::Sender<ShutdownReport>) {
        match &mut self.closing {
            // The first deadline holds.
            Some(Closing { report: None, replies, .. }) => replies.push(reply),
            Some(Closing { report: Some(report), .. }) => drop(reply.send(report.clone())),
            None => self.close(Some(Instant::now() + deadline), vec![reply], None),
        }
    }

    /// Stops the children in reverse order and then fails, so that the parent decides.
    pub(super) fn escalate(&mut self, place: usize, reason: &ExitReason) {
        let key = self.slots[place].spec.id.clone();
        let failure = ChildFailure::new(format_args!("child {key} is past help: {reason}"));
        self.emit(Event::Escalated { key, reason: reason.clone() });
        self.close(None, Vec::new(), Some(failure));
    }

    /// First the jobs are called off, so that it is known who is up.
    fn close(
        &mut self,
        deadline: Option<Instant>,
        replies: Vec<oneshot::Sender<ShutdownReport>>,
        failure: Option<ChildFailure>,
    ) {
        self.closing = Some(Closing { deadline, replies, failure, report: None });
        let (jobs, myself) = (mem::take(&mut self.jobs), self.myself.clone());
        jobs.iter().for_each(|job| job.abort());
        tokio::spawn(async move {
            futures::future::join_all(jobs).await;
            let _ = myself.cast(Message::JobsOver);
        });
    }

    pub(super) fn jobs_over(&mut self) {
        let leavers = self.leavers();
        for slot in &mut self.slots {
            if let Phase::Running(cell) = &slot.phase {
                slot.phase = Phase::Stopping(cell.clone());
            }
        }
        let deadline = self.closing.as_ref().and_then(|closing| closing.deadline);
        let myself = self.myself.clone();
        tokio::spawn(async move {
            let report = stop_in_turn(leavers, deadline).await;
            let _ = myself.cast(Message::Closed { report });
        });
    }

    pub(super) fn closed(&mut self, report: ShutdownReport) -> Result<(), ChildFailure> {
        self.all_over();
        let Some(closing) = &mut self.closing else { return Ok(()) };
        tracing::info!(
            drained = report.drained,
            stopped = report.stopped.len(),
            killed = report.killed.len(),
            "supervisor shut down"
        );
        for reply in mem::take(&mut closing.replies) {
            let _ = reply.send(report.clone());
        }
        closing.report = Some(report);
        if let Some(failure) = closing.failure.take() {
            return Err(failure);
        }
        if !self.supervised {
            self.myself.stop(None);
        }
        Ok(())
    }

    /// The same without the mailbox, which is not open before `pre_start` and after `post_stop`.
    pub(super) async fn close_now(&mut self) {
        for job in mem::take(&mut self.jobs) {
            job.abort();
            // It was called off: there is no result to look at.
            let _ = job.await;
        }
        let deadline = self.closing.as_ref().and_then(|closing| closing.deadline);
        let report = stop_in_turn(self.leavers(), deadline).await;
        self.all_over();
        if let Some(closing) = self.closing.take() {
            for reply in closing.replies {
                let _ = reply.send(report.clone());
            }
        }
    }

    /// Whoever is up, in reverse order of the start.
    fn leavers(&self) -> Vec<Leaver> {
        let known = |id| self.slots.iter().filter_map(|slot| slot.cell()).any(|c| c.get_id() == id);
        // Linked but unknown: its start was cut short after it came up.
        let strays = self.myself.get_children().into_iter().filter(|cell| !known(cell.get_id()));
        let strays = strays.map(|cell| Leaver {
            name: cell.get_id().to_string(),
            cell,
            shutdown: Default::default(),
        });
        strays.chain(self.slots.iter().rev().filter_map(|slot| slot.leaver())).collect()
    }

    /// The observer hears of each child that it has seen its last.
    fn all_over(&mut self) {
        for place in (0..self.slots.len()).rev() {
            let slot = &mut self.slots[place];
            let (key, generation) = (slot.spec.id.clone(), slot.generation);
            match mem::replace(&mut slot.phase, Phase::Over) {
                Phase::Over => continue,
                // Its exit will not be heard any more.
                Phase::Running(_) | Phase::Stopping(_) => self.emit(Event::Exited {
                    key: key.clone(),
                    generation,
                    reason: ExitReason::Shutdown,
                }),
                Phase::Down => {}
            }
            if generation > 0 {
                self.emit(Event::Stopped { key });
            }
        }
    }
}

//! What follows when a child is down and nobody wanted that: restart, quarantine, the end.

use std::time::Duration;

use super::child::{Child, Phase, Purpose};
use super::children::Children;
use super::message::{LiftReply, Message};
use super::{ForgetError, Key, LiftError};
use crate::{Event, ExitReason, Verdict};

impl<K: Key> Children<K> {
    /// The child is down and nobody wanted that: its policy decides.
    pub(super) fn incident(&mut self, key: &K, reason: ExitReason) {
        let Some(child) = self.by_key.get_mut(key) else { return };
        let now = self.began.elapsed();
        let policy = child.spec.policy.as_ref();
        let name = key.to_string();
        match child.history.consult(policy, &name, &reason, now, &mut self.rng) {
            Verdict::Restart { after } => self.restart(key, after),
            Verdict::Quarantine => self.quarantine(key, reason),
            Verdict::Stop => self.remove(key),
            Verdict::Escalate => self.escalate(key, &reason),
        }
    }

    fn restart(&mut self, key: &K, after: Duration) {
        let Some(child) = self.by_key.get_mut(key) else { return };
        child.phase = Phase::Restarting;
        let (restarts, generation) = (child.history.restarts, child.generation);
        self.emit(Event::Restarting { key: key.clone(), after, restarts });
        if after.is_zero() {
            return self.launch(key, Purpose::Again);
        }
        let (myself, key) = (self.myself.clone(), key.clone());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = myself.cast(Message::BackoffDone { key, generation });
        });
    }

    pub(super) fn backoff_done(&mut self, key: &K, generation: u64) {
        let waits = |child: &Child| {
            child.generation == generation && matches!(child.phase, Phase::Restarting)
        };
        if self.by_key.get(key).is_some_and(waits) {
            self.launch(key, Purpose::Again);
        }
    }

    pub(super) fn quarantine(&mut self, key: &K, reason: ExitReason) {
        let Some(child) = self.by_key.get_mut(key) else { return };
        child.history.last_exit = Some(reason.clone());
        child.phase = Phase::Quarantined { reason: reason.clone() };
        self.emit(Event::Quarantined { key: key.clone(), reason });
    }

    pub(super) fn lift(&mut self, key: &K, reply: LiftReply) {
        let error = match self.by_key.get_mut(key) {
            None => LiftError::NotFound,
            Some(child) if matches!(child.phase, Phase::Quarantined { .. }) => {
                child.history.pardon();
                return self.launch(key, Purpose::Lift(reply));
            }
            Some(_) => LiftError::NotQuarantined,
        };
        let _ = reply.send(Err(error));
    }

    pub(super) fn forget(&mut self, key: &K) -> Result<(), ForgetError> {
        let child = self.by_key.get(key).ok_or(ForgetError::NotFound)?;
        if !matches!(child.phase, Phase::Quarantined { .. }) {
            return Err(ForgetError::NotQuarantined);
        }
        self.remove(key);
        Ok(())
    }
}

//! The children of a dynamic supervisor and what may become of them.
//!
//! ```text
//!             start_done                 exited, policy: restart
//! Starting ---------------> Running ----------------------------> Restarting --+
//!    ^  ^                    |   |                                             |
//!    |  |         terminate  |   |  exited, policy: quarantine    backoff_done |
//!    |  |                    v   v                                             |
//!    |  |            Stopping     Quarantined                                  |
//!    |  +------ lift ------------------+                                       |
//!    +-------------------------------------------------------------------------+
//! ```

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use ractor::{ActorCell, ActorId, ActorRef, ActorStatus};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::actor::Arguments;
use super::child::{Child, Phase, Purpose, terminated};
use super::closing::Closing;
use super::message::{Message, StartReply, TerminateReply};
use super::{ChildCounts, ChildInfo, ChildState, Key, TerminateError};
use crate::early_exits::EarlyExits;
use crate::event::emit;
use crate::history::History;
use crate::starting;
use crate::stopping::{as_asked, patience, stop_all};
use crate::{ChildSpec, Event, ExitReason, Observer, StartError};

pub(super) struct Children<K: Key> {
    pub(super) myself: ActorRef<Message<K>>,
    pub(super) supervised: bool,
    pub(super) by_key: HashMap<K, Child>,
    pub(super) closing: Option<Closing>,
    pub(super) keys: HashMap<ActorId, K>,
    early: EarlyExits,
    last_generation: u64,
    observer: Arc<dyn Observer<K>>,
    pub(super) rng: StdRng,
    pub(super) began: Instant,
}

impl<K: Key> Children<K> {
    pub(super) fn new(myself: ActorRef<Message<K>>, arguments: Arguments<K>) -> Self {
        Self {
            myself,
            supervised: arguments.supervised,
            by_key: HashMap::new(),
            closing: None,
            keys: HashMap::new(),
            early: EarlyExits::default(),
            last_generation: 0,
            observer: arguments.observer,
            rng: StdRng::seed_from_u64(arguments.seed),
            began: Instant::now(),
        }
    }

    pub(super) fn start_child(&mut self, key: K, spec: ChildSpec, reply: StartReply) {
        let refusal = if self.closing.is_some() {
            Some(StartError::ShuttingDown)
        } else if self.by_key.contains_key(&key) {
            Some(StartError::AlreadyStarted)
        } else {
            None
        };
        if let Some(error) = refusal {
            return Purpose::First(reply).answer(Err(error));
        }
        let history = History::new(spec.policy.intensity());
        let child = Child { spec, generation: 0, phase: Phase::Restarting, history };
        self.by_key.insert(key.clone(), child);
        self.launch(&key, Purpose::First(reply));
    }

    /// Runs the start function in a task of its own, so that a slow one delays nobody and a caller
    /// who leaves takes nothing along.
    pub(super) fn launch(&mut self, key: &K, purpose: Purpose) {
        let Some(child) = self.by_key.get_mut(key) else { return };
        self.last_generation += 1;
        let generation = self.last_generation;
        self.early.begin(generation);

        let (myself, spec, key) = (self.myself.clone(), child.spec.clone(), key.clone());
        let task = tokio::spawn(async move {
            let result = starting::start(spec, myself.get_cell()).await;
            // If the supervisor is gone, so is the child: they are linked.
            let _ = myself.cast(Message::StartDone { key, generation, result });
        });
        child.generation = generation;
        child.phase = Phase::Starting { task: task.abort_handle(), purpose, terminate: Vec::new() };
    }

    pub(super) fn start_done(
        &mut self,
        key: &K,
        generation: u64,
        result: Result<ActorCell, StartError>,
    ) {
        let early = result.as_ref().ok().and_then(|cell| self.early.take(cell.get_id()));
        self.early.end(generation);
        let Some(child) = self.by_key.get_mut(key).filter(|child| child.generation == generation)
        else {
            // Given up at a deadline, and yet it came up.
            return result.into_iter().for_each(|cell| cell.kill());
        };
        let phase = mem::replace(&mut child.phase, Phase::Restarting);
        let Phase::Starting { purpose, terminate, .. } = phase else {
            child.phase = phase;
            return;
        };
        match result {
            Ok(cell) => {
                child.history.started(self.began.elapsed());
                child.phase = Phase::Running { cell: cell.clone() };
                self.keys.insert(cell.get_id(), key.clone());
                self.emit(Event::Started { key: key.clone(), generation, cell: cell.clone() });
                purpose.answer(Ok(cell.clone()));
                if !terminate.is_empty() {
                    self.stop(key, terminate);
                }
                self.sweep_one(key);
                if let Some(reason) = early {
                    self.exited(cell.get_id(), reason);
                }
            }
            Err(error) => {
                self.emit(Event::StartFailed { key: key.clone(), error: error.clone() });
                self.start_failed(key, &error, &purpose, terminate);
                purpose.answer(Err(error));
            }
        }
    }

    fn start_failed(
        &mut self,
        key: &K,
        error: &StartError,
        purpose: &Purpose,
        terminate: Vec<TerminateReply>,
    ) {
        let reason = ExitReason::StartFailed(error.to_string());
        if self.closing.is_some() || !terminate.is_empty() {
            self.remove(key);
            terminated(terminate);
            return;
        }
        match purpose {
            Purpose::First(_) => self.remove(key),
            Purpose::Again => self.incident(key, reason),
            Purpose::Lift(_) => self.quarantine(key, reason),
        }
    }

    /// An actor that was linked to us has ended.
    pub(super) fn exited(&mut self, actor: ActorId, reason: ExitReason) {
        let Some(key) = self.keys.remove(&actor) else {
            return self.early.exited(actor, reason);
        };
        let Some(child) = self.by_key.get(&key) else { return };
        let expected = self.closing.is_some() || matches!(child.phase, Phase::Stopping { .. });
        let generation = child.generation;
        let reason = if expected { as_asked(child.spec.shutdown, reason) } else { reason };
        self.emit(Event::Exited { key: key.clone(), generation, reason: reason.clone() });
        if expected {
            self.remove(&key);
        } else {
            self.incident(&key, reason);
        }
    }

    pub(super) fn terminate(&mut self, key: &K, reply: TerminateReply) {
        match self.by_key.get_mut(key).map(|child| &mut child.phase) {
            None => drop(reply.send(Err(TerminateError::NotFound))),
            Some(Phase::Starting { terminate: replies, .. } | Phase::Stopping { replies, .. }) => {
                replies.push(reply);
            }
            Some(Phase::Running { .. }) => self.stop(key, vec![reply]),
            Some(Phase::Restarting | Phase::Quarantined { .. }) => {
                self.remove(key);
                let _ = reply.send(Ok(()));
            }
        }
    }

    /// Ends a running child; its exit answers `replies`.
    fn stop(&mut self, key: &K, replies: Vec<TerminateReply>) {
        let Some(child) = self.by_key.get_mut(key) else { return };
        let Some(leaver) = child.leaver(key) else { return };
        let generation = child.generation;
        child.phase = Phase::Stopping { cell: leaver.cell.clone(), replies };
        let (myself, key) = (self.myself.clone(), key.clone());
        tokio::spawn(async move {
            let deadline = Instant::now() + patience(leaver.shutdown);
            stop_all(vec![leaver], deadline).await;
            let _ = myself.cast(Message::Reaped { key, generation });
        });
    }

    /// A child that never was linked ends without a supervision event: this is its exit.
    pub(super) fn reaped(&mut self, key: &K, generation: u64) {
        let gone = |child: &Child| match &child.phase {
            Phase::Stopping { cell, .. } if cell.get_status() == ActorStatus::Stopped => {
                Some(cell.get_id())
            }
            _ => None,
        };
        let child = self.by_key.get(key).filter(|child| child.generation == generation);
        if let Some(actor) = child.and_then(gone) {
            self.exited(actor, ExitReason::Shutdown);
        }
    }

    /// Forgets a child and answers whoever waited for its end.
    pub(super) fn remove(&mut self, key: &K) {
        let Some(child) = self.by_key.remove(key) else { return };
        self.emit(Event::Stopped { key: key.clone() });
        match child.phase {
            Phase::Stopping { cell, replies } => {
                self.keys.remove(&cell.get_id());
                terminated(replies);
            }
            Phase::Running { cell } => drop(self.keys.remove(&cell.get_id())),
            Phase::Starting { task, purpose, terminate } => {
                task.abort();
                self.early.end(child.generation);
                purpose.answer(Err(StartError::ShuttingDown));
                terminated(terminate);
            }
            Phase::Restarting | Phase::Quarantined { .. } => {}
        }
    }

    pub(super) fn count(&self) -> ChildCounts {
        let mut counts = ChildCounts { total: self.by_key.len(), ..Default::default() };
        for child in self.by_key.values() {
            match child.state() {
                ChildState::Running => counts.running += 1,
                ChildState::Restarting => counts.restarting += 1,
                ChildState::Quarantined(_) => counts.quarantined += 1,
                ChildState::Starting | ChildState::Stopping => {}
            }
        }
        counts
    }

    pub(super) fn which(&self) -> Vec<ChildInfo<K>> {
        let info = |(key, child): (&K, &Child)| ChildInfo {
            key: key.clone(),
            state: child.state(),
            restarts: child.history.restarts,
            last_exit: child.history.last_exit.clone(),
        };
        self.by_key.iter().map(info).collect()
    }

    pub(super) fn emit(&self, event: Event<K>) {
        emit(self.observer.as_ref(), &event);
    }
}

//! The ordered children of a static supervisor and their restarts.
//!
//! An exit marks the children that its strategy affects as due. A job, a task of its own, then stops
//! those of them that are up, in reverse order, waits for the backoff, and starts them in order. Under
//! one-for-one each child has its own job; under the other strategies there is one job at a time, and
//! what falls due meanwhile is the next one's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorId, ActorRef};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::actor::Arguments;
use super::closing::Closing;
use super::message::Message;
use super::strategy::Strategy;
use crate::early_exits::EarlyExits;
use crate::event::emit;
use crate::history::History;
use crate::starting;
use crate::stopping::{Leaver, as_asked, stop_in_turn};
use crate::{
    ChildInfo, ChildSpec, ChildState, Event, ExitReason, Observer, RestartWindow, StartError,
    Verdict,
};

pub(super) struct Slots {
    pub(super) myself: ActorRef<Message>,
    pub(super) supervised: bool,
    pub(super) slots: Vec<Slot>,
    pub(super) jobs: Vec<JoinHandle<()>>,
    pub(super) closing: Option<Closing>,
    strategy: Strategy,
    /// The restarts of all children together.
    window: RestartWindow,
    early: EarlyExits,
    /// Numbers incarnations and jobs.
    last_number: u64,
    observer: Arc<dyn Observer<String>>,
    rng: StdRng,
    began: Instant,
}

pub(super) struct Slot {
    pub(super) spec: ChildSpec,
    pub(super) phase: Phase,
    pub(super) generation: u64,
    /// To be restarted, after this wait, by the next job.
    due: Option<Duration>,
    /// In the hands of a job.
    busy: bool,
    history: History,
}

pub(super) enum Phase {
    Down,
    Running(ActorCell),
    Stopping(ActorCell),
    /// Its policy let it go.
    Over,
}

impl Slots {
    pub(super) fn new(myself: ActorRef<Message>, arguments: Arguments) -> Result<Self, StartError> {
        let mut ids = HashSet::new();
        if !arguments.children.iter().all(|spec| ids.insert(spec.id.as_str())) {
            return Err(StartError::AlreadyStarted);
        }
        let slot = |spec: ChildSpec| Slot {
            history: History::new(spec.policy.intensity()),
            spec,
            phase: Phase::Down,
            generation: 0,
            due: None,
            busy: false,
        };
        Ok(Self {
            myself,
            supervised: arguments.supervised,
            slots: arguments.children.into_iter().map(slot).collect(),
            jobs: Vec::new(),
            closing: None,
            strategy: arguments.flags.strategy,
            window: RestartWindow::new(arguments.flags.intensity),
            early: EarlyExits::default(),
            last_number: 0,
            observer: arguments.observer,
            rng: StdRng::seed_from_u64(arguments.flags.seed),
            began: Instant::now(),
        })
    }

    /// The first start of all children, in order.
    pub(super) async fn start_all(&mut self) -> Result<(), StartError> {
        for place in 0..self.slots.len() {
            let generation = self.next_number();
            let spec = self.slots[place].spec.clone();
            match starting::start(spec, self.myself.get_cell()).await {
                Ok(cell) => self.child_started(place, generation, cell),
                Err(error) => {
                    let key = self.slots[place].spec.id.clone();
                    self.emit(Event::StartFailed { key, error: error.clone() });
                    self.close_now().await;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    pub(super) fn child_started(&mut self, place: usize, generation: u64, cell: ActorCell) {
        let now = self.began.elapsed();
        let slot = &mut self.slots[place];
        slot.phase = Phase::Running(cell.clone());
        slot.generation = generation;
        slot.history.started(now);
        let key = slot.spec.id.clone();
        let actor = cell.get_id();
        self.emit(Event::Started { key, generation, cell });
        if let Some(reason) = self.early.take(actor) {
            self.exited(actor, reason);
        }
    }

    pub(super) fn start_failed(&mut self, place: usize, error: StartError) {
        let reason = ExitReason::StartFailed(error.to_string());
        let key = self.slots[place].spec.id.clone();
        self.emit(Event::StartFailed { key, error });
        self.incident(place, &reason);
    }

    /// An actor that was linked to us has ended.
    pub(super) fn exited(&mut self, actor: ActorId, reason: ExitReason) {
        let Some(place) = self.slots.iter().position(|slot| slot.is(actor)) else {
            return self.early.exited(actor, reason);
        };
        let slot = &mut self.slots[place];
        let expected = matches!(slot.phase, Phase::Stopping(_));
        slot.phase = Phase::Down;
        let (key, generation) = (slot.spec.id.clone(), slot.generation);
        let reason = if expected { as_asked(slot.spec.shutdown, reason) } else { reason };
        self.emit(Event::Exited { key, generation, reason: reason.clone() });
        if !expected {
            self.incident(place, &reason);
        }
    }

    /// The child is down and nobody wanted that: its policy decides, within our intensity.
    fn incident(&mut self, place: usize, reason: &ExitReason) {
        if self.closing.is_some() {
            return;
        }
        let now = self.began.elapsed();
        let Slot { spec, history, .. } = &mut self.slots[place];
        let policy = spec.policy.as_ref();
        let verdict = history.consult(policy, &spec.id, reason, now, &mut self.rng);
        match verdict {
            Verdict::Restart { .. } if self.window.is_exhausted(now) => {
                self.escalate(place, reason);
            }
            Verdict::Restart { after } => {
                self.window.record(now);
                self.restart(place, after);
            }
            Verdict::Stop => {
                self.slots[place].phase = Phase::Over;
                let key = self.slots[place].spec.id.clone();
                self.emit(Event::Stopped { key });
            }
            Verdict::Quarantine | Verdict::Escalate => self.escalate(place, reason),
        }
    }

    fn restart(&mut self, place: usize, after: Duration) {
        let slot = &mut self.slots[place];
        slot.due = Some(after);
        let (key, restarts) = (slot.spec.id.clone(), slot.history.restarts);
        self.emit(Event::Restarting { key, after, restarts });
        for affected in self.strategy.affected(place, self.slots.len()) {
            let slot = &mut self.slots[affected];
            if !matches!(slot.phase, Phase::Over) {
                slot.due.get_or_insert_default();
            }
        }
        self.launch();
    }

    /// Starts the jobs that are due and may run.
    fn launch(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let ready =
            |(place, slot): (usize, &Slot)| (slot.due.is_some() && !slot.busy).then_some(place);
        let places: Vec<usize> = self.slots.iter().enumerate().filter_map(ready).collect();
        match self.strategy {
            Strategy::OneForOne => places.into_iter().for_each(|place| self.run(vec![place])),
            _ if places.is_empty() || self.slots.iter().any(|slot| slot.busy) => {}
            _ => self.run(places),
        }
    }

    fn run(&mut self, places: Vec<usize>) {
        let job = self.next_number();
        self.early.begin(job);
        let mut wait = Duration::ZERO;
        let mut starts = Vec::new();
        let mut leavers = Vec::new();
        for &place in &places {
            let generation = self.next_number();
            let slot = &mut self.slots[place];
            slot.busy = true;
            wait = wait.max(slot.due.take().unwrap_or_default());
            starts.push((place, generation, slot.spec.clone()));
            if let Some(leaver) = slot.leaver() {
                slot.phase = Phase::Stopping(leaver.cell.clone());
                leavers.push(leaver);
            }
        }
        leavers.reverse();
        let myself = self.myself.clone();
        self.jobs.retain(|job| !job.is_finished());
        self.jobs.push(tokio::spawn(async move {
            restart_in_order(leavers, wait, starts, &myself).await;
            let _ = myself.cast(Message::JobDone { job, places });
        }));
    }

    pub(super) fn job_done(&mut self, job: u64, places: &[usize]) {
        self.early.end(job);
        for &place in places {
            let slot = &mut self.slots[place];
            slot.busy = false;
            // Not reached, because a start before it failed.
            if matches!(slot.phase, Phase::Down) {
                slot.due.get_or_insert_default();
            }
        }
        self.launch();
    }

    pub(super) fn which(&self) -> Vec<ChildInfo<String>> {
        let info = |slot: &Slot| {
            let state = match slot.phase {
                Phase::Over => return None,
                Phase::Down => ChildState::Restarting,
                Phase::Running(_) => ChildState::Running,
                Phase::Stopping(_) => ChildState::Stopping,
            };
            Some(ChildInfo {
                key: slot.spec.id.clone(),
                state,
                restarts: slot.history.restarts,
                last_exit: slot.history.last_exit.clone(),
            })
        };
        self.slots.iter().filter_map(info).collect()
    }

    pub(super) fn emit(&self, event: Event<String>) {
        emit(self.observer.as_ref(), &event);
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Slot {
    fn is(&self, actor: ActorId) -> bool {
        self.cell().is_some_and(|cell| cell.get_id() == actor)
    }

    pub(super) fn cell(&self) -> Option<&ActorCell> {
        match &self.phase {
            Phase::Running(cell) | Phase::Stopping(cell) => Some(cell),
            Phase::Down | Phase::Over => None,
        }
    }

    /// The child as one to be ended, if it is up.
    pub(super) fn leaver(&self) -> Option<Leaver> {
        self.cell().map(|cell| Leaver {
            name: self.spec.id.clone(),
            cell: cell.clone(),
            shutdown: self.spec.shutdown,
        })
    }
}

/// What a job does; a failed start ends it.
async fn restart_in_order(
    leavers: Vec<Leaver>,
    wait: Duration,
    starts: Vec<(usize, u64, ChildSpec)>,
    supervisor: &ActorRef<Message>,
) {
    let old: Vec<ActorCell> = leavers.iter().map(|leaver| leaver.cell.clone()).collect();
    stop_in_turn(leavers, None).await;
    // One that blocks its thread outlives even a kill; its successor must not meet it.
    for cell in old {
        let _ = cell.wait(None).await;
    }
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    for (place, generation, spec) in starts {
        // If the supervisor is gone, so is the child: they are linked.
        match starting::start(spec, supervisor.get_cell()).await {
            Ok(cell) => {
                let _ = supervisor.cast(Message::ChildStarted { place, generation, cell });
            }
            Err(error) => {
                let _ = supervisor.cast(Message::StartFailed { place, error });
                return;
            }
        }
    }
}

//! The child that all tests use, and the observer that writes down what happens to it.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use streamkeeper_supervisor::{
    Backoff, ChildFailure, ChildSpec, DynamicSupervisor, Event, Observer, RestartPolicy,
    StandardPolicy, StartError,
};
use tokio::sync::{oneshot, watch};

/// What one can ask of a probe.
pub(crate) enum Say {
    /// Counts its pings and answers how many there were.
    Ping(oneshot::Sender<u32>),
    Panic,
    Fail,
    Finish,
    /// Takes that long.
    Work(Duration),
    /// Never comes back.
    Hang,
}

#[derive(Default)]
pub(crate) struct Probe {
    /// Counts the calls of `post_stop`.
    pub(crate) goodbyes: Arc<AtomicU32>,
}

impl Actor for Probe {
    type Msg = Say;
    type State = u32;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Say>, (): ()) -> Result<u32, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        myself: ActorRef<Say>,
        message: Say,
        pings: &mut u32,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Say::Ping(reply) => {
                *pings += 1;
                let _ = reply.send(*pings);
            }
            Say::Panic => panic!("on purpose"),
            Say::Fail => return Err(ChildFailure::new("on purpose").into()),
            Say::Finish => myself.stop(None),
            Say::Work(time) => tokio::time::sleep(time).await,
            Say::Hang => std::future::pending().await,
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Say>, _: &mut u32) -> Result<(), ActorProcessingErr> {
        self.goodbyes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A spec of a probe.
pub(crate) fn spec(policy: impl RestartPolicy) -> ChildSpec {
    named("probe", policy)
}

pub(crate) fn named(id: &str, policy: impl RestartPolicy) -> ChildSpec {
    ChildSpec::actor(id, policy, || (Probe::default(), ()))
}

/// A spec whose starts fail when `fails` says so of their number, from one.
pub(crate) fn flaky(
    id: &str,
    policy: impl RestartPolicy,
    fails: impl Fn(u32) -> bool + Send + Sync + 'static,
) -> ChildSpec {
    let starts = AtomicU32::new(0);
    ChildSpec::new(id, policy, move |supervisor| {
        let failed = fails(starts.fetch_add(1, Ordering::SeqCst) + 1);
        async move {
            if failed {
                return Err(StartError::failed("refused"));
            }
            let (child, _) = Probe::spawn_linked(None, Probe::default(), (), supervisor).await?;
            Ok(child.get_cell())
        }
    })
}

/// A transient policy that never waits.
pub(crate) fn eager() -> StandardPolicy {
    StandardPolicy::transient().backoff(Backoff::NONE)
}

pub(crate) fn tell(cell: &ActorCell, message: Say) {
    cell.send_message(message).expect("the probe is up");
}

/// Sends a ping; the answer may come later.
pub(crate) fn ping_later(cell: &ActorCell) -> oneshot::Receiver<u32> {
    let (reply, answer) = oneshot::channel();
    tell(cell, Say::Ping(reply));
    answer
}

pub(crate) async fn ping(cell: &ActorCell) -> u32 {
    ping_later(cell).await.expect("the probe answers")
}

/// Writes every event down as a line, and keeps the newest cell of each child.
pub(crate) struct Recorder(watch::Sender<Log>);

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    cells: Vec<(String, ActorCell)>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::default()))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().lines.clone()
    }

    /// Returns when `line` has been written `times` times.
    pub(crate) async fn seen(&self, line: &str, times: usize) {
        let enough = |log: &Log| log.lines.iter().filter(|l| *l == line).count() >= times;
        let mut log = self.0.subscribe();
        // Paused time jumps here when nothing else can happen: a failure instead of a hang.
        let forever = Duration::from_secs(7200);
        let seen = tokio::time::timeout(forever, log.wait_for(enough)).await.is_ok();
        assert!(seen, "never saw {line:?} {times} times in {:#?}", self.lines());
    }

    /// Returns the newest cell of a child when it has been started `times` times.
    pub(crate) async fn started(&self, child: &str, times: usize) -> ActorCell {
        self.seen(&format!("{child} started"), times).await;
        let log = self.0.borrow();
        let newest = log.cells.iter().rev().find(|(key, _)| key == child);
        newest.expect("it was started").1.clone()
    }
}

impl<K: Display> Observer<K> for Recorder {
    fn event(&self, event: &Event<K>) {
        let key = event.key().to_string();
        let what = match event {
            Event::Started { .. } => "started".to_owned(),
            Event::StartFailed { error, .. } => format!("start failed: {error}"),
            Event::Exited { reason, .. } => format!("exited: {reason}"),
            Event::Restarting { after, .. } => format!("restarting after {after:?}"),
            Event::Quarantined { reason, .. } => format!("quarantined: {reason}"),
            Event::Stopped { .. } => "stopped".to_owned(),
            Event::Escalated { reason, .. } => format!("escalated: {reason}"),
        };
        self.0.send_modify(|log| {
            log.lines.push(format!("{key} {what}"));
            if let Event::Started { cell, .. } = event {
                log.cells.push((key, cell.clone()));
            }
        });
    }
}

/// A supervisor without a parent, and its recorder.
pub(crate) async fn supervisor() -> (DynamicSupervisor<&'static str>, Arc<Recorder>) {
    let recorder = Recorder::new();
    let supervisor = DynamicSupervisor::start(recorder.clone(), 1, None).await;
    (supervisor.expect("nothing can fail"), recorder)
}

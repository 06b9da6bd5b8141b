//! First starts: refused, slow, abandoned, overtaken by their own end.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus};
use streamkeeper_supervisor::{ChildSpec, StandardPolicy, StartError};
use tokio::sync::Semaphore;

use crate::probe::{Probe, Say, eager, flaky, ping, spec, supervisor, tell};

/// A spec whose start waits at a gate.
fn gated(gate: &Arc<Semaphore>) -> ChildSpec {
    let gate = gate.clone();
    ChildSpec::new("gated", eager(), move |supervisor| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.map_err(StartError::failed)?.forget();
            let (child, _) = Probe::spawn_linked(None, Probe::default(), (), supervisor).await?;
            Ok(child.get_cell())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_start_is_the_callers_and_leaves_nothing() {
    let (supervisor, recorder) = supervisor().await;
    let child = flaky("a", StandardPolicy::permanent(), |start| start == 1);
    let error = supervisor.start_child("a", child.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "refused");
    assert_eq!(supervisor.count_children().await.total, 0);
    assert_eq!(recorder.lines(), ["a start failed: refused", "a stopped"]);
    ping(&supervisor.start_child("a", child).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_panics_is_a_failed_start() {
    let (supervisor, _) = supervisor().await;
    let child = ChildSpec::new("a", eager(), |_| async { panic!("on purpose") });
    let error = supervisor.start_child("a", child).await.unwrap_err();
    assert!(matches!(error, StartError::Panicked(message) if message == "on purpose"));
    let child = ChildSpec::actor("a", eager(), || -> (Probe, ()) { panic!("early") });
    let error = supervisor.start_child("a", child).await.unwrap_err();
    assert!(matches!(error, StartError::Panicked(message) if message == "early"));
}

#[derive(Debug, thiserror::Error)]
#[error("disk {0} is full")]
struct DiskFull(u32);

struct Picky;

impl Actor for Picky {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Err(DiskFull(7).into())
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_pre_start_comes_out_as_it_went_in() {
    let (supervisor, _) = supervisor().await;
    let child = ChildSpec::actor("a", eager(), || (Picky, ()));
    let error = supervisor.start_child("a", child).await.unwrap_err();
    assert_eq!(error.downcast_ref::<DiskFull>().map(|full| full.0), Some(7));
    assert_eq!(error.to_string(), "disk 7 is full");
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_delays_nobody_and_its_key_is_taken() {
    let (supervisor, recorder) = supervisor().await;
    let gate = Arc::new(Semaphore::new(0));
    let slow = tokio::spawn({
        let (supervisor, child) = (supervisor.clone(), gated(&gate));
        async move { supervisor.start_child("slow", child).await }
    });
    tokio::task::yield_now().await;
    ping(&supervisor.start_child("quick", spec(eager())).await.unwrap()).await;
    let again = supervisor.start_child("slow", spec(eager())).await;
    assert!(matches!(again, Err(StartError::AlreadyStarted)));
    gate.add_permits(1);
    ping(&slow.await.unwrap().unwrap()).await;
    assert_eq!(recorder.lines(), ["quick started", "slow started"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_dropped_midway_leaks_nothing() {
    let (supervisor, recorder) = supervisor().await;
    let gate = Arc::new(Semaphore::new(0));
    let start = supervisor.start_child("a", gated(&gate));
    assert!(tokio::time::timeout(Duration::from_secs(1), start).await.is_err());

    // Nobody waits for it, but it is a child like any other.
    gate.add_permits(1);
    let child = recorder.started("a", 1).await;
    ping(&child).await;
    assert_eq!(supervisor.cell().get_children().len(), 1);
    supervisor.terminate_child(&"a").await.unwrap();
    assert_eq!(child.get_status(), ActorStatus::Stopped);
    assert_eq!(supervisor.count_children().await.total, 0);
    assert_eq!(supervisor.cell().get_children().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_terminated_as_it_starts_ends_after_that() {
    let (supervisor, recorder) = supervisor().await;
    let gate = Arc::new(Semaphore::new(0));
    let start = supervisor.start_child("a", gated(&gate));
    assert!(tokio::time::timeout(Duration::from_secs(1), start).await.is_err());
    let (ended, ()) = tokio::join!(supervisor.terminate_child(&"a"), async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    });
    ended.unwrap();
    assert_eq!(recorder.lines(), ["a started", "a exited: shutdown", "a stopped"]);
}

/// A child that is dead before its start function returns.
fn stillborn(policy: StandardPolicy, blow: fn() -> Say) -> ChildSpec {
    ChildSpec::new("stillborn", policy, move |supervisor| async move {
        let (child, ended) = Probe::spawn_linked(None, Probe::default(), (), supervisor).await?;
        tell(&child.get_cell(), blow());
        let _ = ended.await;
        // The supervisor hears of the end long before it hears of the start.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(child.get_cell())
    })
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_overtakes_its_start_is_not_lost() {
    let (supervisor, recorder) = supervisor().await;
    let twice = eager().intensity(1, Duration::from_secs(60));
    let child = stillborn(twice, || Say::Panic);
    supervisor.start_child("a", child).await.unwrap();
    recorder.seen("a quarantined: panicked: on purpose", 1).await;
    let child = stillborn(eager(), || Say::Finish);
    supervisor.start_child("b", child).await.unwrap();
    recorder.seen("b stopped", 1).await;
    assert_eq!(supervisor.count_children().await.total, 1);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_its_spec_forgot_to_link_is_linked() {
    let (supervisor, recorder) = supervisor().await;
    let child = ChildSpec::new("a", eager(), |_| async {
        let (child, _) = Probe::spawn(None, Probe::default(), ()).await?;
        Ok(child.get_cell())
    });
    let first = supervisor.start_child("a", child).await.unwrap();
    tell(&first, Say::Panic);
    ping(&recorder.started("a", 2).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_on_many_threads_start_each_key_once() {
    let (supervisor, _) = supervisor().await;
    let keys: Vec<&'static str> = vec!["a", "b", "c", "d", "e"];
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (supervisor, key) = (supervisor.clone(), keys[n % keys.len()]);
        callers.spawn(async move { supervisor.start_child(key, spec(eager())).await.is_ok() });
    }
    let started = callers.join_all().await.into_iter().filter(|started| *started).count();
    assert_eq!(started, keys.len());
    assert_eq!(supervisor.count_children().await.running, keys.len());
    assert_eq!(supervisor.cell().get_children().len(), keys.len());
}

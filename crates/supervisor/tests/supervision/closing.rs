//! Shutdown of a dynamic supervisor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorStatus};
use streamkeeper_supervisor::{
    Backoff, ChildSpec, DynamicSupervisor, NoObserver, Shutdown, ShutdownReport, StandardPolicy,
    StartError,
};
use tokio::time::Instant;

use crate::probe::{Probe, Say, eager, ping, ping_later, spec, supervisor, tell};

const DEADLINE: Duration = Duration::from_secs(10);

fn polite(goodbyes: &Arc<AtomicU32>) -> ChildSpec {
    let goodbyes = goodbyes.clone();
    ChildSpec::actor("polite", eager(), move || (Probe { goodbyes: goodbyes.clone() }, ()))
}

#[tokio::test(start_paused = true)]
async fn shutdown_answers_what_is_queued_and_says_goodbye() {
    let (supervisor, recorder) = supervisor().await;
    let goodbyes = Arc::default();
    let child = supervisor.start_child("a", polite(&goodbyes)).await.unwrap();
    tell(&child, Say::Work(Duration::from_secs(3)));
    let queued: Vec<_> = (0..100).map(|_| ping_later(&child)).collect();
    let report = supervisor.shutdown(DEADLINE).await;
    assert_eq!(report, ShutdownReport { drained: 1, ..Default::default() });
    assert!(report.is_clean());
    for (n, answer) in queued.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap() as usize, n + 1);
    }
    assert_eq!(goodbyes.load(Ordering::SeqCst), 1);
    assert_eq!(recorder.lines(), ["a started", "a exited: shutdown", "a stopped"]);
    supervisor.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_to_be_killed_ends_as_asked() {
    let (supervisor, recorder) = supervisor().await;
    let spec = polite(&Arc::default()).shutdown(Shutdown::BrutalKill);
    supervisor.start_child("a", spec).await.unwrap();
    assert!(supervisor.shutdown(DEADLINE).await.is_clean());
    assert_eq!(recorder.lines(), ["a started", "a exited: shutdown", "a stopped"]);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_slow_are_stopped_and_the_stuck_are_killed() {
    let (supervisor, _) = supervisor().await;
    let goodbyes = Arc::default();
    for key in ["quick", "slow", "stuck"] {
        let child = supervisor.start_child(key, polite(&goodbyes)).await.unwrap();
        match key {
            // One message after the other: a stop gets in between, a drain has to wait.
            "slow" => (0..50).for_each(|_| tell(&child, Say::Work(Duration::from_millis(500)))),
            "stuck" => tell(&child, Say::Hang),
            _ => {}
        }
    }
    let asked = Instant::now();
    let report = supervisor.shutdown(DEADLINE).await;
    let expected =
        ShutdownReport { drained: 1, stopped: vec!["slow".into()], killed: vec!["stuck".into()] };
    assert_eq!(report, expected);
    assert!(asked.elapsed() < DEADLINE + Duration::from_secs(3));
    assert_eq!(goodbyes.load(Ordering::SeqCst), 2, "a killed child does not say goodbye");
    supervisor.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn children_leave_concurrently() {
    let supervisor = DynamicSupervisor::<u32>::start(Arc::new(NoObserver), 1, None).await.unwrap();
    for key in 0..1000 {
        let child = supervisor.start_child(key, spec(eager())).await.unwrap();
        tell(&child, Say::Work(Duration::from_secs(5)));
    }
    let asked = Instant::now();
    let report = supervisor.shutdown(DEADLINE).await;
    assert_eq!(report, ShutdownReport { drained: 1000, ..Default::default() });
    assert!(asked.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn each_child_leaves_as_its_spec_says() {
    let (supervisor, _) = supervisor().await;
    let goodbyes = Arc::default();
    let stop = Shutdown::Stop { timeout: DEADLINE };
    let work = || Say::Work(Duration::from_secs(1));
    let mut queued = Vec::new();
    let kinds = [("stop", stop), ("kill", Shutdown::BrutalKill)];
    for (key, shutdown) in kinds {
        let spec = polite(&goodbyes).shutdown(shutdown);
        let child = supervisor.start_child(key, spec).await.unwrap();
        tell(&child, work());
        queued.push(ping_later(&child));
    }
    let report = supervisor.shutdown(DEADLINE).await;
    assert_eq!(report, ShutdownReport { drained: 2, ..Default::default() });
    for answer in queued {
        assert!(answer.await.is_err(), "neither answers what is queued");
    }
    assert_eq!(goodbyes.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_and_nothing_comes_back_once_it_shuts_down() {
    let (supervisor, recorder) = supervisor().await;
    let busy = supervisor.start_child("busy", spec(eager())).await.unwrap();
    let backoff = Backoff { initial: Duration::from_secs(1), ..Backoff::default() };
    let patient = StandardPolicy::transient().backoff(backoff);
    supervisor.start_child("waiting", spec(patient)).await.unwrap().kill();
    recorder.seen("waiting exited: killed", 1).await;
    let strict = eager().intensity(0, Duration::from_secs(1));
    supervisor.start_child("quarantined", spec(strict)).await.unwrap().kill();
    recorder.seen("quarantined quarantined: killed", 1).await;

    tell(&busy, Say::Work(Duration::from_secs(5)));
    tell(&busy, Say::Panic);
    let (report, refused) = tokio::join!(supervisor.shutdown(DEADLINE), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        supervisor.start_child("late", spec(eager())).await
    });
    assert!(matches!(refused, Err(StartError::ShuttingDown)));
    assert_eq!(report, ShutdownReport { drained: 1, ..Default::default() });
    supervisor.stopped().await;
    let starts = |line: &&String| line.ends_with(" started");
    assert_eq!(recorder.lines().iter().filter(starts).count(), 3);
    let gone = supervisor.start_child("later", spec(eager())).await;
    assert!(matches!(gone, Err(StartError::ShuttingDown)));
    assert_eq!(supervisor.shutdown(DEADLINE).await, ShutdownReport::default());
}

#[tokio::test(start_paused = true)]
async fn a_start_under_way_is_drained_if_it_ends_in_time_and_given_up_if_not() {
    let (supervisor, recorder) = supervisor().await;
    let after = |seconds| {
        ChildSpec::new("late", eager(), move |supervisor| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let (child, _) = Probe::spawn_linked(None, Probe::default(), (), supervisor).await?;
            Ok(child.get_cell())
        })
    };
    let callers: Vec<_> = [("in time", 5), ("too late", 60)]
        .map(|(key, seconds)| {
            let (supervisor, spec) = (supervisor.clone(), after(seconds));
            tokio::spawn(async move { supervisor.start_child(key, spec).await })
        })
        .into();
    tokio::task::yield_now().await;
    let report = supervisor.shutdown(DEADLINE).await;
    let killed = vec!["too late".into()];
    assert_eq!(report, ShutdownReport { drained: 1, killed, ..Default::default() });
    let mut answers = futures::future::join_all(callers).await.into_iter().map(Result::unwrap);
    assert!(answers.next().unwrap().is_ok());
    assert!(matches!(answers.next().unwrap(), Err(StartError::ShuttingDown)));
    recorder.seen("in time exited: shutdown", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_gets_the_same_report() {
    let (supervisor, _) = supervisor().await;
    let child = supervisor.start_child("a", spec(eager())).await.unwrap();
    tell(&child, Say::Work(Duration::from_secs(1)));
    let both = tokio::join!(supervisor.shutdown(DEADLINE), supervisor.shutdown(DEADLINE));
    assert_eq!(both.0, both.1);
    assert_eq!(both.0.drained, 1);
}

#[tokio::test(start_paused = true)]
async fn stopped_as_an_actor_it_still_drains_its_children() {
    let (supervisor, recorder) = supervisor().await;
    let goodbyes = Arc::default();
    let child = supervisor.start_child("a", polite(&goodbyes)).await.unwrap();
    tell(&child, Say::Work(Duration::from_secs(1)));
    let queued = ping_later(&child);
    supervisor.cell().stop(None);
    supervisor.stopped().await;
    assert_eq!(queued.await.unwrap(), 1);
    assert_eq!(goodbyes.load(Ordering::SeqCst), 1);
    assert_eq!(recorder.lines(), ["a started", "a exited: shutdown", "a stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_takes_its_children_along() {
    let (supervisor, _) = supervisor().await;
    let child = supervisor.start_child("a", spec(eager())).await.unwrap();
    ping(&child).await;
    supervisor.cell().kill();
    child.wait(None).await.unwrap();
    assert_eq!(child.get_status(), ActorStatus::Stopped);
}

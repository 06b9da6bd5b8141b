//! Exits and restarts under a dynamic supervisor.

use std::time::Duration;

use ractor::ActorStatus;
use streamkeeper_supervisor::{
    Backoff, ChildState, DynamicSupervisor, Event, ExitReason, StandardPolicy, TerminateError,
};
use tokio::time::Instant;

use crate::probe::{Recorder, Say, eager, flaky, ping, spec, supervisor, tell};

#[tokio::test(start_paused = true)]
async fn a_panic_restarts_the_child_with_a_fresh_state() {
    let (supervisor, recorder) = supervisor().await;
    let first = supervisor.start_child("a", spec(eager())).await.unwrap();
    assert_eq!(ping(&first).await, 1);
    tell(&first, Say::Panic);
    let second = recorder.started("a", 2).await;
    assert_ne!(first.get_id(), second.get_id());
    assert_eq!(ping(&second).await, 1);
    let lines =
        ["a started", "a exited: panicked: on purpose", "a restarting after 0ns", "a started"];
    assert_eq!(recorder.lines(), lines);

    let info = supervisor.which_children().await.remove(0);
    assert_eq!((info.state, info.restarts), (ChildState::Running, 1));
    assert_eq!(info.last_exit, Some(ExitReason::Panicked("on purpose".into())));
}

#[tokio::test(start_paused = true)]
async fn an_error_restarts_the_child_and_is_told_from_a_panic() {
    let (supervisor, recorder) = supervisor().await;
    let first = supervisor.start_child("a", spec(eager())).await.unwrap();
    tell(&first, Say::Fail);
    ping(&recorder.started("a", 2).await).await;
    assert_eq!(recorder.lines()[1], "a exited: failed: on purpose");
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_seen_as_such_and_restarts_permanent_and_transient_children() {
    let (supervisor, recorder) = supervisor().await;
    let permanent = StandardPolicy::permanent();
    let policies = [("a", permanent), ("b", eager()), ("c", StandardPolicy::temporary())];
    for (key, policy) in policies {
        supervisor.start_child(key, spec(policy)).await.unwrap().kill();
    }
    ping(&recorder.started("a", 2).await).await;
    ping(&recorder.started("b", 2).await).await;
    recorder.seen("c stopped", 1).await;
    for key in ["a", "b", "c"] {
        recorder.seen(&format!("{key} exited: killed"), 1).await;
    }
    assert_eq!(supervisor.count_children().await.total, 2);
}

#[tokio::test(start_paused = true)]
async fn a_normal_exit_restarts_permanent_children_only() {
    let (supervisor, recorder) = supervisor().await;
    let policies = [
        ("permanent", StandardPolicy::permanent()),
        ("transient", eager()),
        ("temporary", StandardPolicy::temporary()),
    ];
    for (key, policy) in policies {
        let child = supervisor.start_child(key, spec(policy)).await.unwrap();
        tell(&child, Say::Finish);
    }
    recorder.seen("transient stopped", 1).await;
    recorder.seen("temporary stopped", 1).await;
    ping(&recorder.started("permanent", 2).await).await;
    assert_eq!(supervisor.count_children().await.total, 1);
    // Its key is free again.
    supervisor.start_child("transient", spec(eager())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_never_comes_back() {
    let (supervisor, recorder) = supervisor().await;
    let spec = spec(StandardPolicy::temporary());
    for (n, blow) in [Say::Panic, Say::Fail, Say::Finish].into_iter().enumerate() {
        let child = supervisor.start_child("a", spec.clone()).await.unwrap();
        tell(&child, blow);
        recorder.seen("a stopped", n + 1).await;
        assert_eq!(supervisor.count_children().await.total, 0);
    }
    assert_eq!(recorder.lines().iter().filter(|line| *line == "a started").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_restart_is_one_more_incident() {
    let (supervisor, recorder) = supervisor().await;
    let child = flaky("a", eager(), |start| start == 2);
    let first = supervisor.start_child("a", child).await.unwrap();
    tell(&first, Say::Panic);
    ping(&recorder.started("a", 2).await).await;
    let lines = [
        "a started",
        "a exited: panicked: on purpose",
        "a restarting after 0ns",
        "a start failed: refused",
        "a restarting after 0ns",
        "a started",
    ];
    assert_eq!(recorder.lines(), lines);
    let info = supervisor.which_children().await.remove(0);
    assert_eq!(info.restarts, 2);
    assert_eq!(info.last_exit, Some(ExitReason::StartFailed("refused".into())));
}

#[tokio::test(start_paused = true)]
async fn the_backoff_is_honoured_and_grows() {
    let (supervisor, recorder) = supervisor().await;
    let (initial, max) = (Duration::from_secs(1), Duration::from_secs(3));
    let backoff = Backoff { initial, max, factor: 2.0, jitter: 0.0 };
    let policy = StandardPolicy::transient().backoff(backoff);
    let mut child = supervisor.start_child("a", spec(policy)).await.unwrap();
    for (n, seconds) in [1, 2, 3, 3].into_iter().enumerate() {
        let crashed = Instant::now();
        tell(&child, Say::Panic);
        let wait = Duration::from_secs(seconds);
        recorder.seen(&format!("a restarting after {wait:?}"), 1).await;
        assert_eq!(supervisor.count_children().await.restarting, 1);
        child = recorder.started("a", n + 2).await;
        // Timers tick in milliseconds; paused time jumps to the tick.
        let waited = crashed.elapsed();
        assert!(waited >= wait && waited <= wait + Duration::from_millis(2), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_period_forgives_earlier_restarts() {
    let (supervisor, recorder) = supervisor().await;
    let policy = eager().intensity(1, Duration::from_secs(10));
    let mut child = supervisor.start_child("a", spec(policy)).await.unwrap();
    for restart in 1..20 {
        tell(&child, Say::Panic);
        child = recorder.started("a", restart + 1).await;
        tokio::time::sleep(Duration::from_secs(11)).await;
    }
    tell(&child, Say::Panic);
    let child = recorder.started("a", 21).await;
    tell(&child, Say::Panic);
    recorder.seen("a quarantined: panicked: on purpose", 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_seed_decides_the_jitter() {
    let waits = |seed| async move {
        let recorder = Recorder::new();
        let supervisor = DynamicSupervisor::start(recorder.clone(), seed, None).await.unwrap();
        let backoff = Backoff { initial: Duration::from_secs(1), ..Backoff::default() };
        let policy = StandardPolicy::transient().backoff(backoff);
        let child = supervisor.start_child("a", spec(policy)).await.unwrap();
        tell(&child, Say::Panic);
        recorder.started("a", 2).await;
        recorder.lines()
    };
    assert_eq!(waits(1).await, waits(1).await);
    assert_ne!(waits(1).await, waits(2).await);
}

#[tokio::test(start_paused = true)]
async fn terminate_ends_a_child_in_every_state() {
    let (supervisor, recorder) = supervisor().await;
    assert_eq!(supervisor.terminate_child(&"a").await, Err(TerminateError::NotFound));

    // Running.
    let child = supervisor.start_child("a", spec(StandardPolicy::permanent())).await.unwrap();
    supervisor.terminate_child(&"a").await.unwrap();
    assert_eq!(child.get_status(), ActorStatus::Stopped);
    assert_eq!(recorder.lines(), ["a started", "a exited: shutdown", "a stopped"]);

    // Waiting for a restart.
    let backoff = Backoff { initial: Duration::from_secs(3), ..Backoff::default() };
    let patient = StandardPolicy::transient().backoff(backoff);
    let child = supervisor.start_child("a", spec(patient)).await.unwrap();
    child.kill();
    recorder.seen("a exited: killed", 1).await;
    supervisor.terminate_child(&"a").await.unwrap();

    // The timer of that restart is stale for the next child of this key.
    let child = supervisor.start_child("a", spec(eager())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(ping(&child).await, 1);
    assert_eq!(supervisor.count_children().await.running, 1);

    // In quarantine.
    let strict = eager().intensity(0, Duration::from_secs(1));
    let child = supervisor.start_child("b", spec(strict)).await.unwrap();
    child.kill();
    recorder.seen("b quarantined: killed", 1).await;
    supervisor.terminate_child(&"b").await.unwrap();
    assert_eq!(supervisor.count_children().await.total, 1);
}

#[tokio::test(start_paused = true)]
async fn the_timer_of_a_forgotten_child_does_not_restart_its_successor() {
    let (supervisor, recorder) = supervisor().await;
    let crash = async |seconds| {
        let wait = Duration::from_secs(seconds);
        let backoff = Backoff { initial: wait, max: wait, factor: 1.0, jitter: 0.0 };
        let policy = StandardPolicy::transient().backoff(backoff);
        supervisor.start_child("a", spec(policy)).await.unwrap().kill();
        recorder.seen(&format!("a restarting after {wait:?}"), 1).await;
    };
    crash(3).await;
    supervisor.terminate_child(&"a").await.unwrap();
    let crashed = Instant::now();
    crash(10).await;
    recorder.started("a", 3).await;
    assert!(crashed.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_stuck_child_is_killed_when_it_is_terminated() {
    let (supervisor, _) = supervisor().await;
    let child = supervisor.start_child("a", spec(eager())).await.unwrap();
    tell(&child, Say::Hang);
    supervisor.terminate_child(&"a").await.unwrap();
    assert_eq!(child.get_status(), ActorStatus::Stopped);
    assert_eq!(supervisor.count_children().await.total, 0);
}

#[tokio::test(start_paused = true)]
async fn two_supervisors_do_not_disturb_each_other() {
    let (one, one_saw) = supervisor().await;
    let (two, two_saw) = supervisor().await;
    let strict = || spec(eager().intensity(0, Duration::from_secs(1)));
    let poison = one.start_child("a", strict()).await.unwrap();
    let healthy = two.start_child("a", strict()).await.unwrap();
    ping(&healthy).await;
    tell(&poison, Say::Panic);
    one_saw.seen("a quarantined: panicked: on purpose", 1).await;
    one.shutdown(Duration::from_secs(1)).await;
    one.stopped().await;
    assert_eq!(ping(&healthy).await, 2);
    assert_eq!(two_saw.lines(), ["a started"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_observer_goes_no_further() {
    let observer = |_: &Event<u32>| panic!("on purpose");
    let supervisor = DynamicSupervisor::start(std::sync::Arc::new(observer), 1, None).await;
    let child = supervisor.unwrap().start_child(1, spec(eager())).await.unwrap();
    assert_eq!(ping(&child).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_kills_on_many_threads_ends_with_every_child_up() {
    let recorder = Recorder::new();
    let supervisor = DynamicSupervisor::<u32>::start(recorder.clone(), 1, None).await.unwrap();
    let policy = eager().intensity(1000, Duration::from_secs(60));
    for key in 0..20 {
        supervisor.start_child(key, spec(policy.clone())).await.unwrap();
    }
    for round in 1..20 {
        for key in 0..20 {
            recorder.started(&key.to_string(), round).await.kill();
        }
    }
    for key in 0..20 {
        assert_eq!(ping(&recorder.started(&key.to_string(), 20).await).await, 1);
    }
    assert_eq!(supervisor.count_children().await.running, 20);
    assert_eq!(supervisor.cell().get_children().len(), 20);
    assert!(supervisor.which_children().await.iter().all(|child| child.restarts == 19));
}

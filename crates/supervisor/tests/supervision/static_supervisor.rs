//! The static supervisor: order, strategies, intensity.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;
use streamkeeper_supervisor::{
    Backoff, ChildSpec, ChildState, DynamicSupervisor, Intensity, OnExhausted, RestartPolicy,
    ShutdownReport, StandardPolicy, StartError, Strategy, Supervisor, SupervisorFlags,
};

use crate::probe::{Recorder, Say, eager, flaky, named, ping, ping_later, spec, tell};

const DEADLINE: Duration = Duration::from_secs(60);

fn permanent() -> StandardPolicy {
    StandardPolicy::permanent().backoff(Backoff::NONE)
}

async fn tree(strategy: Strategy, children: Vec<ChildSpec>) -> (Supervisor, Arc<Recorder>) {
    let recorder = Recorder::new();
    let flags = SupervisorFlags { strategy, ..Default::default() };
    let supervisor = Supervisor::start(flags, children, recorder.clone(), None).await;
    (supervisor.expect("the children start"), recorder)
}

fn abc(policy: impl RestartPolicy + Clone) -> Vec<ChildSpec> {
    ["a", "b", "c"].map(|id| named(id, policy.clone())).into()
}

async fn cells(recorder: &Recorder) -> [ActorCell; 3] {
    [recorder.started("a", 1).await, recorder.started("b", 1).await, recorder.started("c", 1).await]
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let (supervisor, recorder) = tree(Strategy::OneForOne, abc(permanent())).await;
    let states: Vec<_> =
        supervisor.which_children().await.into_iter().map(|c| (c.key, c.state)).collect();
    assert_eq!(states, ["a", "b", "c"].map(|id| (id.to_owned(), ChildState::Running)));
    let queued = ping_later(&recorder.started("b", 1).await);
    let report = supervisor.shutdown(DEADLINE).await;
    assert_eq!(report, ShutdownReport { drained: 3, ..Default::default() });
    assert_eq!(queued.await.unwrap(), 1);
    supervisor.stopped().await;
    let ends = |line: &String| line.ends_with("shutdown");
    let lines = recorder.lines();
    assert_eq!(lines[..3], ["a started", "b started", "c started"]);
    let ends: Vec<_> = lines.into_iter().filter(ends).collect();
    assert_eq!(ends, ["c exited: shutdown", "b exited: shutdown", "a exited: shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_one() {
    let (_supervisor, recorder) = tree(Strategy::OneForOne, abc(permanent())).await;
    let [a, b, c] = cells(&recorder).await;
    tell(&b, Say::Panic);
    ping(&recorder.started("b", 2).await).await;
    assert_eq!((ping(&a).await, ping(&c).await), (1, 1));
    assert_eq!(recorder.lines().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_those_after_it_in_order() {
    let (_supervisor, recorder) = tree(Strategy::RestForOne, abc(permanent())).await;
    let [a, b, _] = cells(&recorder).await;
    ping(&a).await;
    tell(&b, Say::Panic);
    ping(&recorder.started("c", 2).await).await;
    assert_eq!(ping(&a).await, 2);
    let lines = [
        "b exited: panicked: on purpose",
        "b restarting after 0ns",
        "c exited: shutdown",
        "b started",
        "c started",
    ];
    assert_eq!(recorder.lines()[3..], lines);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_all_in_order() {
    let (_supervisor, recorder) = tree(Strategy::OneForAll, abc(permanent())).await;
    let [_, b, _] = cells(&recorder).await;
    tell(&b, Say::Fail);
    ping(&recorder.started("c", 2).await).await;
    let lines = [
        "b exited: failed: on purpose",
        "b restarting after 0ns",
        "c exited: shutdown",
        "a exited: shutdown",
        "a started",
        "b started",
        "c started",
    ];
    assert_eq!(recorder.lines()[3..], lines);
}

#[tokio::test(start_paused = true)]
async fn crashes_during_a_restart_are_the_next_restart() {
    let (supervisor, recorder) = tree(Strategy::OneForAll, abc(permanent())).await;
    let [a, b, c] = cells(&recorder).await;
    for cell in [&a, &b, &c] {
        tell(cell, Say::Panic);
    }
    // However many restarts that took, in the end all are up.
    recorder.started("c", 2).await;
    loop {
        let children = supervisor.which_children().await;
        if children.iter().all(|child| child.state == ChildState::Running) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(supervisor.cell().get_children().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_restart_is_tried_again_with_the_rest() {
    let children = vec![
        named("a", permanent()),
        flaky("b", permanent(), |start| start == 2),
        named("c", permanent()),
    ];
    let (_supervisor, recorder) = tree(Strategy::RestForOne, children).await;
    let [a, b, _] = cells(&recorder).await;
    tell(&b, Say::Panic);
    ping(&recorder.started("c", 2).await).await;
    ping(&a).await;
    let lines = [
        "b exited: panicked: on purpose",
        "b restarting after 0ns",
        "c exited: shutdown",
        "b start failed: refused",
        "b restarting after 0ns",
        "b started",
        "c started",
    ];
    assert_eq!(recorder.lines()[3..], lines);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_of_one_child_does_not_delay_another() {
    let wait = Duration::from_secs(30);
    let slow = Backoff { initial: wait, max: wait, factor: 1.0, jitter: 0.0 };
    let children =
        vec![named("slow", StandardPolicy::permanent().backoff(slow)), named("quick", permanent())];
    let (_supervisor, recorder) = tree(Strategy::OneForOne, children).await;
    recorder.started("slow", 1).await.kill();
    recorder.seen("slow exited: killed", 1).await;
    recorder.started("quick", 1).await.kill();
    ping(&recorder.started("quick", 2).await).await;
    ping(&recorder.started("slow", 2).await).await;
    let lines = recorder.lines();
    let place = |what: &str| lines.iter().rposition(|line| line == what);
    assert!(place("quick started") < place("slow started"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_start_stops_those_before_it() {
    let recorder = Recorder::new();
    let mut children = abc(permanent());
    children.push(flaky("d", permanent(), |_| true));
    let flags = SupervisorFlags::default();
    let error = Supervisor::start(flags, children, recorder.clone(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "refused");
    for cell in cells(&recorder).await {
        cell.wait(None).await.unwrap();
    }
    let lines = recorder.lines();
    assert_eq!(lines[3], "d start failed: refused");
    let stops: Vec<_> = lines.into_iter().filter(|line| line.ends_with("stopped")).collect();
    assert_eq!(stops, ["c stopped", "b stopped", "a stopped"]);
}

#[tokio::test(start_paused = true)]
async fn two_children_of_one_id_are_refused() {
    let children = vec![named("a", permanent()), named("a", permanent())];
    let flags = SupervisorFlags::default();
    let result = Supervisor::start(flags, children, Recorder::new(), None).await;
    assert!(matches!(result, Err(StartError::AlreadyStarted)));
}

#[tokio::test(start_paused = true)]
async fn a_start_dropped_midway_kills_what_was_started() {
    let recorder = Recorder::new();
    let stuck = ChildSpec::new("stuck", permanent(), |_| std::future::pending());
    let children = vec![named("a", permanent()), stuck];
    let start = Supervisor::start(SupervisorFlags::default(), children, recorder.clone(), None);
    assert!(tokio::time::timeout(Duration::from_secs(1), start).await.is_err());
    recorder.started("a", 1).await.wait(None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_let_go_stays_away() {
    let children = vec![named("a", eager()), named("b", permanent())];
    let (supervisor, recorder) = tree(Strategy::OneForAll, children).await;
    tell(&recorder.started("a", 1).await, Say::Finish);
    recorder.seen("a stopped", 1).await;
    recorder.started("b", 1).await.kill();
    ping(&recorder.started("b", 2).await).await;
    let children = supervisor.which_children().await;
    assert_eq!(children.len(), 1);
    assert_eq!(children[0].key, "b");
}

#[tokio::test(start_paused = true)]
async fn past_its_intensity_it_stops_its_children_in_reverse_and_fails() {
    let inner = Recorder::new();
    let inner_observer = inner.clone();
    let flags = SupervisorFlags {
        intensity: Intensity::new(2, Duration::from_secs(60)),
        ..Default::default()
    };
    let child = ChildSpec::new("inner", permanent(), move |parent| {
        let observer = inner_observer.clone();
        async move {
            let children = abc(permanent());
            Ok(Supervisor::start(flags, children, observer, Some(parent)).await?.cell())
        }
    });
    let (_top, outer) = tree(Strategy::OneForOne, vec![child]).await;
    for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
        tell(&inner.started(id, 1).await, Say::Panic);
        if n < 2 {
            inner.started(id, 2).await;
        }
    }
    outer.seen("inner exited: failed: child c is past help: panicked: on purpose", 1).await;
    outer.started("inner", 2).await;
    let lines = inner.lines();
    let escalated = lines.iter().position(|line| line == "c escalated: panicked: on purpose");
    let after: Vec<_> = lines[escalated.unwrap()..]
        .iter()
        .filter(|line| line.ends_with("exited: shutdown"))
        .collect();
    assert_eq!(after, ["b exited: shutdown", "a exited: shutdown"]);
    ping(&inner.started("c", 2).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_verdict_escalates() {
    let policy = permanent().intensity(0, DEADLINE).on_exhausted(OnExhausted::Quarantine);
    let (supervisor, recorder) = tree(Strategy::OneForOne, abc(policy)).await;
    recorder.started("b", 1).await.kill();
    supervisor.stopped().await;
    recorder.seen("b escalated: killed", 1).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_kills_a_stuck_child_and_calls_off_a_restart() {
    let wait = Duration::from_secs(3600);
    let slow = Backoff { initial: wait, max: wait, factor: 1.0, jitter: 0.0 };
    let children = vec![
        named("stuck", permanent()),
        named("waiting", StandardPolicy::permanent().backoff(slow)),
        named("fine", permanent()),
    ];
    let (supervisor, recorder) = tree(Strategy::OneForOne, children).await;
    tell(&recorder.started("stuck", 1).await, Say::Hang);
    recorder.started("waiting", 1).await.kill();
    recorder.seen("waiting exited: killed", 1).await;
    let report = supervisor.shutdown(DEADLINE).await;
    let killed = vec!["stuck".into()];
    assert_eq!(report, ShutdownReport { drained: 1, killed, ..Default::default() });
    supervisor.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn stopped_as_an_actor_it_still_drains_its_children() {
    let (supervisor, recorder) = tree(Strategy::OneForOne, abc(permanent())).await;
    let [_, b, _] = cells(&recorder).await;
    tell(&b, Say::Work(Duration::from_secs(1)));
    let queued = ping_later(&b);
    supervisor.cell().stop(None);
    supervisor.stopped().await;
    assert_eq!(queued.await.unwrap(), 1);
    let ends: Vec<_> =
        recorder.lines().into_iter().filter(|line| line.ends_with("stopped")).collect();
    assert_eq!(ends, ["c stopped", "b stopped", "a stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_is_a_child_like_any_other() {
    let inner = Recorder::new();
    let observer = inner.clone();
    let (publish, published) = tokio::sync::watch::channel(None);
    let child = ChildSpec::new("streams", permanent(), move |parent| {
        let (observer, publish) = (observer.clone(), publish.clone());
        async move {
            let streams = DynamicSupervisor::<u32>::start(observer, 1, Some(parent)).await?;
            publish.send_replace(Some(streams.clone()));
            Ok(streams.cell())
        }
    });
    let (top, outer) = tree(Strategy::RestForOne, vec![child]).await;

    // Killed, it is replaced by an empty one.
    let first = published.borrow().clone().unwrap();
    first.start_child(1, spec(eager())).await.unwrap();
    first.cell().kill();
    outer.started("streams", 2).await;
    let second = published.borrow().clone().unwrap();
    assert_eq!(second.count_children().await.total, 0);

    // The end of the tree answers what its grandchildren have queued.
    let grandchild = second.start_child(1, spec(eager())).await.unwrap();
    tell(&grandchild, Say::Work(Duration::from_secs(2)));
    let queued = ping_later(&grandchild);
    assert!(top.shutdown(DEADLINE).await.is_clean());
    assert_eq!(queued.await.unwrap(), 1);
    top.stopped().await;
    second.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervised_supervisor_that_was_shut_down_waits_for_its_parent() {
    let (publish, published) = tokio::sync::watch::channel(None);
    let child = ChildSpec::new("streams", permanent(), move |parent| {
        let publish = publish.clone();
        async move {
            let streams = DynamicSupervisor::<u32>::start(Recorder::new(), 1, Some(parent)).await?;
            publish.send_replace(Some(streams.clone()));
            Ok(streams.cell())
        }
    });
    let (top, outer) = tree(Strategy::OneForOne, vec![child]).await;
    let streams = published.borrow().clone().unwrap();
    streams.start_child(1, spec(eager())).await.unwrap();
    assert_eq!(streams.shutdown(DEADLINE).await.drained, 1);
    let refused = streams.start_child(2, spec(eager())).await;
    assert!(matches!(refused, Err(StartError::ShuttingDown)));
    assert!(top.shutdown(DEADLINE).await.is_clean());
    streams.stopped().await;
    assert_eq!(outer.lines(), ["streams started", "streams exited: shutdown", "streams stopped"]);
}

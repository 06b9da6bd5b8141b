//! A child that is past its intensity, and a policy that gives up.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_supervisor::{
    ChildSpec, ChildState, DynamicSupervisor, ExitReason, ForgetError, Incident, LiftError,
    NoObserver, OnExhausted, RestartPolicy, StandardPolicy, StartError, Strategy, Supervisor,
    SupervisorFlags, Verdict,
};

use crate::probe::{Recorder, Say, eager, flaky, ping, spec, supervisor, tell};

const PERIOD: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_storm_ends_in_quarantine_and_the_sibling_never_notices() {
    let (supervisor, recorder) = supervisor().await;
    let sibling = supervisor.start_child("sibling", spec(eager())).await.unwrap();
    assert_eq!(ping(&sibling).await, 1);
    let mut poison =
        supervisor.start_child("poison", spec(eager().intensity(3, PERIOD))).await.unwrap();
    for crash in 0..4 {
        tell(&poison, Say::Panic);
        if crash < 3 {
            poison = recorder.started("poison", crash + 2).await;
        }
        assert_eq!(ping(&sibling).await as usize, crash + 2);
    }
    recorder.seen("poison quarantined: panicked: on purpose", 1).await;
    assert_eq!(ping(&sibling).await, 6);

    let counts = supervisor.count_children().await;
    assert_eq!((counts.total, counts.running, counts.quarantined), (2, 1, 1));
    let children = supervisor.which_children().await;
    let poison = children.iter().find(|child| child.key == "poison").unwrap();
    let reason = ExitReason::Panicked("on purpose".into());
    assert_eq!(poison.state, ChildState::Quarantined(reason));
    assert_eq!(poison.restarts, 3);
    let again = supervisor.start_child("poison", spec(eager())).await;
    assert!(matches!(again, Err(StartError::AlreadyStarted)));
}

#[tokio::test(start_paused = true)]
async fn a_lifted_quarantine_starts_with_a_clean_history() {
    let (supervisor, recorder) = supervisor().await;
    let child = supervisor.start_child("a", spec(eager().intensity(1, PERIOD))).await.unwrap();
    let lifted = supervisor.lift_quarantine(&"a").await;
    assert!(matches!(lifted, Err(LiftError::NotQuarantined)));
    tell(&child, Say::Panic);
    tell(&recorder.started("a", 2).await, Say::Panic);
    recorder.seen("a quarantined: panicked: on purpose", 1).await;

    let child = supervisor.lift_quarantine(&"a").await.unwrap();
    assert_eq!(ping(&child).await, 1);
    tell(&child, Say::Panic);
    ping(&recorder.started("a", 4).await).await;
    let missing = supervisor.lift_quarantine(&"b").await;
    assert!(matches!(missing, Err(LiftError::NotFound)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_lift_leaves_the_child_in_quarantine() {
    let (supervisor, recorder) = supervisor().await;
    let child = flaky("a", eager().intensity(0, PERIOD), |start| start == 2);
    supervisor.start_child("a", child).await.unwrap().kill();
    recorder.seen("a quarantined: killed", 1).await;
    let lifted = supervisor.lift_quarantine(&"a").await;
    assert!(matches!(lifted, Err(LiftError::Start(StartError::Failed(_)))));
    assert_eq!(supervisor.count_children().await.quarantined, 1);
    ping(&supervisor.lift_quarantine(&"a").await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn forget_frees_the_key_of_a_quarantined_child_only() {
    let (supervisor, recorder) = supervisor().await;
    assert_eq!(supervisor.forget(&"a").await, Err(ForgetError::NotFound));
    let child = supervisor.start_child("a", spec(eager().intensity(0, PERIOD))).await.unwrap();
    assert_eq!(supervisor.forget(&"a").await, Err(ForgetError::NotQuarantined));
    child.kill();
    recorder.seen("a quarantined: killed", 1).await;
    assert_eq!(supervisor.forget(&"a").await, Ok(()));
    assert_eq!(supervisor.count_children().await.total, 0);
    ping(&supervisor.start_child("a", spec(eager())).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn restarts_that_keep_failing_end_in_quarantine() {
    let (supervisor, recorder) = supervisor().await;
    let child = flaky("a", eager().intensity(3, PERIOD), |start| start > 1);
    supervisor.start_child("a", child).await.unwrap().kill();
    recorder.seen("a quarantined: start failed: refused", 1).await;
    let failures = |line: &&String| *line == "a start failed: refused";
    assert_eq!(recorder.lines().iter().filter(failures).count(), 3);
}

struct Reckless;

impl RestartPolicy for Reckless {
    fn decide(&self, _: &Incident<'_>) -> Verdict {
        panic!("no idea")
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_quarantines_its_child() {
    let (supervisor, recorder) = supervisor().await;
    let sibling = supervisor.start_child("b", spec(eager())).await.unwrap();
    supervisor.start_child("a", spec(Reckless)).await.unwrap().kill();
    recorder.seen("a quarantined: killed", 1).await;
    ping(&sibling).await;
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_child_can_be_dropped_instead() {
    let (supervisor, recorder) = supervisor().await;
    let policy = eager().intensity(0, PERIOD).on_exhausted(OnExhausted::Stop);
    supervisor.start_child("a", spec(policy)).await.unwrap().kill();
    recorder.seen("a stopped", 1).await;
    assert_eq!(supervisor.count_children().await.total, 0);
}

#[tokio::test(start_paused = true)]
async fn an_escalation_stops_the_siblings_and_reaches_the_parent() {
    let inner = Recorder::new();
    let inner_observer = inner.clone();
    let (publish, mut published) = tokio::sync::watch::channel(None);
    let streams = ChildSpec::new("streams", StandardPolicy::permanent(), move |parent| {
        let (observer, publish) = (inner_observer.clone(), publish.clone());
        async move {
            let streams = DynamicSupervisor::<&str>::start(observer, 1, Some(parent)).await?;
            publish.send_replace(Some(streams.clone()));
            Ok(streams.cell())
        }
    });
    let outer = Recorder::new();
    let flags = SupervisorFlags { strategy: Strategy::RestForOne, ..Default::default() };
    let top = Supervisor::start(flags, vec![streams], outer.clone(), None).await.unwrap();

    let streams = published.borrow_and_update().clone().unwrap();
    let sibling = streams.start_child("b", spec(eager())).await.unwrap();
    let policy = eager().intensity(0, PERIOD).on_exhausted(OnExhausted::Escalate);
    let poison = streams.start_child("a", spec(policy)).await.unwrap();
    tell(&poison, Say::Panic);

    outer.started("streams", 2).await;
    let failed = "streams exited: failed: child a is past help: panicked: on purpose";
    outer.seen(failed, 1).await;
    // The sibling was drained, not killed.
    inner.seen("b exited: shutdown", 1).await;
    inner.seen("b stopped", 1).await;
    assert!(sibling.wait(None).await.is_ok());
    assert!(matches!(streams.start_child("c", spec(eager())).await, Err(StartError::ShuttingDown)));
    let streams = published.borrow_and_update().clone().unwrap();
    ping(&streams.start_child("a", spec(eager())).await.unwrap()).await;
    top.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn an_escalation_without_a_parent_ends_the_supervisor() {
    let supervisor = DynamicSupervisor::start(Arc::new(NoObserver), 1, None).await.unwrap();
    let policy = eager().intensity(0, PERIOD).on_exhausted(OnExhausted::Escalate);
    supervisor.start_child("a", spec(policy)).await.unwrap().kill();
    supervisor.stopped().await;
}

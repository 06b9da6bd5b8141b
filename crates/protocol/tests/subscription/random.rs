//! Random lives of subscriptions; the model asserts the promises at every step.

use proptest::prelude::*;
use streamkeeper_protocol::subscription::{Attempt, Duty, Outcome, Phase};

use crate::model::{Told, World};

const PULL: &str = r#"{"type":"pull-wake","pattern":"e/*","streams":["x"],"wake_stream":"w",
    "lease_ttl_ms":1000}"#;
const WEBHOOK: &str = r#"{"type":"webhook","pattern":"e/*","streams":["x"],"lease_ttl_ms":1000,
    "webhook":{"url":"https://worker.example/"}}"#;

#[derive(Debug, Clone)]
enum Step {
    Append(&'static str, u64),
    Delete(&'static str),
    Pass(i64),
    Add(&'static str),
    Remove(&'static str),
    Claim,
    /// By one of those who ever held the work.
    Ack(prop::sample::Index, u64, bool),
    Release(prop::sample::Index),
    Attempt,
    Answer(prop::sample::Index, Outcome),
    Restart,
    Compact,
}

fn stream() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["e/1", "e/2", "e/3", "x", "y", "other"][..])
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    let outcome = prop::sample::select(&[Outcome::Done, Outcome::Accepted, Outcome::Failed][..]);
    let part = prop::sample::select(&[0, 30, 70, 100, 100, 100, 101][..]);
    prop_oneof![
        6 => (stream(), 0..200u64).prop_map(|(stream, bytes)| Step::Append(stream, bytes)),
        1 => stream().prop_map(Step::Delete),
        4 => prop::sample::select(&[1, 400, 999, 1_000, 5_000][..]).prop_map(Step::Pass),
        1 => stream().prop_map(Step::Add),
        1 => stream().prop_map(Step::Remove),
        4 => Just(Step::Claim),
        5 => (who(), part, any::<bool>()).prop_map(|(who, part, done)| Step::Ack(who, part, done)),
        1 => who().prop_map(Step::Release),
        4 => Just(Step::Attempt),
        4 => (who(), outcome).prop_map(|(who, outcome)| Step::Answer(who, outcome)),
        1 => Just(Step::Restart),
        1 => Just(Step::Compact),
    ]
}

fn live(config: &str, steps: Vec<Step>) {
    let mut world = World::new(config, &[("e/1", 100), ("other", 5)]);
    assert!(!world.has_work(), "the past is not replayed");
    let mut told: Vec<Told> = Vec::new();
    let mut attempts: Vec<Attempt> = Vec::new();
    for step in steps {
        match step {
            Step::Append(stream, bytes) => world.append(stream, bytes),
            Step::Delete(stream) => world.delete(stream),
            Step::Pass(millis) => world.pass(millis),
            Step::Add(stream) => world.add(stream),
            Step::Remove(stream) => world.remove(stream),
            Step::Claim => told.extend(world.claim()),
            Step::Ack(who, part, done) if !told.is_empty() => {
                let _ = world.ack(&who.get(&told).clone(), part, done);
            }
            Step::Release(who) if !told.is_empty() => {
                let _ = world.release(&who.get(&told).clone());
            }
            // A call follows a duty, and only one at a time.
            Step::Attempt if world.tracker.duty(world.at(), None) == Duty::CallWebhook => {
                if let Some((attempt, worker)) = world.attempt() {
                    attempts.push(attempt);
                    told.push(worker);
                }
            }
            Step::Answer(who, outcome) if !attempts.is_empty() => {
                world.delivered(&who.get(&attempts).clone(), outcome);
            }
            Step::Restart => world.restart(),
            Step::Compact => world.compact(),
            _ => {}
        }
        world.settle();
        assert_eq!(world.tracker.has_work(), world.has_work());
        let state = world.tracker.state();
        if world.has_work() && state.phase == Phase::Idle {
            assert!(state.retry_at.is_some_and(|at| at > world.at()), "work, and nobody is woken");
            assert!(world.tracker.deadline(world.at()).is_some(), "nobody will look");
        }
    }
    all_is_processed_in_the_end(&mut world);
}

/// Whatever has happened: with a worker that does its work, all of it gets done.
fn all_is_processed_in_the_end(world: &mut World) {
    for _ in 0..100 {
        if !world.has_work() && world.tracker.state().phase == Phase::Idle {
            return;
        }
        match world.tracker.duty(world.at(), None) {
            Duty::CallWebhook => {
                if let Some((attempt, _)) = world.attempt() {
                    world.delivered(&attempt, Outcome::Done);
                }
            }
            Duty::WriteWakeEvent { .. } => {
                if let Ok(told) = world.claim() {
                    world.ack(&told, 100, true).expect("valid in this test");
                }
            }
            Duty::None => {
                let deadline = world.tracker.deadline(world.at()).expect("nobody will look");
                world.pass(deadline.as_millis() - world.now);
            }
        }
    }
    panic!("work is left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn pull_wake_keeps_its_promises(steps in prop::collection::vec(step(), 1..80)) {
        live(PULL, steps);
    }

    #[test]
    fn webhooks_keep_their_promises(steps in prop::collection::vec(step(), 1..80)) {
        live(WEBHOOK, steps);
    }
}

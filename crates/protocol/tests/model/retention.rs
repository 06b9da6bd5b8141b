//! Retention against a naive model that keeps the time of every message.

use std::num::NonZeroU64;
use std::time::Duration;

use proptest::prelude::*;
use streamkeeper_protocol::stream::{
    Config, Cut, Record, Retention, StreamState, age_slack, decide_delete, decide_fork,
    decide_truncate,
};
use streamkeeper_protocol::{Batch, Timestamp, Ttl};

use crate::lineage::fork;
use crate::words::{at, batch, folded, id, typed};

fn policy(age: u64, messages: u64, bytes: u64) -> Retention {
    Retention {
        max_age: (age > 0).then(|| Ttl::new(age).unwrap()),
        max_messages: NonZeroU64::new(messages),
        max_bytes: NonZeroU64::new(bytes),
    }
}

fn stream(retention: Retention) -> StreamState {
    let config = Config { content_type: typed("text/plain"), retention, ..Default::default() };
    let (origin, batch) = (None, None);
    folded(&[Record::Created { id: id(1), config, origin, batch, closed: false, at: at(0) }])
}

fn append(state: &mut StreamState, batch: Option<Batch>, now: Timestamp) {
    let (producer, seq, closes) = (None, None, false);
    state.apply(&Record::Appended { batch, producer, seq, closes, at: now });
}

/// Does what a compaction worker does.
fn compact(state: &mut StreamState, messages: &[Message], now: Timestamp) -> Option<Cut> {
    let mut compaction = state.plan_compaction(now)?;
    let from = compaction.from.position;
    let ends = messages.iter().map(|message| message.end).filter(|end| *end > from);
    let cut = compaction.look(0, ends).expect("the cut is among the messages");
    let record = decide_truncate(Some(state), cut).expect("a plan drops something");
    state.apply(&record);
    Some(cut)
}

#[derive(Debug, Clone, Copy)]
struct Message {
    begin: u64,
    end: u64,
    at: Timestamp,
}

proptest! {
    #[test]
    fn what_is_dropped_is_what_the_limits_ask_for(
        age in prop_oneof![Just(0), 1..400_u64],
        most in prop_oneof![Just(0), 1..90_u64],
        bytes in prop_oneof![Just(0), 1..900_u64],
        steps in prop::collection::vec((0..40_000_i64, 1..30_usize, any::<bool>()), 1..300),
    ) {
        let policy = policy(age, most, bytes);
        let mut state = stream(policy);
        let mut messages: Vec<Message> = Vec::new();
        let mut now = at(0);
        for (pause, size, compacts) in steps {
            now = at(now.as_millis() + pause);
            let begin = state.tail;
            append(&mut state, batch(&"x".repeat(size)), now);
            messages.push(Message { begin, end: state.tail, at: now });
            if !compacts {
                continue;
            }
            let due = state.compaction_due();
            let before = state.clone();
            let cut = compact(&mut state, &messages, now);
            prop_assert_eq!(due.is_some_and(|due| due <= now), cut.is_some());
            let kept: Vec<&Message> =
                messages.iter().filter(|message| message.begin >= state.earliest).collect();
            prop_assert_eq!(state.dropped as usize, messages.len() - kept.len());
            prop_assert!(most == 0 || kept.len() as u64 <= most);
            prop_assert!(bytes == 0 || state.tail - state.earliest <= bytes);
            let too_old = |message: &Message, slack| {
                policy.max_age.is_some_and(|age| {
                    now.since(message.at) >= age.duration() + slack
                })
            };
            let slack = policy.max_age.map(age_slack).unwrap_or_default();
            let forgotten = kept.iter().filter(|message| too_old(message, slack * 2)).count();
            prop_assert_eq!(forgotten, 0, "{:?}", state);
            // Nothing goes that no limit asks for: not the youngest of what went.
            if let Some(cut) = cut {
                let last = messages.iter().rev().find(|message| message.end <= cut.before).unwrap();
                let asked = too_old(last, Duration::ZERO)
                    || (most > 0 && (kept.len() as u64) + 1 > most)
                    || (bytes > 0 && state.tail - last.begin > bytes);
                prop_assert!(asked, "{:?} was dropped of {:?}", last, before);
            }
        }
    }
}

#[test]
fn the_last_message_of_an_idle_stream_goes_when_it_is_too_old() {
    let mut state = stream(policy(10, 0, 0));
    assert_eq!(state.compaction_due(), None, "an empty stream has nothing to drop");
    append(&mut state, batch("abc"), at(500));
    assert_eq!(state.compaction_due(), Some(at(10_500)));
    assert_eq!(state.plan_compaction(at(10_499)), None);
    let messages = [Message { begin: 0, end: 3, at: at(500) }];
    let cut = compact(&mut state, &messages, at(10_500));
    assert_eq!(cut, Some(Cut { before: 3, messages: 1 }));
    assert_eq!(state.compaction_due(), None);
}

#[test]
fn marks_stay_few_however_long_nobody_compacts() {
    let mut state = stream(policy(0, 1, 1));
    for now in 0..10_000 {
        append(&mut state, batch("x"), at(now));
    }
    assert!(state.marks.marks.len() <= 256);
    let messages: Vec<Message> =
        (0..10_000).map(|n| Message { begin: n, end: n + 1, at: at(n as i64) }).collect();
    assert!(compact(&mut state, &messages, at(10_000)).is_some());
    assert_eq!((state.earliest, state.dropped), (9_999, 9_999));
    assert!(state.marks.marks.is_empty());
}

#[test]
fn a_fork_keeps_what_it_may_still_read() {
    let mut source = stream(policy(0, 1, 0));
    append(&mut source, batch("abc"), at(0));
    let grant = decide_fork(Some(&source), &fork(&source, None, 0), at(0)).unwrap();
    assert_eq!(grant.config.retention, policy(0, 1, 0), "a fork inherits the policy");
    source.apply(&grant.record);
    append(&mut source, batch("def"), at(0));
    source.apply(&decide_truncate(Some(&source), Cut { before: 3, messages: 1 }).unwrap());
    assert_eq!((source.earliest, source.kept()), (3, 0));
    let Record::ForkAdded { fork, .. } = grant.record else { panic!("no reference") };
    source.apply(&Record::ForkReleased { fork });
    assert_eq!(source.kept(), 3);
}

#[test]
fn a_soft_deleted_stream_is_left_to_its_forks() {
    let mut source = stream(policy(0, 1, 0));
    append(&mut source, batch("abc"), at(0));
    append(&mut source, batch("def"), at(0));
    source.apply(&Record::ForkAdded { fork: id(2), keeps: 0 });
    source.apply(&decide_delete(Some(&source), at(0)).unwrap());
    assert_eq!(source.compaction_due(), None);
    assert_eq!(decide_truncate(Some(&source), Cut { before: 3, messages: 1 }), None);
}

//! Tables: which of several errors is told, and what a re-creation may differ in.

use streamkeeper_protocol::stream::{
    Append, AppendDecision, AppendRejection, Create, CreateDecision, CreateRejection, Cut,
    DeleteRejection, Expiry, ForkRequest, Mismatch, Origin, ProducerState, Record, Retention,
    StreamState, decide_append, decide_create, decide_delete, decide_expire, decide_truncate,
};
use streamkeeper_protocol::{Offset, Producer};

use crate::words::*;

/// A stream of text with one message, a producer at (2, 5) and a sequence.
fn used(closed: bool) -> StreamState {
    let appended = Record::Appended {
        batch: batch("abc"),
        producer: Some(producer("p", 2, 5)),
        seq: Some(seq("m")),
        closes: closed,
        at: at(0),
    };
    folded(&[created(1, None, None), appended])
}

/// An append that is wrong in every way that the arguments name.
fn wrong(producer: Option<Producer>, type_wrong: bool, seq_wrong: bool) -> Append {
    Append {
        content_type: Some(typed(if type_wrong { "text/html" } else { "text/plain" })),
        producer,
        seq: Some(seq(if seq_wrong { "a" } else { "z" })),
        ..append("x")
    }
}

/// Duplicate and stale epoch, then closure, then the producer's sequence, then the type, then
/// Stream-Seq: whatever else is wrong with a request, the first of them is told.
#[test]
fn the_first_error_of_the_precedence_is_told() {
    let duplicate = ProducerState { epoch: 2, last_seq: 5 };
    let closed = AppendRejection::Closed { next_offset: Offset::new(3) };
    let mismatch = AppendRejection::ContentTypeMismatch {
        expected: typed("text/plain"),
        received: typed("text/html"),
    };
    let gap = AppendRejection::SequenceGap { expected: 6, received: 8 };
    let unknown_gap = AppendRejection::SequenceGap { expected: 0, received: 8 };
    let (p, q) = (|epoch, seq| Some(producer("p", epoch, seq)), producer("q", 0, 8));
    for is_closed in [false, true] {
        let state = used(is_closed);
        for (type_wrong, seq_wrong) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let after_producer = match (is_closed, type_wrong, seq_wrong) {
                (true, _, _) => Some(closed.clone()),
                (_, true, _) => Some(mismatch.clone()),
                (_, _, true) => Some(AppendRejection::SeqRegression),
                _ => None,
            };
            let unless_closed =
                |error: &AppendRejection| Some(if is_closed { &closed } else { error }.clone());
            let table = [
                (p(2, 4), Some(None)),
                (p(2, 5), Some(None)),
                (p(1, 9), Some(Some(AppendRejection::StaleEpoch { current: 2 }))),
                (p(2, 8), Some(unless_closed(&gap))),
                (Some(q.clone()), Some(unless_closed(&unknown_gap))),
                (p(3, 1), Some(unless_closed(&AppendRejection::EpochNotAtZero))),
                (p(2, 6), after_producer.clone().map(Some)),
                (p(3, 0), after_producer.clone().map(Some)),
                (None, after_producer.clone().map(Some)),
            ];
            for (producer, expected) in table {
                let append = wrong(producer.clone(), type_wrong, seq_wrong);
                let decision = decide_append(Some(&state), &append, at(1));
                match expected {
                    Some(None) => {
                        let expected = AppendDecision::Duplicate { producer: duplicate };
                        assert_eq!(decision, Ok(expected), "{append:?}");
                    }
                    Some(Some(rejection)) => assert_eq!(decision, Err(rejection), "{append:?}"),
                    None => {
                        assert!(matches!(decision, Ok(AppendDecision::Write(_))), "{append:?}")
                    }
                }
            }
        }
    }
}

#[test]
fn absence_and_emptiness_come_before_everything() {
    let append = wrong(Some(producer("p", 1, 9)), true, true);
    assert_eq!(decide_append(None, &append, at(1)), Err(AppendRejection::NotFound));
    let mut gone = used(true);
    gone.forks.insert(id(7), 0);
    gone.apply(&Record::SoftDeleted);
    assert_eq!(decide_append(Some(&gone), &append, at(1)), Err(AppendRejection::Gone));
    let empty = Append { batch: None, ..append };
    assert_eq!(decide_append(Some(&used(true)), &empty, at(1)), Err(AppendRejection::Empty));
}

#[test]
fn a_mere_closing_needs_no_type_and_is_idempotent() {
    let closing = Append { content_type: None, batch: None, close: true, ..append("") };
    let odd = Append { content_type: Some(typed("image/png")), ..closing.clone() };
    for close in [&closing, &odd] {
        let open = decide_append(Some(&used(false)), close, at(1));
        assert!(matches!(open, Ok(AppendDecision::Write(_))));
        let closed = decide_append(Some(&used(true)), close, at(1));
        assert_eq!(closed, Ok(AppendDecision::AlreadyClosed));
    }
    // With a producer it is the producer's business: its own repetition, or a late comer.
    let again = Append { producer: Some(producer("p", 2, 5)), ..closing.clone() };
    let decision = decide_append(Some(&used(true)), &again, at(1));
    assert!(matches!(decision, Ok(AppendDecision::Duplicate { .. })));
    for late in [producer("p", 2, 6), producer("p", 3, 0), producer("q", 0, 0)] {
        let late = Append { producer: Some(late), ..closing.clone() };
        let closed = AppendRejection::Closed { next_offset: Offset::new(3) };
        assert_eq!(decide_append(Some(&used(true)), &late, at(1)), Err(closed));
    }
}

#[test]
fn messages_need_a_type_even_of_a_stream_without_one() {
    let untyped = Append { content_type: None, ..append("x") };
    let decision = decide_append(Some(&used(false)), &untyped, at(1));
    assert_eq!(decision, Err(AppendRejection::MissingContentType));
}

#[test]
fn offsets_end_where_their_tokens_do() {
    let ends = |until| {
        let origin = Origin {
            source: name("s"),
            source_id: id(9),
            anchor: Offset::new(until),
            sub_offset: 0,
            earliest: 0,
            lineage: vec![streamkeeper_protocol::stream::Ancestor { id: id(9), until }].into(),
        };
        folded(&[created(1, Some(origin), None)])
    };
    let last = 9_999_999_999_999_999;
    let roomy = decide_append(Some(&ends(last - 4)), &append("abc"), at(1));
    assert!(matches!(roomy, Ok(AppendDecision::Write(_))));
    for tail in [last - 3, last - 1] {
        let full = decide_append(Some(&ends(tail)), &append("abc"), at(1));
        assert_eq!(full, Err(AppendRejection::Full));
        let closing = Append { batch: None, close: true, ..append("") };
        let closed = decide_append(Some(&ends(tail)), &closing, at(1));
        assert!(matches!(closed, Ok(AppendDecision::Write(_))), "it can be closed");
    }
}

fn at_most(messages: u64) -> Retention {
    Retention { max_messages: std::num::NonZeroU64::new(messages), ..Default::default() }
}

#[test]
fn a_creation_tells_what_differs() {
    let origin = Origin {
        source: name("s"),
        source_id: id(9),
        anchor: Offset::new(4),
        sub_offset: 1,
        earliest: 0,
        lineage: vec![].into(),
    };
    let plain = || Create { content_type: Some(typed("text/plain")), ..create() };
    let forked = |source: &str, offset: Option<u64>, sub_offset| {
        let offset = offset.map(Offset::new);
        let fork = ForkRequest { source: name(source), offset, sub_offset, granted: None };
        Create { fork: Some(fork), ..create() }
    };
    let stream = folded(&[created(1, None, None)]);
    let fork = folded(&[created(1, Some(origin), None)]);
    let yes = Ok(CreateDecision::Exists);
    let no = |mismatch| Err(CreateRejection::Conflict(mismatch));
    let table = [
        (&stream, plain(), yes.clone()),
        (&stream, Create { batch: batch("other"), ..plain() }, yes.clone()),
        (&stream, Create { content_type: Some(typed("TEXT/plain;x=y")), ..plain() }, yes.clone()),
        (&stream, Create { expiry: Some(Expiry::Never), ..plain() }, yes.clone()),
        (&stream, create(), no(Mismatch::ContentType)),
        (
            &stream,
            Create { content_type: Some(typed("text/html")), ..plain() },
            no(Mismatch::ContentType),
        ),
        (&stream, Create { expiry: Some(ttl(1)), ..plain() }, no(Mismatch::Expiry)),
        (&stream, Create { expiry: Some(Expiry::At(at(1))), ..plain() }, no(Mismatch::Expiry)),
        (&stream, Create { retention: Some(Retention::default()), ..plain() }, yes.clone()),
        (&stream, Create { retention: Some(at_most(1)), ..plain() }, no(Mismatch::Retention)),
        (&stream, Create { closed: true, ..plain() }, no(Mismatch::Closed)),
        (&stream, forked("s", None, 0), no(Mismatch::Origin)),
        (&fork, forked("s", Some(4), 1), yes.clone()),
        (&fork, forked("s", None, 1), yes.clone()),
        (&fork, Create { content_type: Some(typed("text/plain")), ..forked("s", None, 1) }, yes),
        (&fork, forked("s", Some(4), 0), no(Mismatch::Origin)),
        (&fork, forked("s", Some(5), 1), no(Mismatch::Origin)),
        (&fork, forked("t", Some(4), 1), no(Mismatch::Origin)),
        (&fork, plain(), no(Mismatch::Origin)),
        (&fork, Create { expiry: Some(ttl(1)), ..forked("s", None, 1) }, no(Mismatch::Expiry)),
    ];
    for (state, create, expected) in table {
        assert_eq!(decide_create(Some(state), &create, at(0)), expected, "{create:?}");
    }
    let unknown = decide_create(None, &forked("s", None, 0), at(0));
    assert_eq!(unknown, Err(CreateRejection::NotGranted));
}

#[test]
fn a_stream_ends_in_one_way_and_once() {
    let mut state = Some(folded(&[created(1, None, None)]));
    assert_eq!(decide_delete(state.as_ref(), at(0)), Ok(Record::Deleted));
    assert_eq!(decide_expire(state.as_ref(), at(i64::MAX)), None);
    StreamState::fold(&mut state, &Record::ForkAdded { fork: id(2), keeps: 0 });
    assert_eq!(decide_delete(state.as_ref(), at(0)), Ok(Record::SoftDeleted));
    StreamState::fold(&mut state, &Record::SoftDeleted);
    if let Some(state) = &mut state {
        state.config.expiry = ttl(1);
    }
    assert_eq!(decide_expire(state.as_ref(), at(i64::MAX)), None, "it has ended already");
    assert_eq!(decide_delete(state.as_ref(), at(i64::MAX)), Err(DeleteRejection::Gone));
    StreamState::fold(&mut state, &Record::ForkReleased { fork: id(3) });
    assert!(state.is_some(), "somebody else's fork is nobody's");
    StreamState::fold(&mut state, &Record::ForkReleased { fork: id(2) });
    assert_eq!(state, None);
    for record in [Record::Deleted, Record::SoftDeleted, Record::Touched { at: at(1) }] {
        StreamState::fold(&mut state, &record);
        assert_eq!(state, None, "nothing follows the end but a creation");
    }
}

#[test]
fn truncation_moves_forward_and_not_past_the_tail() {
    let mut state = Some(used(false));
    let cut = |before| Cut { before, messages: 1 };
    assert_eq!(decide_truncate(state.as_ref(), cut(0)), None);
    assert_eq!(decide_truncate(state.as_ref(), cut(99)), None, "not of this life");
    let record = decide_truncate(state.as_ref(), cut(3)).unwrap();
    assert_eq!(record, Record::Truncated { before: 3, messages: 1 });
    StreamState::fold(&mut state, &record);
    assert_eq!(decide_truncate(state.as_ref(), cut(2)), None);
    assert_eq!(decide_truncate(None, cut(2)), None);
    assert_eq!(state.unwrap().earliest, 3);
}

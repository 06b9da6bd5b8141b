//! Tables: where forks branch off, and whose data they read.

use streamkeeper_protocol::stream::{
    Ancestor, Fork, ForkGrant, ForkRejection, InvalidSubOffset, Record, StreamState, decide_fork,
    resolve_sub_offset,
};
use streamkeeper_protocol::{Offset, stream::Origin};

use crate::words::*;

pub(crate) fn fork(source: &StreamState, anchor: Option<u64>, sub_bytes: u64) -> Fork {
    Fork {
        id: id(99),
        source: name("s"),
        source_id: source.id,
        content_type: None,
        anchor: anchor.map(Offset::new),
        sub_offset: sub_bytes,
        sub_bytes,
    }
}

fn grant(source: &StreamState, position: u64) -> ForkGrant {
    decide_fork(Some(source), &fork(source, Some(position), 0), at(0)).unwrap()
}

/// A fork of a stream at a position, with ten bytes of its own.
fn forked(life: u64, source: &StreamState, position: u64) -> StreamState {
    let origin = grant(source, position).origin;
    folded(&[created(life, Some(origin), batch("0123456789"))])
}

fn lineage(origin: &Origin) -> Vec<(u64, u64)> {
    let life = |ancestor: &Ancestor| ancestor.id.as_uuid().as_u128() as u64;
    origin.lineage.iter().map(|ancestor| (life(ancestor), ancestor.until)).collect()
}

#[test]
fn a_fork_reads_through_those_who_hold_its_data_and_nobody_else() {
    let first = folded(&[created(1, None, batch("0123456789"))]);
    let second = forked(2, &first, 6);
    let third = forked(3, &second, 12);
    assert_eq!((second.tail, third.tail), (16, 22));
    assert_eq!(lineage(second.origin.as_ref().unwrap()), [(1, 6)]);
    assert_eq!(lineage(third.origin.as_ref().unwrap()), [(1, 6), (2, 12)]);
    let table = [
        (22, &[(1, 6), (2, 12), (3, 22)][..]),
        (13, &[(1, 6), (2, 12), (3, 13)]),
        (12, &[(1, 6), (2, 12)]),
        (7, &[(1, 6), (2, 7)]),
        (6, &[(1, 6)]),
        (1, &[(1, 1)]),
    ];
    for (position, expected) in table {
        let origin = grant(&third, position).origin;
        assert_eq!(lineage(&origin), expected, "at {position}");
        assert_eq!(origin.point(), position);
        assert_eq!(origin.source_id, id(3), "the reference is the source's all the same");
    }
    assert_eq!(grant(&third, 0).origin.point(), 0);
}

#[test]
fn a_fork_is_refused_for_what_the_source_is() {
    let source = folded(&[created(1, None, batch("abc"))]);
    let ask =
        |fork: &Fork| decide_fork(Some(&source), fork, at(0)).map(|grant| grant.origin.point());
    assert_eq!(ask(&fork(&source, None, 0)), Ok(3));
    assert_eq!(ask(&fork(&source, Some(0), 2)), Ok(2));
    let beyond = ForkRejection::BeyondTail { tail: Offset::new(3) };
    assert_eq!(ask(&fork(&source, Some(4), 0)), Err(beyond.clone()));
    assert_eq!(ask(&fork(&source, Some(2), 2)), Err(beyond.clone()));
    assert_eq!(ask(&fork(&source, Some(u64::MAX), u64::MAX)), Err(beyond));
    let stranger = Fork { source_id: id(5), ..fork(&source, None, 0) };
    assert_eq!(ask(&stranger), Err(ForkRejection::SourceNotFound), "it was another life");
    let other = Fork { content_type: Some(typed("text/html")), ..fork(&source, None, 0) };
    let expected = typed("text/plain");
    assert_eq!(ask(&other), Err(ForkRejection::ContentTypeMismatch { expected }));
    let nothing = decide_fork(None, &fork(&source, None, 0), at(0));
    assert_eq!(nothing, Err(ForkRejection::SourceNotFound));
}

#[test]
fn sub_offsets_are_messages_of_json_and_bytes_of_others() {
    use InvalidSubOffset::{Misaligned, Overshoot};
    let messages = [(4, 6), (6, 9), (9, 10)];
    let table = [
        // (json, anchor, sub-offset, expected)
        (true, 4, 0, Ok(0)),
        (true, 4, 1, Ok(2)),
        (true, 4, 2, Ok(5)),
        (true, 4, 3, Ok(6)),
        (true, 4, 4, Err(Overshoot)),
        (true, 4, u64::MAX, Err(Overshoot)),
        (true, 5, 0, Err(Misaligned)),
        (true, 5, 1, Err(Misaligned)),
        (false, 4, 1, Ok(1)),
        (false, 4, 2, Ok(2)),
        (false, 4, 3, Err(Overshoot)),
        (false, 6, 3, Ok(3)),
        (false, 5, 0, Err(Misaligned)),
        (false, 10, 0, Ok(0)),
        (false, 10, 1, Err(Overshoot)),
        (true, 10, 1, Err(Overshoot)),
    ];
    for (json, anchor, sub_offset, expected) in table {
        let from_anchor = messages.into_iter().filter(|(_, end)| *end > anchor);
        let resolved = resolve_sub_offset(json, Offset::new(anchor), sub_offset, from_anchor);
        assert_eq!(resolved, expected, "{json} {anchor} {sub_offset}");
    }
}

/// What retention has dropped, a fork does not inherit: it must not promise it either.
#[test]
fn a_fork_of_a_truncated_source_begins_where_its_source_does() {
    let text = |text| Record::Appended {
        batch: batch(text),
        producer: None,
        seq: None,
        closes: false,
        at: at(0),
    };
    let source = folded(&[
        created(1, None, batch("dropped")),
        text("kept"),
        Record::Truncated { before: 7, messages: 1 },
    ]);
    let before = decide_fork(Some(&source), &fork(&source, Some(3), 0), at(0));
    let earliest = Offset::new(7);
    assert_eq!(before, Err(ForkRejection::BeforeEarliest { earliest }));
    let fork = forked(2, &source, 11);
    assert_eq!(fork.tail, 21);
    assert_eq!(fork.earliest, 7, "offsets before it are 410, not silently skipped");
}

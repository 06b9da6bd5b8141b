//! States: what an idle stream takes in memory, and what a filed segment tells of a stream.

use std::collections::HashMap;

use streamkeeper_protocol::header::ProducerId;
use streamkeeper_protocol::stream::{Mark, Marks, ProducerState, StreamId, StreamState};

use super::record::{config, origin, read_config, read_origin, read_seq};
use super::{Malformed, Reader, Writer};

const FORMAT: u8 = 1;
const CORRUPT: u8 = 0xda;

/// Writes a state. The same state gives the same bytes.
pub(crate) fn encode_state(state: &StreamState) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(96);
    let mut w = Writer(&mut buffer);
    w.u8(FORMAT);
    // Here, so that it can be told without decoding the rest.
    w.bool(state.is_scheduled());
    w.id(state.id);
    w.varint(state.version);
    config(&mut w, &state.config);
    w.option(state.origin.as_ref(), origin);
    w.time(state.created_at);
    w.time(state.touched_at);
    w.varint(state.earliest);
    w.varint(state.tail);
    w.varint(state.messages);
    w.varint(state.dropped);
    w.time(state.appended_at);
    marks(&mut w, &state.marks);
    w.bool(state.closed);
    let mut producers: Vec<_> = state.producers.iter().collect();
    producers.sort_unstable_by_key(|(id, _)| *id);
    w.varint(producers.len() as u64);
    for (id, producer) in producers {
        w.bytes(id.as_str().as_bytes());
        w.varint(producer.epoch);
        w.varint(producer.last_seq);
    }
    w.option(state.last_seq.as_ref(), |w, seq| w.bytes(seq.as_bytes()));
    w.varint(state.forks.len() as u64);
    for (fork, keeps) in &state.forks {
        w.id(*fork);
        w.varint(*keeps);
    }
    w.bool(state.soft_deleted);
    buffer
}

/// Whether time alone can change the stream of an encoded state.
pub(crate) fn is_scheduled(bytes: &[u8]) -> bool {
    matches!(bytes, [FORMAT, 1, ..])
}

/// Marks an encoded state as that of a stream that has lost something, so that it is not taken for the
/// stream's; a state that is marked stays as it is.
pub(crate) fn mark_corrupt(reason: &str, state: &[u8]) -> Box<[u8]> {
    if state.first() == Some(&CORRUPT) {
        return state.into();
    }
    let mut buffer = Vec::with_capacity(state.len() + reason.len() + 4);
    let mut w = Writer(&mut buffer);
    w.u8(CORRUPT);
    w.bytes(reason.as_bytes());
    buffer.extend_from_slice(state);
    buffer.into_boxed_slice()
}

/// An encoded state without the id, in two pieces; `None` if the id is not where it should be.
pub(crate) fn without_id(state: &[u8], id: StreamId) -> Option<([u8; 2], &[u8])> {
    let (begin, rest) = state.split_first_chunk::<2>()?;
    let rest = rest.strip_prefix(id.as_uuid().as_bytes())?;
    (begin[0] == FORMAT).then_some((*begin, rest))
}

/// What [`without_id`] has shortened, its pieces put together.
pub(crate) fn with_id(shortened: &[u8], id: StreamId) -> Option<Vec<u8>> {
    let (begin, rest) = shortened.split_first_chunk::<2>()?;
    Some([&begin[..], id.as_uuid().as_bytes(), rest].concat())
}

/// Reads a state, which must be all of the bytes.
pub(crate) fn decode_state(bytes: &[u8]) -> Result<StreamState, Malformed> {
    let mut r = Reader(bytes);
    match r.u8()? {
        FORMAT => drop(r.bool()?),
        CORRUPT => return Err(Malformed("something of the stream is lost")),
        _ => return Err(Malformed("an unknown format of state")),
    }
    let state = StreamState {
        id: r.id()?,
        version: r.varint()?,
        config: read_config(&mut r)?,
        origin: r.option(read_origin)?,
        created_at: r.time()?,
        touched_at: r.time()?,
        earliest: r.varint()?,
        tail: r.varint()?,
        messages: r.varint()?,
        dropped: r.varint()?,
        appended_at: r.time()?,
        marks: read_marks(&mut r)?,
        closed: r.bool()?,
        producers: read_producers(&mut r)?,
        last_seq: r.option(read_seq)?,
        forks: {
            let count = r.count()?;
            (0..count).map(|_| Ok((r.id()?, r.varint()?))).collect::<Result<_, Malformed>>()?
        },
        soft_deleted: r.bool()?,
    };
    r.finish()?;
    Ok(state)
}

/// The earliest position of an encoded state.
pub(crate) fn earliest(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut r = Reader(bytes);
    if r.u8()? != FORMAT {
        return Err(Malformed("not a state of this format"));
    }
    r.bool()?;
    r.id()?;
    r.varint()?;
    read_config(&mut r)?;
    r.option(read_origin)?;
    r.time()?;
    r.time()?;
    r.varint()
}

fn marks(w: &mut Writer<'_>, marks: &Marks) {
    w.varint(marks.marks.len() as u64);
    for mark in &marks.marks {
        w.varint(mark.position);
        w.varint(mark.messages);
        w.time(mark.at);
    }
    w.time(marks.since);
}

fn read_marks(r: &mut Reader<'_>) -> Result<Marks, Malformed> {
    let count = r.count()?;
    let mark = |r: &mut Reader<'_>| {
        Ok(Mark { position: r.varint()?, messages: r.varint()?, at: r.time()? })
    };
    let marks = (0..count).map(|_| mark(r)).collect::<Result<_, Malformed>>()?;
    Ok(Marks { marks, since: r.time()? })
}

fn read_producers(r: &mut Reader<'_>) -> Result<HashMap<ProducerId, ProducerState>, Malformed> {
    let count = r.count()?;
    let producer = |r: &mut Reader<'_>| {
        let id = ProducerId::parse(r.bytes()?).map_err(|_| Malformed("not a producer id"))?;
        Ok((id, ProducerState { epoch: r.varint()?, last_seq: r.varint()? }))
    };
    (0..count).map(|_| producer(r)).collect()
}

//! States: what an idle stream takes in memory, and what a filed segment tells of a stream.

use std::collections::HashMap;

use streamkeeper_protocol::header::ProducerId;
use streamkeeper_protocol::stream::{ProducerState, StreamId, StreamState};

use super::record::{config, origin, read_config, read_origin, read_seq};
use super::{Malformed, Reader, Writer};

const FORMAT: u8 = 1;
const CORRUPT: u8 = 0xda;

/// Writes a state. The same state gives the same bytes.
pub(crate) fn encode_state(state: &StreamState) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(96);
    let mut w = Writer(&mut buffer);
    w.u8(FORMAT);
    w.id(state.id);
    w.varint(state.version);
    config(&mut w, &state.config);
    w.option(state.origin.as_ref(), origin);
    w.time(state.created_at);
    w.time(state.touched_at);
    w.varint(state.earliest);
    w.varint(state.tail);
    w.varint(state.messages);
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
    state.forks.iter().for_each(|fork| w.id(*fork));
    w.bool(state.soft_deleted);
    buffer
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

/// An encoded state without the id that it begins with; `None` if that is not how it begins.
pub(crate) fn without_id(state: &[u8], id: StreamId) -> Option<&[u8]> {
    let rest = state.strip_prefix(&[FORMAT])?;
    rest.strip_prefix(id.as_uuid().as_bytes())
}

/// What [`without_id`] has shortened.
pub(crate) fn with_id(rest: &[u8], id: StreamId) -> Vec<u8> {
    let mut state = Vec::with_capacity(17 + rest.len());
    let mut w = Writer(&mut state);
    w.u8(FORMAT);
    w.id(id);
    state.extend_from_slice(rest);
    state
}

/// Reads a state, which must be all of the bytes.
pub(crate) fn decode_state(bytes: &[u8]) -> Result<StreamState, Malformed> {
    let mut r = Reader(bytes);
    match r.u8()? {
        FORMAT => {}
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
        closed: r.bool()?,
        producers: read_producers(&mut r)?,
        last_seq: r.option(read_seq)?,
        forks: {
            let count = r.count()?;
            (0..count).map(|_| r.id()).collect::<Result<_, Malformed>>()?
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
    r.id()?;
    r.varint()?;
    read_config(&mut r)?;
    r.option(read_origin)?;
    r.time()?;
    r.time()?;
    r.varint()
}

fn read_producers(r: &mut Reader<'_>) -> Result<HashMap<ProducerId, ProducerState>, Malformed> {
    let count = r.count()?;
    let producer = |r: &mut Reader<'_>| {
        let id = ProducerId::parse(r.bytes()?).map_err(|_| Malformed("not a producer id"))?;
        Ok((id, ProducerState { epoch: r.varint()?, last_seq: r.varint()? }))
    };
    (0..count).map(|_| producer(r)).collect()
}

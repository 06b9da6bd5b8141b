//! Drawing commits: mostly what actors send, sometimes what must be refused.

use bytes::Bytes;
use std::num::NonZeroU64;
use streamkeeper_protocol::stream::{
    Ancestor, Config, Expiry, Origin, Record, Retention, StreamId, StreamState,
};
use streamkeeper_protocol::{Batch, Offset, Producer, StreamName, StreamSeq, Timestamp, Ttl};
use streamkeeper_storage::Entry;
use uuid::Uuid;

use super::chance::Chance;
use super::model::States;
use crate::frame::{self, RecordFrame};

const NAMES: [&str; 8] = ["a", "a/b", "b", "c", "d", "e/1", "e/2", "z"];

/// Draws the commits of one batch, each upon those before it.
pub(super) fn batch(chance: &mut Chance, states: &States) -> Vec<Entry> {
    let mut ahead = states.clone();
    let count = if chance.one_in(3) { 1 } else { chance.between(1, 20) };
    let only = chance.one_in(3).then(|| chance.pick(&NAMES));
    let draw = |_| {
        let name = only.unwrap_or_else(|| chance.pick(&NAMES));
        let entry = entry(chance, &ahead, name);
        // Those that are refused change nothing.
        let _ = ahead.apply(&entry);
        entry
    };
    (0..count).map(draw).collect()
}

/// A commit that appends a message to a stream as it is.
pub(super) fn append(name: &StreamName, state: &StreamState, message: Bytes) -> Entry {
    let record = appended(Batch::one(message), None);
    Entry { name: name.clone(), id: state.id, follows: state.version, record }
}

pub(super) fn appended(batch: Option<Batch>, producer: Option<Producer>) -> Record {
    let at = Timestamp::from_millis(2);
    Record::Appended { batch, producer, seq: None, closes: false, at }
}

pub(super) fn created(id: StreamId, origin: Option<Origin>, batch: Option<Batch>) -> Record {
    let config = Config::default();
    let origin = origin.map(Box::new);
    Record::Created { id, config, origin, batch, closed: false, at: Timestamp::from_millis(1) }
}

pub(super) fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

fn entry(chance: &mut Chance, ahead: &States, text: &str) -> Entry {
    let name = name(text);
    let new = StreamId::new(Uuid::from_u128(chance.id()));
    let Some(state) = ahead.live.get(&name) else {
        if chance.one_in(8) {
            // Nobody knows of it.
            let follows = chance.below(3);
            return Entry { name, id: new, follows, record: appended(some(chance, ahead), None) };
        }
        return Entry { name, id: new, follows: 0, record: creation(chance, ahead, new) };
    };
    let entry = |record| Entry { name: name.clone(), id: state.id, follows: state.version, record };
    match chance.below(40) {
        // The name is taken, or so is the life, or it never was there at that version.
        0 => Entry { name, id: new, follows: 0, record: creation(chance, ahead, new) },
        1 => Entry { follows: 0, ..entry(created(state.id, None, None)) },
        2 => Entry { follows: chance.below(state.version), ..entry(append_record(chance, ahead)) },
        3 => Entry { follows: state.version + 1, ..entry(append_record(chance, ahead)) },
        4 | 5 => entry(Record::Touched { at: time(chance) }),
        6 | 7 => entry(Record::Truncated {
            before: chance.below(state.tail + 9),
            messages: chance.below(state.messages + 1),
        }),
        8 | 9 => entry(Record::ForkAdded { fork: new, keeps: state.earliest }),
        10 => entry(Record::ForkReleased { fork: new }),
        11 => entry(Record::SoftDeleted),
        12 | 13 => entry(Record::Deleted),
        14..=18 if !state.forks.is_empty() => {
            let forks: Vec<StreamId> = state.forks.keys().copied().collect();
            entry(Record::ForkReleased { fork: chance.pick(&forks) })
        }
        _ => entry(append_record(chance, ahead)),
    }
}

fn creation(chance: &mut Chance, ahead: &States, id: StreamId) -> Record {
    let origin = chance.one_in(4).then(|| origin(chance, ahead)).flatten();
    let batch = chance.one_in(2).then(|| some(chance, ahead)).flatten();
    let config =
        Config { expiry: expiry(chance), retention: retention(chance), ..Default::default() };
    let closed = chance.one_in(16);
    let origin = origin.map(Box::new);
    Record::Created { id, config, origin, batch, closed, at: time(chance) }
}

fn retention(chance: &mut Chance) -> Retention {
    let limit = |most| NonZeroU64::new(most);
    match chance.below(8) {
        0 => Retention { max_messages: limit(1 + chance.below(9)), ..Default::default() },
        1 => Retention { max_bytes: limit(1 + chance.below(999)), ..Default::default() },
        _ => Retention::default(),
    }
}

fn origin(chance: &mut Chance, ahead: &States) -> Option<Origin> {
    let sources: Vec<(&StreamName, &StreamState)> = ahead.live.iter().collect();
    let (source, state) = (!sources.is_empty()).then(|| chance.pick(&sources))?;
    let until = chance.below(state.tail + 1);
    let (source, source_id, anchor) = (source.clone(), state.id, Offset::new(until));
    let lineage = [Ancestor { id: source_id, until }].into();
    Some(Origin { source, source_id, anchor, sub_offset: 0, earliest: 0, lineage })
}

fn append_record(chance: &mut Chance, ahead: &States) -> Record {
    let closes = chance.one_in(30);
    let batch = if closes && chance.one_in(2) { None } else { some(chance, ahead) };
    let producer = chance.one_in(4).then(|| producer(chance)).flatten();
    let seq = chance.one_in(6).then(|| format!("s{}", chance.below(1000)));
    let seq = seq.and_then(|text| StreamSeq::parse(text.as_bytes()).ok());
    Record::Appended { batch, producer, seq, closes, at: time(chance) }
}

/// Messages: mostly one small one, sometimes several, a large one, or one that looks like the log.
fn some(chance: &mut Chance, ahead: &States) -> Option<Batch> {
    match chance.below(60) {
        0 => Batch::one(large(chance)),
        1..=6 => {
            let size = chance.between(400, 3000);
            Batch::one(chance.bytes(size))
        }
        7..=14 => {
            let lengths: Vec<u32> =
                (0..chance.between(2, 9)).map(|_| chance.between(1, 90) as u32).collect();
            let payload = chance.bytes(lengths.iter().map(|length| u64::from(*length)).sum());
            Batch::many(payload, lengths)
        }
        15..=17 => Batch::one(hostile(chance, ahead)),
        _ => {
            let size = chance.between(1, 120);
            Batch::one(chance.bytes(size))
        }
    }
}

fn large(chance: &mut Chance) -> Bytes {
    let size = if chance.one_in(8) { 200_000 } else { 40_000 };
    let size = chance.between(8_000, size);
    chance.bytes(size)
}

/// A message that is made of frames: a mark that vouches for everything, and records nobody wrote.
fn hostile(chance: &mut Chance, ahead: &States) -> Bytes {
    let filler = chance.below(700);
    let mut bytes = chance.bytes(filler).to_vec();
    let mut forge = |encode: &dyn Fn(&mut Vec<u8>)| {
        let at = bytes.len();
        encode(&mut bytes);
        frame::seal(&mut bytes[at..], frame::NO_SALT);
    };
    forge(&|bytes| frame::encode_mark(bytes, 1 << 40));
    let forged = Batch::one(Bytes::from_static(b"forged"));
    for state in ahead.live.values() {
        let record = appended(forged.clone(), None);
        let (id, follows, position) = (state.id, state.version, state.tail);
        let frame = RecordFrame { id, follows, position, name: None, record };
        forge(&|bytes| frame::encode_record(bytes, &frame));
    }
    let id = StreamId::new(Uuid::from_u128(chance.id()));
    let (record, name) = (created(id, None, forged), Some(name("forged")));
    let frame = RecordFrame { id, follows: 0, position: 0, name, record };
    forge(&|bytes| frame::encode_record(bytes, &frame));
    bytes.into()
}

fn producer(chance: &mut Chance) -> Option<Producer> {
    let (id, epoch) = (format!("p{}", chance.below(3)), chance.below(5).to_string());
    let seq = chance.below(1000).to_string();
    Producer::parse(Some(id.as_bytes()), Some(epoch.as_bytes()), Some(seq.as_bytes())).ok()?
}

fn expiry(chance: &mut Chance) -> Expiry {
    match chance.below(4) {
        0 => Ttl::new(chance.below(99)).map_or(Expiry::Never, Expiry::Ttl),
        1 => Expiry::At(time(chance)),
        _ => Expiry::Never,
    }
}

fn time(chance: &mut Chance) -> Timestamp {
    Timestamp::from_millis(chance.below(1 << 40) as i64)
}

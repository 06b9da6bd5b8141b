//! Short words for values of the protocol.

use bytes::Bytes;
use streamkeeper_protocol::stream::{
    Append, Config, Create, Expiry, Origin, Record, StreamId, StreamState,
};
use streamkeeper_protocol::{
    Batch, ContentType, Producer, ProducerId, StreamName, StreamSeq, Timestamp, Ttl,
};
use uuid::Uuid;

pub(crate) fn id(life: u64) -> StreamId {
    StreamId::new(Uuid::from_u128(u128::from(life)))
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn ttl(seconds: u64) -> Expiry {
    Expiry::Ttl(Ttl::parse(seconds.to_string().as_bytes()).unwrap())
}

pub(crate) fn typed(text: &str) -> ContentType {
    ContentType::parse(text).unwrap()
}

pub(crate) fn seq(text: &str) -> StreamSeq {
    StreamSeq::parse(text.as_bytes()).unwrap()
}

pub(crate) fn producer(who: &str, epoch: u64, seq: u64) -> Producer {
    Producer { id: ProducerId::parse(who.as_bytes()).unwrap(), epoch, seq }
}

pub(crate) fn batch(text: &str) -> Option<Batch> {
    Batch::one(Bytes::copy_from_slice(text.as_bytes()))
}

/// An append of one message of text.
pub(crate) fn append(text: &str) -> Append {
    Append {
        content_type: Some(typed("text/plain")),
        batch: batch(text),
        producer: None,
        seq: None,
        close: false,
    }
}

/// A plain creation.
pub(crate) fn create() -> Create {
    Create {
        id: id(1),
        content_type: None,
        expiry: None,
        retention: None,
        closed: false,
        batch: None,
        fork: None,
    }
}

/// A creation's record.
pub(crate) fn created(life: u64, origin: Option<Origin>, batch: Option<Batch>) -> Record {
    let config = Config { content_type: typed("text/plain"), ..Default::default() };
    let origin = origin.map(Box::new);
    Record::Created { id: id(life), config, origin, batch, closed: false, at: at(0) }
}

/// The state that records lead to.
pub(crate) fn folded(records: &[Record]) -> StreamState {
    let mut state = None;
    records.iter().for_each(|record| StreamState::fold(&mut state, record));
    state.expect("the stream lives")
}

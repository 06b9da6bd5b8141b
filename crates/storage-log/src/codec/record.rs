//! Records, without their messages: those follow as they are, so that a read finds them in one piece.

use std::num::NonZeroU64;

use bytes::Bytes;
use streamkeeper_protocol::header::{Producer, ProducerId, StreamSeq};
use streamkeeper_protocol::stream::{Ancestor, Config, Expiry, Origin, Record, Retention};
use streamkeeper_protocol::{Batch, ContentType, Lengths, Offset, StreamName, Ttl};

use super::{Malformed, Reader, Writer};

const CREATED: u8 = 1;
const APPENDED: u8 = 2;
const TOUCHED: u8 = 3;
const TRUNCATED: u8 = 4;
const FORK_ADDED: u8 = 5;
const FORK_RELEASED: u8 = 6;
const SOFT_DELETED: u8 = 7;
const DELETED: u8 = 8;

/// Appends a record without its messages.
pub(crate) fn encode_record(buffer: &mut Vec<u8>, record: &Record) {
    let mut w = Writer(buffer);
    match record {
        Record::Created { id, config: c, origin, batch, closed, at } => {
            w.u8(CREATED);
            w.id(*id);
            config(&mut w, c);
            w.option(origin.as_deref(), self::origin);
            lengths(&mut w, batch.as_ref());
            w.bool(*closed);
            w.time(*at);
        }
        Record::Appended { batch, producer, seq, closes, at } => {
            w.u8(APPENDED);
            lengths(&mut w, batch.as_ref());
            w.option(producer.as_ref(), self::producer);
            w.option(seq.as_ref(), |w, seq| w.bytes(seq.as_bytes()));
            w.bool(*closes);
            w.time(*at);
        }
        Record::Touched { at } => {
            w.u8(TOUCHED);
            w.time(*at);
        }
        Record::Truncated { before, messages } => {
            w.u8(TRUNCATED);
            w.varint(*before);
            w.varint(*messages);
        }
        Record::ForkAdded { fork, keeps } => {
            w.u8(FORK_ADDED);
            w.id(*fork);
            w.varint(*keeps);
        }
        Record::ForkReleased { fork } => {
            w.u8(FORK_RELEASED);
            w.id(*fork);
        }
        Record::SoftDeleted => w.u8(SOFT_DELETED),
        Record::Deleted => w.u8(DELETED),
    }
}

/// Reads a record; its messages are `payload`, all of it.
pub(crate) fn decode_record(r: &mut Reader<'_>, payload: Bytes) -> Result<Record, Malformed> {
    let record = match r.u8()? {
        CREATED => Record::Created {
            id: r.id()?,
            config: read_config(r)?,
            origin: r.option(read_origin)?.map(Box::new),
            batch: read_batch(r, payload)?,
            closed: r.bool()?,
            at: r.time()?,
        },
        APPENDED => Record::Appended {
            batch: read_batch(r, payload)?,
            producer: r.option(read_producer)?,
            seq: r.option(read_seq)?,
            closes: r.bool()?,
            at: r.time()?,
        },
        TOUCHED => Record::Touched { at: r.time()? },
        TRUNCATED => Record::Truncated { before: r.varint()?, messages: r.varint()? },
        FORK_ADDED => Record::ForkAdded { fork: r.id()?, keeps: r.varint()? },
        FORK_RELEASED => Record::ForkReleased { fork: r.id()? },
        SOFT_DELETED => Record::SoftDeleted,
        DELETED => Record::Deleted,
        _ => return Err(Malformed("an unknown kind of record")),
    };
    Ok(record)
}

pub(super) fn config(w: &mut Writer<'_>, config: &Config) {
    w.bytes(config.content_type.as_str().as_bytes());
    match config.expiry {
        Expiry::Never => w.u8(0),
        Expiry::Ttl(ttl) => {
            w.u8(1);
            w.varint(ttl.seconds());
        }
        Expiry::At(at) => {
            w.u8(2);
            w.time(at);
        }
    }
    let Retention { max_age, max_messages, max_bytes } = config.retention;
    // Zero is no limit: a limit is never zero.
    w.varint(max_age.map_or(0, Ttl::seconds));
    w.varint(max_messages.map_or(0, NonZeroU64::get));
    w.varint(max_bytes.map_or(0, NonZeroU64::get));
}

pub(super) fn read_config(r: &mut Reader<'_>) -> Result<Config, Malformed> {
    let content_type = ContentType::parse(r.text()?);
    let content_type = content_type.map_err(|_| Malformed("not a content type"))?;
    let expiry = match r.u8()? {
        0 => Expiry::Never,
        1 => Expiry::Ttl(Ttl::new(r.varint()?).map_err(|_| Malformed("not a TTL"))?),
        2 => Expiry::At(r.time()?),
        _ => return Err(Malformed("an unknown kind of expiry")),
    };
    let max_age = match r.varint()? {
        0 => None,
        seconds => Some(Ttl::new(seconds).map_err(|_| Malformed("not an age"))?),
    };
    let max_messages = NonZeroU64::new(r.varint()?);
    let max_bytes = NonZeroU64::new(r.varint()?);
    let retention = Retention { max_age, max_messages, max_bytes };
    Ok(Config { content_type, expiry, retention })
}

pub(super) fn origin(w: &mut Writer<'_>, origin: &Origin) {
    w.bytes(origin.source.as_str().as_bytes());
    w.id(origin.source_id);
    w.varint(origin.anchor.position());
    w.varint(origin.sub_offset);
    w.varint(origin.earliest);
    w.varint(origin.lineage.len() as u64);
    for ancestor in origin.lineage.iter() {
        w.id(ancestor.id);
        w.varint(ancestor.until);
    }
}

pub(super) fn read_origin(r: &mut Reader<'_>) -> Result<Origin, Malformed> {
    let source = read_name(r)?;
    let source_id = r.id()?;
    let anchor = Offset::new(r.varint()?);
    let sub_offset = r.varint()?;
    let earliest = r.varint()?;
    let count = r.count()?;
    let lineage = (0..count).map(|_| Ok(Ancestor { id: r.id()?, until: r.varint()? }));
    let lineage: Vec<Ancestor> = lineage.collect::<Result<_, Malformed>>()?;
    Ok(Origin { source, source_id, anchor, sub_offset, earliest, lineage: lineage.into() })
}

pub(crate) fn read_name(r: &mut Reader<'_>) -> Result<StreamName, Malformed> {
    StreamName::new(r.text()?).map_err(|_| Malformed("not a stream name"))
}

pub(super) fn producer(w: &mut Writer<'_>, producer: &Producer) {
    w.bytes(producer.id.as_str().as_bytes());
    w.varint(producer.epoch);
    w.varint(producer.seq);
}

pub(super) fn read_producer(r: &mut Reader<'_>) -> Result<Producer, Malformed> {
    let id = ProducerId::parse(r.bytes()?).map_err(|_| Malformed("not a producer id"))?;
    Ok(Producer { id, epoch: r.varint()?, seq: r.varint()? })
}

pub(super) fn read_seq(r: &mut Reader<'_>) -> Result<StreamSeq, Malformed> {
    StreamSeq::parse(r.bytes()?).map_err(|_| Malformed("not a Stream-Seq"))
}

/// 0: no messages; 1: one, all of the payload; n: n lengths follow.
fn lengths(w: &mut Writer<'_>, batch: Option<&Batch>) {
    match batch.map(Batch::lengths) {
        None => w.varint(0),
        Some(Lengths::One) => w.varint(1),
        Some(Lengths::Many(lengths)) => {
            w.varint(lengths.len() as u64);
            lengths.iter().for_each(|length| w.varint(u64::from(*length)));
        }
    }
}

fn read_batch(r: &mut Reader<'_>, payload: Bytes) -> Result<Option<Batch>, Malformed> {
    let invalid = Malformed("the messages do not add up");
    match r.count()? {
        0 => Ok(None),
        1 => Batch::one(payload).map(Some).ok_or(invalid),
        count => {
            let lengths = (0..count).map(|_| u32::try_from(r.varint()?).map_err(|_| invalid));
            let lengths = lengths.collect::<Result<Vec<u32>, Malformed>>()?;
            Batch::many(payload, lengths).map(Some).ok_or(invalid)
        }
    }
}

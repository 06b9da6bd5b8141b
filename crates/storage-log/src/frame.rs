//! Frames: what a journal is made of. One record of one stream, or a mark.
//!
//! ```text
//! offset  size
//!      0     4  n, the length of the body
//!      4     4  CRC-32C of the salt, the four length bytes and the body
//!      8     n  body
//!
//! body of a mark:    0x00, varint: up to where the file was durable when the mark was written
//! body of a record:  0x01, id of the stream (16), varint: version that it follows,
//!                    varint: position of its first message, varint: length of the header, header
//!                    (for a creation: the name; then the record), messages
//! ```

use bytes::Bytes;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId};

use crate::codec::{self, Malformed, Reader, Writer, decode_record, read_name};
use crate::crc32c;

/// The length and the checksum before each body.
pub(crate) const HEADER_BYTES: usize = 8;

/// No body is larger: a length beyond it is damage.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 31;

const MARK: u8 = 0;
const RECORD: u8 = 1;

/// One record of one stream, as the journal holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordFrame {
    pub(crate) id: StreamId,
    /// The version that the record follows.
    pub(crate) follows: u64,
    /// The position of the record's first message.
    pub(crate) position: u64,
    /// The name of the stream, in its creation.
    pub(crate) name: Option<StreamName>,
    pub(crate) record: Record,
}

/// What a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Everything before this offset was durable when the mark was written.
    Mark(u64),
    Record(RecordFrame),
}

/// What the checksums of a file begin with: a random number that no client knows, and the offset of the
/// frame. So no message that a client sends is ever taken for a frame, nor a frame for one elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    /// The checksum to begin with for the frame at an offset.
    pub(crate) fn at(self, offset: u64) -> u32 {
        crc32c::append(crc32c::of(&self.0.to_le_bytes()), &offset.to_le_bytes())
    }
}

/// What checksums begin with where frames are never looked for, only read where they are known to be.
pub(crate) const NO_SALT: u32 = 0;

/// Appends a frame that is a mark, to be sealed.
pub(crate) fn encode_mark(buffer: &mut Vec<u8>, durable: u64) {
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    buffer.push(MARK);
    Writer(buffer).varint(durable);
}

/// Appends a frame that is a record, to be sealed.
pub(crate) fn encode_record(buffer: &mut Vec<u8>, frame: &RecordFrame) {
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    let mut w = Writer(buffer);
    w.u8(RECORD);
    w.id(frame.id);
    w.varint(frame.follows);
    w.varint(frame.position);
    let header = buffer.len();
    Writer(buffer).option(frame.name.as_ref(), |w, name| w.bytes(name.as_str().as_bytes()));
    codec::encode_record(buffer, &frame.record);
    // The length of the header is known only now, and belongs before it.
    let end = buffer.len();
    Writer(buffer).varint((end - header) as u64);
    let length = buffer.len() - end;
    buffer[header..].rotate_right(length);
    buffer.extend_from_slice(frame.record.batch().map_or(&[], |batch| batch.payload()));
}

/// Puts length and checksum before a body.
pub(crate) fn seal_body(body: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER_BYTES + body.len());
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    buffer.extend_from_slice(body);
    seal(&mut buffer, NO_SALT);
    buffer
}

/// Length and checksum of a body that is in two pieces.
pub(crate) fn header_of(first: &[u8], rest: &[u8]) -> [u8; HEADER_BYTES] {
    let length = ((first.len() + rest.len()) as u32).to_le_bytes();
    let crc = crc32c::append(checksum(NO_SALT, length, first), rest);
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&length);
    header[4..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The body of a frame, if the frame is whole and nothing follows it.
pub(crate) fn unseal(framed: &Bytes) -> Option<Bytes> {
    is_whole(framed).then(|| framed.slice(HEADER_BYTES..))
}

/// Whether the bytes are one intact frame and nothing else.
pub(crate) fn is_whole(framed: &[u8]) -> bool {
    framed.split_first_chunk().is_some_and(|(header, body)| {
        body_length(*header) == Some(body.len()) && is_intact(*header, body, NO_SALT)
    })
}

/// Fills in the length and the checksum of a frame that is all of the buffer.
pub(crate) fn seal(buffer: &mut [u8], salt: u32) {
    let length = ((buffer.len() - HEADER_BYTES) as u32).to_le_bytes();
    let crc = checksum(salt, length, &buffer[HEADER_BYTES..]);
    buffer[..4].copy_from_slice(&length);
    buffer[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Covers the length too, so that a run of zeros is no frame.
fn checksum(salt: u32, length: [u8; 4], body: &[u8]) -> u32 {
    crc32c::append(crc32c::append(salt, &length), body)
}

/// The length of the body that a frame header announces; `None` if there can be no such frame.
pub(crate) fn body_length(header: [u8; HEADER_BYTES]) -> Option<usize> {
    let [a, b, c, d, ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    (length > 0 && length <= MAX_BODY_BYTES).then_some(length)
}

/// Whether the body is the one that the header announces.
pub(crate) fn is_intact(header: [u8; HEADER_BYTES], body: &[u8], salt: u32) -> bool {
    let [a, b, c, d, e, f, g, h] = header;
    checksum(salt, [a, b, c, d], body) == u32::from_le_bytes([e, f, g, h])
}

/// Reads the body of an intact frame; the messages share its bytes.
pub(crate) fn decode(body: &Bytes) -> Result<Frame, Malformed> {
    let mut r = Reader(body);
    match r.u8()? {
        MARK => {
            let durable = r.varint()?;
            r.finish()?;
            Ok(Frame::Mark(durable))
        }
        RECORD => {
            let (id, follows, position) = (r.id()?, r.varint()?, r.varint()?);
            let mut header = Reader(r.bytes()?);
            let name = header.option(read_name)?;
            let payload = body.slice(body.len() - r.0.len()..);
            let record = decode_record(&mut header, payload)?;
            header.finish()?;
            Ok(Frame::Record(RecordFrame { id, follows, position, name, record }))
        }
        _ => Err(Malformed("an unknown kind of frame")),
    }
}

/// Whether a body can be one, as far as its first bytes tell.
pub(crate) fn is_plausible(body: &[u8]) -> bool {
    let mut r = Reader(body);
    match r.u8() {
        Ok(MARK) => r.varint().is_ok() && r.0.is_empty(),
        Ok(RECORD) => {
            let header = r.id().and(r.varint()).and(r.varint()).and(r.bytes());
            header.is_ok_and(|header| matches!(header.first(), Some(0 | 1)))
        }
        _ => false,
    }
}

/// The stream that a body names, which may be damaged elsewhere.
pub(crate) fn stream_id(body: &[u8]) -> Option<StreamId> {
    let mut r = Reader(body);
    match r.u8() {
        Ok(RECORD) => r.id().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use streamkeeper_protocol::stream::{Ancestor, Config, Expiry, Origin, Retention, StreamState};
    use streamkeeper_protocol::{Batch, ContentType, Offset, Producer, StreamSeq, Timestamp, Ttl};
    use uuid::Uuid;

    fn id() -> impl Strategy<Value = StreamId> {
        any::<u128>().prop_map(|bits| StreamId::new(Uuid::from_u128(bits)))
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        any::<i64>().prop_map(Timestamp::from_millis)
    }

    fn batch() -> impl Strategy<Value = Option<Batch>> {
        let messages = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6);
        messages.prop_map(|messages| {
            let lengths = messages.iter().map(|message| message.len() as u32).collect();
            Batch::many(messages.concat().into(), lengths)
        })
    }

    fn producer() -> impl Strategy<Value = Producer> {
        ("[a-z]{1,9}", 0u64..1 << 53, 0u64..1 << 53).prop_map(|(id, epoch, seq)| {
            let (epoch, seq) = (epoch.to_string(), seq.to_string());
            Producer::parse(Some(id.as_bytes()), Some(epoch.as_bytes()), Some(seq.as_bytes()))
                .unwrap()
                .unwrap()
        })
    }

    fn expiry() -> impl Strategy<Value = Expiry> {
        prop_oneof![
            Just(Expiry::Never),
            (0u64..99).prop_map(|seconds| Expiry::Ttl(Ttl::new(seconds).unwrap())),
            time().prop_map(Expiry::At),
        ]
    }

    fn origin() -> impl Strategy<Value = Origin> {
        let lineage = prop::collection::vec((id(), any::<u64>()), 0..4);
        (id(), any::<u64>(), any::<u64>(), lineage).prop_map(|(id, anchor, sub_offset, lineage)| {
            Origin {
                source: StreamName::new("the/source").unwrap(),
                source_id: id,
                anchor: Offset::new(anchor),
                sub_offset,
                earliest: sub_offset / 2,
                lineage: lineage.into_iter().map(|(id, until)| Ancestor { id, until }).collect(),
            }
        })
    }

    fn record() -> impl Strategy<Value = Record> {
        let text = ContentType::parse("text/plain; charset=utf-8").unwrap();
        prop_oneof![
            (id(), expiry(), prop::option::of(origin()), batch(), any::<bool>(), time()).prop_map(
                move |(id, expiry, origin, batch, closed, at)| Record::Created {
                    id,
                    config: Config {
                        content_type: text.clone(),
                        expiry,
                        retention: Retention {
                            max_bytes: std::num::NonZeroU64::new(u64::from(closed) * 7),
                            ..Default::default()
                        },
                    },
                    origin: origin.map(Box::new),
                    batch,
                    closed,
                    at,
                }
            ),
            (batch(), prop::option::of(producer()), any::<bool>(), time()).prop_map(
                |(batch, producer, closes, at)| Record::Appended {
                    batch,
                    producer,
                    seq: StreamSeq::parse(b"seq-1").ok().filter(|_| closes),
                    closes,
                    at,
                }
            ),
            time().prop_map(|at| Record::Touched { at }),
            any::<(u64, u64)>()
                .prop_map(|(before, messages)| Record::Truncated { before, messages }),
            (id(), any::<u64>()).prop_map(|(fork, keeps)| Record::ForkAdded { fork, keeps }),
            id().prop_map(|fork| Record::ForkReleased { fork }),
            Just(Record::SoftDeleted),
            Just(Record::Deleted),
        ]
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let name = prop::option::of("[a-z/]{1,20}");
        prop_oneof![
            any::<u64>().prop_map(Frame::Mark),
            (id(), any::<u64>(), any::<u64>(), name, record()).prop_map(
                |(id, follows, position, name, record)| Frame::Record(RecordFrame {
                    id,
                    follows,
                    position,
                    name: name.map(|name| StreamName::new(&name).unwrap()),
                    record,
                })
            ),
        ]
    }

    fn encode(frame: &Frame) -> Vec<u8> {
        // Behind another one, as in a batch.
        let mut bytes = b"before".to_vec();
        match frame {
            Frame::Mark(durable) => encode_mark(&mut bytes, *durable),
            Frame::Record(record) => encode_record(&mut bytes, record),
        }
        let mut bytes = bytes.split_off(6);
        seal(&mut bytes, Salt(7).at(99));
        bytes
    }

    fn open(bytes: &[u8]) -> Option<Frame> {
        let header: [u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        let body = bytes.get(HEADER_BYTES..HEADER_BYTES + body_length(header)?)?;
        is_intact(header, body, Salt(7).at(99))
            .then(|| decode(&Bytes::copy_from_slice(body)).ok())
            .flatten()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frame in frame()) {
            prop_assert_eq!(open(&encode(&frame)), Some(frame));
        }

        #[test]
        fn a_changed_bit_is_noticed(frame in frame(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = encode(&frame);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert_eq!(open(&bytes), None);
        }

        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&Bytes::from(bytes.clone()));
            let _ = crate::codec::decode_state(&bytes);
        }

        #[test]
        fn states_are_written_and_read(records in prop::collection::vec(record(), 1..20)) {
            let mut state = None;
            for record in &records {
                // Lengths far beyond any stream would overflow; they are tested in frames.
                let small = !matches!(record, Record::Created { origin: Some(_), .. });
                if small {
                    StreamState::fold(&mut state, record);
                }
                if let Some(state) = &state {
                    let bytes = crate::codec::encode_state(state);
                    prop_assert_eq!(crate::codec::decode_state(&bytes), Ok(state.clone()));
                }
            }
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(open(&[0; 64]), None);
    }
}

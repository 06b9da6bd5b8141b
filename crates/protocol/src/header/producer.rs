//! `Producer-Id`, `Producer-Epoch` and `Producer-Seq`: who appends (PROTOCOL.md section 5.2.1).

use std::fmt;
use std::sync::Arc;

use super::decimal::decimal;

/// The longest producer id, in bytes: the state of a stream holds every one of them.
pub const MAX_PRODUCER_ID_BYTES: usize = 256;

/// The largest epoch and the largest sequence number: 2^53-1, the largest that JavaScript counts to.
pub const MAX_PRODUCER_NUMBER: u64 = (1 << 53) - 1;

/// The name of a producer: 1 to 256 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(Arc<str>);

/// One append of a producer: its place in the producer's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// Who appends.
    pub id: ProducerId,
    /// The session, counted by the producer; at most [`MAX_PRODUCER_NUMBER`].
    pub epoch: u64,
    /// The number of the append within its session, from zero; at most [`MAX_PRODUCER_NUMBER`].
    pub seq: u64,
}

/// Why values are not those of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProducer {
    /// Some of the three headers are missing.
    #[error("Producer-Id, Producer-Epoch and Producer-Seq must be given together or not at all")]
    Incomplete,
    /// The id is empty.
    #[error("Producer-Id must not be empty")]
    EmptyId,
    /// The id is longer than [`MAX_PRODUCER_ID_BYTES`].
    #[error("Producer-Id must be at most {MAX_PRODUCER_ID_BYTES} bytes long")]
    IdTooLong,
    /// The id is not UTF-8, or holds a control character.
    #[error("Producer-Id must be UTF-8 text without control characters")]
    IdNotText,
    /// The epoch is not a whole number, or too large.
    #[error("Producer-Epoch must be a whole number from 0 to {MAX_PRODUCER_NUMBER}")]
    Epoch,
    /// The sequence number is not a whole number, or too large.
    #[error("Producer-Seq must be a whole number from 0 to {MAX_PRODUCER_NUMBER}")]
    Seq,
}

impl ProducerId {
    /// Parses a header value.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidProducer> {
        if value.is_empty() {
            return Err(InvalidProducer::EmptyId);
        }
        if value.len() > MAX_PRODUCER_ID_BYTES {
            return Err(InvalidProducer::IdTooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| InvalidProducer::IdNotText)?;
        if text.chars().any(char::is_control) {
            return Err(InvalidProducer::IdNotText);
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Producer {
    /// Parses the values of the three headers; `None` if there is none of them.
    pub fn parse(
        id: Option<&[u8]>,
        epoch: Option<&[u8]>,
        seq: Option<&[u8]>,
    ) -> Result<Option<Self>, InvalidProducer> {
        match (id, epoch, seq) {
            (None, None, None) => Ok(None),
            (Some(id), Some(epoch), Some(seq)) => Ok(Some(Self {
                id: ProducerId::parse(id)?,
                epoch: number(epoch).ok_or(InvalidProducer::Epoch)?,
                seq: number(seq).ok_or(InvalidProducer::Seq)?,
            })),
            _ => Err(InvalidProducer::Incomplete),
        }
    }
}

/// Leading zeros are allowed here: the protocol forbids them to `Stream-TTL` only.
fn number(value: &[u8]) -> Option<u64> {
    decimal(value).filter(|number| *number <= MAX_PRODUCER_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(id: &str, epoch: &str, seq: &str) -> Result<Option<Producer>, InvalidProducer> {
        Producer::parse(Some(id.as_bytes()), Some(epoch.as_bytes()), Some(seq.as_bytes()))
    }

    #[test]
    fn three_headers_make_a_producer() {
        let producer = parse("order-service 1", "0", "9007199254740991").unwrap().unwrap();
        assert_eq!(producer.id.as_str(), "order-service 1");
        assert_eq!((producer.epoch, producer.seq), (0, MAX_PRODUCER_NUMBER));
        assert_eq!(Producer::parse(None, None, None), Ok(None));
    }

    #[test]
    fn the_headers_come_together() {
        let value = Some(&b"1"[..]);
        for (id, epoch, seq) in [
            (value, None, None),
            (None, value, None),
            (None, None, value),
            (value, value, None),
            (value, None, value),
            (None, value, value),
        ] {
            assert_eq!(Producer::parse(id, epoch, seq), Err(InvalidProducer::Incomplete));
        }
    }

    #[test]
    fn ids_are_text() {
        assert_eq!(parse("", "0", "0"), Err(InvalidProducer::EmptyId));
        assert_eq!(parse("a\tb", "0", "0"), Err(InvalidProducer::IdNotText));
        assert_eq!(ProducerId::parse(b"\xff"), Err(InvalidProducer::IdNotText));
        assert!(ProducerId::parse(&[b'x'; MAX_PRODUCER_ID_BYTES]).is_ok());
        let long = [b'x'; MAX_PRODUCER_ID_BYTES + 1];
        assert_eq!(ProducerId::parse(&long), Err(InvalidProducer::IdTooLong));
    }

    #[test]
    fn numbers_are_whole_and_bounded() {
        for bad in ["", "-1", "+1", "0xyz", "1e3", "1.0", " 1", "9007199254740992"] {
            assert_eq!(parse("p", bad, "0"), Err(InvalidProducer::Epoch), "{bad:?}");
            assert_eq!(parse("p", "0", bad), Err(InvalidProducer::Seq), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(
            id: Option<Vec<u8>>,
            epoch: Option<Vec<u8>>,
            seq in prop::option::of("[0-9]*"),
        ) {
            let seq = seq.as_ref().map(|digits| digits.as_bytes());
            let _ = Producer::parse(id.as_deref(), epoch.as_deref(), seq);
        }
    }
}

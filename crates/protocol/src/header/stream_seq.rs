//! `Stream-Seq`: the sequence number that a writer chooses (PROTOCOL.md section 5.2).

use std::fmt;
use std::sync::Arc;

/// The longest sequence number, in bytes: the state of every stream holds one.
pub const MAX_STREAM_SEQ_BYTES: usize = 256;

/// An opaque sequence number of 1 to [`MAX_STREAM_SEQ_BYTES`] bytes, ordered byte by byte. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamSeq(Arc<[u8]>);

/// Why a value is not a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStreamSeq {
    /// The value is empty.
    #[error("Stream-Seq must not be empty")]
    Empty,
    /// Longer than [`MAX_STREAM_SEQ_BYTES`].
    #[error("Stream-Seq must be at most {MAX_STREAM_SEQ_BYTES} bytes long")]
    TooLong,
}

impl StreamSeq {
    /// Parses a header value.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidStreamSeq> {
        if value.is_empty() {
            return Err(InvalidStreamSeq::Empty);
        }
        if value.len() > MAX_STREAM_SEQ_BYTES {
            return Err(InvalidStreamSeq::TooLong);
        }
        Ok(Self(value.into()))
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for StreamSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for StreamSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_length_is_bounded() {
        assert_eq!(StreamSeq::parse(b""), Err(InvalidStreamSeq::Empty));
        assert!(StreamSeq::parse(&[b'9'; MAX_STREAM_SEQ_BYTES]).is_ok());
        let long = [b'9'; MAX_STREAM_SEQ_BYTES + 1];
        assert_eq!(StreamSeq::parse(&long), Err(InvalidStreamSeq::TooLong));
    }

    #[test]
    fn the_order_is_that_of_bytes_not_of_numbers() {
        let seq = |text: &str| StreamSeq::parse(text.as_bytes()).unwrap();
        assert!(seq("2") > seq("10") && seq("Z") < seq("a") && seq("a") < seq("aa"));
        assert_eq!(format!("{:?}", StreamSeq::parse(b"a\xff").unwrap()), r#""a\xff""#);
    }

    proptest! {
        #[test]
        fn bytes_are_kept_and_ordered(
            a in prop::collection::vec(any::<u8>(), 1..=MAX_STREAM_SEQ_BYTES),
            b in prop::collection::vec(any::<u8>(), 1..=MAX_STREAM_SEQ_BYTES),
        ) {
            let (x, y) = (StreamSeq::parse(&a).unwrap(), StreamSeq::parse(&b).unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.as_bytes(), a);
        }
    }
}

//! `Stream-Fork-Sub-Offset`: how far past its offset a fork diverges (PROTOCOL.md section 4.2).

use super::decimal::canonical_decimal;

/// The largest sub-offset: the largest position that an offset can name, so that an offset plus a
/// sub-offset cannot overflow.
pub const MAX_SUB_OFFSET: u64 = 9_999_999_999_999_999;

/// Messages of a JSON stream, or bytes of any other, past the fork offset. Zero by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SubOffset(u64);

/// Why a value is not a sub-offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubOffset {
    /// Not a whole number in plain decimal notation.
    #[error("Stream-Fork-Sub-Offset must be a whole number: digits only, no leading zeros")]
    NotDecimal,
    /// Larger than [`MAX_SUB_OFFSET`].
    #[error("Stream-Fork-Sub-Offset must be at most {MAX_SUB_OFFSET}")]
    TooLarge,
}

impl SubOffset {
    /// At the fork offset itself.
    pub const ZERO: Self = Self(0);

    /// A sub-offset of so many messages or bytes.
    pub fn new(count: u64) -> Result<Self, InvalidSubOffset> {
        if count > MAX_SUB_OFFSET {
            return Err(InvalidSubOffset::TooLarge);
        }
        Ok(Self(count))
    }

    /// Parses a header value.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidSubOffset> {
        canonical_decimal(value).ok_or(InvalidSubOffset::NotDecimal).and_then(Self::new)
    }

    /// The number of messages or bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_numbers_are_read() {
        assert_eq!(SubOffset::parse(b"0"), Ok(SubOffset::default()));
        assert_eq!(SubOffset::parse(b"17").map(SubOffset::get), Ok(17));
    }

    #[test]
    fn other_values_are_refused() {
        for bad in ["", "-1", "+1", "01", "1.5", "abc", "1e3"] {
            let parsed = SubOffset::parse(bad.as_bytes());
            assert_eq!(parsed, Err(InvalidSubOffset::NotDecimal), "{bad:?}");
        }
        let large = SubOffset::parse(b"18446744073709551616");
        assert_eq!(large, Err(InvalidSubOffset::TooLarge));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(value: Vec<u8>) {
            let _ = SubOffset::parse(&value);
        }
    }
}

//! Offsets: the tokens that name a position in a stream (PROTOCOL.md section 8).

use std::fmt::{self, Write};
use std::str::FromStr;

/// Digits in each half of an offset token.
const HALF: usize = 16;
/// The length of a token.
const TOKEN_BYTES: usize = 2 * HALF + 1;
/// The largest position whose token still has sixteen digits.
pub(crate) const MAX_POSITION: u64 = 9_999_999_999_999_999;

/// A position in a stream, in bytes from its beginning.
///
/// Its token is `\d{16}_\d{16}`: a zero epoch, then the position, both decimal and zero-padded so
/// that tokens sort as positions do. A fork shares the offsets of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u64);

/// Why a token is not an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an offset is 16 digits, an underscore and 16 digits, or one of -1 and now")]
pub struct InvalidOffset;

impl Offset {
    /// The position before any data.
    pub const ZERO: Self = Self(0);

    /// The offset of a position in bytes.
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The position in bytes.
    pub const fn position(self) -> u64 {
        self.0
    }

    /// The token, as ASCII. Every response has one, so this takes no formatting machinery.
    pub fn token(self) -> [u8; TOKEN_BYTES] {
        let mut token = [b'0'; TOKEN_BYTES];
        token[HALF] = b'_';
        let mut rest = self.0.min(MAX_POSITION);
        for pair in token[HALF + 1..].chunks_exact_mut(2).rev() {
            let digits = (rest % 100) as u8;
            pair.copy_from_slice(&[b'0' + digits / 10, b'0' + digits % 10]);
            rest /= 100;
        }
        token
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.token().iter().try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(token: &str) -> Result<Self, InvalidOffset> {
        let bytes = token.as_bytes();
        let well_formed = bytes.len() == TOKEN_BYTES
            && bytes.iter().enumerate().all(|(i, b)| match i {
                HALF => *b == b'_',
                _ => b.is_ascii_digit(),
            });
        if !well_formed {
            return Err(InvalidOffset);
        }
        let number = |digits: &[u8]| {
            digits.iter().fold(0, |number: u64, digit| number * 10 + u64::from(*digit - b'0'))
        };
        let (epoch, position) = (number(&bytes[..HALF]), number(&bytes[HALF + 1..]));
        // We mint no epoch but zero, so a later one is past everything we hold.
        Ok(Self(if epoch == 0 { position } else { MAX_POSITION }))
    }
}

/// Where a read begins: the `offset` query parameter, sentinels included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// `-1`, or no offset at all: the earliest data that is kept.
    Start,
    /// `now`: the tail at the time of the request.
    Now,
    /// A token that an earlier response returned.
    At(Offset),
}

impl FromStr for ReadFrom {
    type Err = InvalidOffset;

    fn from_str(token: &str) -> Result<Self, InvalidOffset> {
        match token {
            "-1" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            _ => token.parse().map(Self::At),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_are_two_padded_decimal_halves() {
        assert_eq!(Offset::new(42).to_string(), "0000000000000000_0000000000000042");
        assert_eq!("0000000000000000_0000000000000042".parse(), Ok(Offset::new(42)));
        assert_eq!("-1".parse(), Ok(ReadFrom::Start));
        assert_eq!("now".parse(), Ok(ReadFrom::Now));
    }

    #[test]
    fn other_tokens_are_refused() {
        for bad in [
            "",
            "0",
            "-2",
            "NOW",
            "0000000000000000_000000000000004",
            "a,b",
            "1_2",
            "..",
            "0000000000000000-0000000000000042",
            "0000000000000000_000000000000004\n",
            "+000000000000000_0000000000000042",
            "0000000000000000_00000000000000421",
            "\u{0661}000000000000000_0000000000000000",
        ] {
            assert_eq!(bad.parse::<ReadFrom>(), Err(InvalidOffset), "{bad:?}");
        }
    }

    #[test]
    fn a_foreign_epoch_lies_past_every_tail() {
        let offset: Offset = "0000000000000001_0000000000000000".parse().unwrap();
        assert!(offset > Offset::new(1 << 50));
    }

    proptest! {
        #[test]
        fn tokens_sort_as_positions(a in 0..=MAX_POSITION, b in 0..=MAX_POSITION) {
            let (x, y) = (Offset::new(a), Offset::new(b));
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
            prop_assert_eq!(x.to_string().parse::<Offset>(), Ok(x));
        }

        #[test]
        fn parsing_never_panics(token in ".*") {
            let _ = token.parse::<ReadFrom>();
        }
    }
}

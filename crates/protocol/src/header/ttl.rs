//! `Stream-TTL`: for how long a stream may be idle (PROTOCOL.md section 5.1).

use std::fmt;
use std::time::Duration;

use super::decimal::canonical_decimal;

/// The longest time to live, in seconds: a hundred years, so that no deadline can overflow.
pub const MAX_TTL_SECONDS: u64 = 3_155_760_000;

/// A sliding time to live: 0 to [`MAX_TTL_SECONDS`] seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u64);

/// Why a value is not a time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTtl {
    /// Not a whole number in plain decimal notation.
    #[error("Stream-TTL must be a whole number of seconds: digits only, no leading zeros")]
    NotDecimal,
    /// Longer than [`MAX_TTL_SECONDS`].
    #[error("Stream-TTL must be at most {MAX_TTL_SECONDS} seconds")]
    TooLong,
}

impl Ttl {
    /// A time to live in seconds.
    pub fn new(seconds: u64) -> Result<Self, InvalidTtl> {
        if seconds > MAX_TTL_SECONDS {
            return Err(InvalidTtl::TooLong);
        }
        Ok(Self(seconds))
    }

    /// Parses a header value.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidTtl> {
        canonical_decimal(value).ok_or(InvalidTtl::NotDecimal).and_then(Self::new)
    }

    /// The time to live in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The time to live as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_seconds_are_read() {
        assert_eq!(Ttl::parse(b"0").map(Ttl::seconds), Ok(0));
        assert_eq!(Ttl::parse(b"3600").map(Ttl::duration), Ok(Duration::from_secs(3600)));
        assert_eq!(Ttl::parse(b"3155760000").map(Ttl::seconds), Ok(MAX_TTL_SECONDS));
    }

    #[test]
    fn other_notations_are_refused() {
        for bad in ["", "abc", "-1", "+60", "00060", "60.5", "1e3", " 60", "0x3c", "00"] {
            assert_eq!(Ttl::parse(bad.as_bytes()), Err(InvalidTtl::NotDecimal), "{bad:?}");
        }
    }

    #[test]
    fn a_ttl_that_would_overflow_is_refused() {
        for long in ["3155760001", "9223372036854775807", "99999999999999999999999999"] {
            assert_eq!(Ttl::parse(long.as_bytes()), Err(InvalidTtl::TooLong), "{long:?}");
        }
    }

    proptest! {
        #[test]
        fn a_ttl_is_read_as_it_is_written(seconds in 0..=MAX_TTL_SECONDS) {
            let ttl = Ttl::new(seconds).unwrap();
            prop_assert_eq!(Ttl::parse(ttl.to_string().as_bytes()), Ok(ttl));
        }

        #[test]
        fn parsing_never_panics(value: Vec<u8>) {
            let _ = Ttl::parse(&value);
        }
    }
}

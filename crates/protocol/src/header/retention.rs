//! `Stream-Retention-*`, our extension: how much of a stream is kept.

use std::num::NonZeroU64;

use super::decimal::canonical_decimal;
use super::ttl::{MAX_TTL_SECONDS, Ttl};

/// Why a value is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRetention {
    /// Not a positive whole number in plain decimal notation.
    #[error("a retention limit must be a whole number from 1 on: digits only, no leading zeros")]
    NotPositive,
    /// An age beyond [`MAX_TTL_SECONDS`].
    #[error("Stream-Retention-Max-Age must be at most {MAX_TTL_SECONDS} seconds")]
    TooLong,
}

/// Parses `Stream-Retention-Max-Messages` or `Stream-Retention-Max-Bytes`.
pub fn retention_limit(value: &[u8]) -> Result<NonZeroU64, InvalidRetention> {
    let number = canonical_decimal(value).and_then(NonZeroU64::new);
    number.ok_or(InvalidRetention::NotPositive)
}

/// Parses `Stream-Retention-Max-Age`, in seconds.
pub fn retention_age(value: &[u8]) -> Result<Ttl, InvalidRetention> {
    let seconds = retention_limit(value)?;
    Ttl::new(seconds.get()).map_err(|_| InvalidRetention::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_numbers_are_limits() {
        assert_eq!(retention_limit(b"1").map(NonZeroU64::get), Ok(1));
        assert_eq!(retention_age(b"3155760000").map(Ttl::seconds), Ok(MAX_TTL_SECONDS));
        for long in ["3155760001", "99999999999999999999999"] {
            assert_eq!(retention_age(long.as_bytes()), Err(InvalidRetention::TooLong), "{long}");
        }
        for bad in ["", "0", "-1", "+1", "01", "1.5", "1e3", " 1", "x"] {
            assert_eq!(
                retention_limit(bad.as_bytes()),
                Err(InvalidRetention::NotPositive),
                "{bad}"
            );
            assert_eq!(retention_age(bad.as_bytes()), Err(InvalidRetention::NotPositive), "{bad}");
        }
    }
}

//! `Stream-Expires-At`: when a stream expires (PROTOCOL.md section 5.1).

use crate::Timestamp;

/// Why a value is not an expiry time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Stream-Expires-At must be an RFC 3339 timestamp, such as 2030-01-31T12:00:00Z")]
pub struct InvalidExpiresAt;

/// Parses a `Stream-Expires-At` value. A time in the past is valid: such a stream is gone at once.
pub fn expires_at(value: &[u8]) -> Result<Timestamp, InvalidExpiresAt> {
    let text = std::str::from_utf8(value).map_err(|_| InvalidExpiresAt)?;
    Timestamp::parse_rfc3339(text).map_err(|_| InvalidExpiresAt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc3339_is_read() {
        let expected = Timestamp::parse_rfc3339("2030-01-31T12:00:00Z").unwrap();
        assert_eq!(expires_at(b"2030-01-31T14:00:00+02:00"), Ok(expected));
    }

    #[test]
    fn other_values_are_refused() {
        for bad in [&b""[..], b"tomorrow", b"1893456000", b"\xff\xfe"] {
            assert_eq!(expires_at(bad), Err(InvalidExpiresAt), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(value: Vec<u8>, text in "[0-9TZ:.+-]*") {
            let _ = expires_at(&value);
            let _ = expires_at(text.as_bytes());
        }
    }
}

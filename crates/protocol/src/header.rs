//! The values of request headers (PROTOCOL.md sections 4.1, 4.2, 5.1, 5.2): raw bytes in, types out.
//!
//! Every parser takes the value as it came, and no parser trims: HTTP has already done so.

mod decimal;
mod expires_at;
mod producer;
mod retention;
mod stream_seq;
mod sub_offset;
mod ttl;

pub use expires_at::{InvalidExpiresAt, expires_at};
pub use producer::{
    InvalidProducer, MAX_PRODUCER_ID_BYTES, MAX_PRODUCER_NUMBER, Producer, ProducerId,
};
pub use retention::{InvalidRetention, retention_age, retention_limit};
pub use stream_seq::{InvalidStreamSeq, MAX_STREAM_SEQ_BYTES, StreamSeq};
pub use sub_offset::{InvalidSubOffset, MAX_SUB_OFFSET, SubOffset};
pub use ttl::{InvalidTtl, MAX_TTL_SECONDS, Ttl};

/// Whether a `Stream-Closed` value says so: `true` in any case.
///
/// Any other value is as if the header were absent, never an error.
pub fn stream_closed(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_closes() {
        for value in [&b"true"[..], b"TRUE", b"True"] {
            assert!(stream_closed(value));
        }
        for value in [&b""[..], b"1", b"yes", b"false", b" true", b"truely", b"\xff"] {
            assert!(!stream_closed(value));
        }
    }
}

//! The names of the protocol's HTTP header fields, in lower case (PROTOCOL.md section 13.2).

/// Response: the offset that the next read begins at.
pub const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
/// Response: `true` when the response reaches the tail.
pub const STREAM_UP_TO_DATE: &str = "stream-up-to-date";
/// Request and response: `true` when the stream is to be, or is, closed.
pub const STREAM_CLOSED: &str = "stream-closed";
/// Response: the cursor to send with the next live read.
pub const STREAM_CURSOR: &str = "stream-cursor";
/// Request and response: the sliding time to live, in seconds.
pub const STREAM_TTL: &str = "stream-ttl";
/// Request and response: when the stream expires, in RFC 3339.
pub const STREAM_EXPIRES_AT: &str = "stream-expires-at";
/// Request: a sequence number that the writer chose, compared byte by byte.
pub const STREAM_SEQ: &str = "stream-seq";
/// Request: the path of the stream that is forked.
pub const STREAM_FORKED_FROM: &str = "stream-forked-from";
/// Request: the offset that a fork diverges at.
pub const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
/// Request: how far past the fork offset a fork diverges, in messages (JSON) or bytes.
pub const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";
/// Request: who appends idempotently.
pub const PRODUCER_ID: &str = "producer-id";
/// Request and response: the session of a producer.
pub const PRODUCER_EPOCH: &str = "producer-epoch";
/// Request and response: the number of an append within its session.
pub const PRODUCER_SEQ: &str = "producer-seq";
/// Response: the sequence number that was due.
pub const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
/// Response: the sequence number that came instead.
pub const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";
/// Response: `base64` when SSE data events are encoded so.
pub const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
/// Request and response, our extension: how old messages may be, in seconds.
pub const STREAM_RETENTION_MAX_AGE: &str = "stream-retention-max-age";
/// Request and response, our extension: how many messages are kept.
pub const STREAM_RETENTION_MAX_MESSAGES: &str = "stream-retention-max-messages";
/// Request and response, our extension: how many bytes are kept.
pub const STREAM_RETENTION_MAX_BYTES: &str = "stream-retention-max-bytes";
/// Response, our extension: the earliest offset that retention has kept.
pub const STREAM_EARLIEST_OFFSET: &str = "stream-earliest-offset";

//! What the Durable Streams protocol means.
//!
//! Pure: no clock, no I/O, no async. Times and random numbers are handed in. The specification is
//! PROTOCOL.md of the Durable Streams project; section numbers in these docs are its.

mod batch;
mod content_type;
mod cursor;
mod etag;
pub mod header;
pub mod header_name;
pub mod json;
mod name;
mod offset;
pub mod sse;
pub mod stream;
pub mod subscription;
mod timestamp;

pub use batch::{Batch, Lengths};
pub use content_type::{ContentType, InvalidContentType, MAX_CONTENT_TYPE_BYTES};
pub use cursor::Cursor;
pub use etag::ETag;
pub use header::{Producer, ProducerId, StreamSeq, SubOffset, Ttl};
pub use name::{InvalidName, MAX_NAME_BYTES, RESERVED_SEGMENT, StreamName};
pub use offset::{InvalidOffset, Offset, ReadFrom};
pub use sse::SseEncoding;
pub use timestamp::{InvalidTimestamp, Timestamp};

//! What the Durable Streams protocol means.
//!
//! Pure: no clock, no I/O, no async. Times and random numbers are handed in. The specification is
//! PROTOCOL.md of the Durable Streams project; section numbers in these docs are its.

mod batch;
mod name;
mod offset;
mod timestamp;

pub use batch::{Batch, Lengths};
pub use name::{InvalidName, MAX_NAME_BYTES, RESERVED_SEGMENT, StreamName};
pub use offset::{InvalidOffset, Offset, ReadFrom};
pub use timestamp::{InvalidTimestamp, Timestamp};

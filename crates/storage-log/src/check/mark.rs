//! Marks: a stream that has lost something keeps a state that the log refuses to serve.
//!
//! ```text
//! 0xda, varint length and text of the reason, the state up to the first gap
//! ```
//!
//! No state begins with this byte, so whatever opens the log answers `storage_corrupt` for the stream,
//! keeps the bytes as they are when it files and merges, and touches no other stream.

use streamkeeper_protocol::stream::StreamState;

use crate::codec::{self, Malformed, Reader};

const MARKED: u8 = 0xda;

/// What a filed segment says of the state of a stream.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) state: StreamState,
    /// Why it is marked as damaged, if it is.
    pub(crate) marked: Option<String>,
}

/// A state that is marked as damaged.
pub(crate) fn encode(reason: &str, state: &StreamState) -> Vec<u8> {
    codec::mark_corrupt(reason, &codec::encode_state(state)).into_vec()
}

/// Reads a state, marked or not.
pub(crate) fn decode(bytes: &[u8]) -> Result<Stored, Malformed> {
    let Some((&MARKED, rest)) = bytes.split_first() else {
        return Ok(Stored { state: codec::decode_state(bytes)?, marked: None });
    };
    let mut reader = Reader(rest);
    let marked = Some(reader.text()?.to_owned());
    Ok(Stored { state: codec::decode_state(reader.0)?, marked })
}

//! JSON mode: from a request body to messages and back (PROTOCOL.md section 9.1).
//!
//! Messages are stored without insignificant white space and each is followed by a comma, so that
//! any run of them becomes an array by a bracket on each side. Numbers, keys and escapes stay byte
//! for byte as they were written.

mod scanner;

use bytes::Bytes;

use crate::Batch;
use scanner::Scanner;

pub use scanner::MAX_DEPTH;

/// Why a body is not JSON that a stream can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {at}: {reason}")]
pub struct InvalidJson {
    /// The position of the byte that does not fit, from zero.
    pub at: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Frames a request body: one JSON value, of which exactly one level of array is flattened.
///
/// `None` if the body is an empty array, so that it holds no message.
pub fn frame(body: &[u8]) -> Result<Option<Batch>, InvalidJson> {
    let mut scanner = Scanner::new(utf8(body)?);
    let lengths = match scanner.skip(b'[') {
        true => elements(&mut scanner)?,
        false => vec![scanner.message()?],
    };
    let payload = scanner.finish()?;
    Ok(Batch::many(Bytes::from(payload), lengths))
}

/// Wraps stored messages into an array without a copy: the segments of a response body.
pub fn wrap(chunks: &[Bytes]) -> Vec<Bytes> {
    let mut segments = Vec::with_capacity(chunks.len() + 2);
    segments.push(Bytes::from_static(b"["));
    segments.extend(chunks.iter().filter(|chunk| !chunk.is_empty()).cloned());
    if let Some(last) = segments.last_mut().filter(|last| last.ends_with(b",")) {
        last.truncate(last.len() - 1);
    }
    segments.push(Bytes::from_static(b"]"));
    segments
}

/// Wraps stored messages into an array, copied to one buffer.
pub fn wrap_to_vec(chunks: &[Bytes]) -> Vec<u8> {
    wrap(chunks).concat()
}

fn utf8(body: &[u8]) -> Result<&str, InvalidJson> {
    std::str::from_utf8(body)
        .map_err(|error| InvalidJson { at: error.valid_up_to(), reason: "this is not UTF-8" })
}

/// The lengths of the elements of the outermost array, whose bracket is scanned already.
fn elements(scanner: &mut Scanner<'_>) -> Result<Vec<u32>, InvalidJson> {
    let mut lengths = Vec::new();
    if scanner.skip(b']') {
        return Ok(lengths);
    }
    loop {
        lengths.push(scanner.message()?);
        if scanner.skip(b']') {
            return Ok(lengths);
        }
        if !scanner.skip(b',') {
            return Err(scanner.error("a comma or the end of the array is expected"));
        }
    }
}

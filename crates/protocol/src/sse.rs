//! Server-sent events: how live data is written to the wire (PROTOCOL.md section 5.8).
//!
//! Field names are followed by a colon and no space, because clients in the field look for
//! `data:line`. Only a line that itself begins with a space gets one more, which clients take off.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::{Cursor, Offset, json};

/// How the data of a stream travels in server-sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SseEncoding {
    /// As text, line by line.
    Text,
    /// As one JSON array on one line.
    Json,
    /// As base64 on one line.
    Base64,
}

/// What a control event says: where the reader stands after the data before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The offset to read from next.
    pub next_offset: Offset,
    /// The cursor to reconnect with. It is left out once the stream is closed.
    pub cursor: Option<Cursor>,
    /// Whether the reader has all data that there is.
    pub up_to_date: bool,
    /// Whether the stream is closed and the reader has all of it.
    pub closed: bool,
}

/// Writes one whole `data` event that holds the chunks' bytes.
///
/// In JSON mode the chunks are in stored form, see [`json::frame`]. Text that is not UTF-8 is
/// replaced by U+FFFD; see [`incomplete_utf8_suffix`] for characters that are not whole *yet*.
pub fn data_event(encoding: SseEncoding, chunks: &[Bytes]) -> Bytes {
    let data = concat(chunks);
    // Base64 grows the data by a third; the rest is for the framing.
    let mut event = String::with_capacity(data.len() / 3 * 4 + 32);
    event.push_str("event: data\n");
    match encoding {
        SseEncoding::Text => push_text(&mut event, &String::from_utf8_lossy(&data)),
        SseEncoding::Json => push_json(&mut event, &String::from_utf8_lossy(&data)),
        SseEncoding::Base64 => push_base64(&mut event, &data),
    }
    event.push('\n');
    Bytes::from(event)
}

/// Writes one whole `control` event.
pub fn control_event(control: &Control) -> Bytes {
    let mut event = String::with_capacity(160);
    event.push_str("event: control\ndata:");
    push_control(&mut event, control);
    event.push_str("\n\n");
    Bytes::from(event)
}

/// How many of the last bytes are the beginning of a character whose other bytes are yet to come: 0
/// to 3.
///
/// An append may end inside a character. Sending it at once would show U+FFFD twice, so the caller
/// holds these bytes' message back until the next one.
pub fn incomplete_utf8_suffix(bytes: &[u8]) -> usize {
    let is_incomplete = |length: &usize| {
        let suffix = &bytes[bytes.len() - length..];
        // A character that begins elsewhere is an error of known length, not a missing end.
        std::str::from_utf8(suffix).is_err_and(|error| {
            error.valid_up_to() == 0 && error.error_len().is_none()
        })
    };
    (1..=bytes.len().min(3)).find(is_incomplete).unwrap_or(0)
}

/// Lines end with CRLF, CR or LF: each of them would end a line of the event too.
fn push_text(event: &mut String, text: &str) {
    let mut rest = text;
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest.as_bytes()) {
        push_line(event, &rest[..end]);
        let line_break = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + line_break..];
    }
    push_line(event, rest);
}

fn push_line(event: &mut String, line: &str) {
    event.push_str(if line.starts_with(' ') { "data: " } else { "data:" });
    event.push_str(line);
    event.push('\n');
}

/// Stored JSON has no line breaks: they are white space outside strings and illegal inside.
fn push_json(event: &mut String, messages: &str) {
    event.push_str("data:[");
    event.push_str(messages.strip_suffix(',').unwrap_or(messages));
    event.push_str("]\n");
}

fn push_base64(event: &mut String, data: &[u8]) {
    event.push_str("data:");
    STANDARD.encode_string(data, event);
    event.push('\n');
}

/// No value needs to be escaped, so the JSON is written by hand.
fn push_control(event: &mut String, control: &Control) {
    // Writing to a string cannot fail.
    let _ = write!(event, "{{\"streamNextOffset\":\"{}\"", control.next_offset);
    if let Some(cursor) = control.cursor.filter(|_| !control.closed) {
        let _ = write!(event, ",\"streamCursor\":\"{cursor}\"");
    }
    if control.up_to_date {
        event.push_str(",\"upToDate\":true");
    }
    if control.closed {
        event.push_str(",\"streamClosed\":true");
    }
    event.push('}');
}

/// The chunks as one slice; one chunk, the usual case, is not copied.
fn concat(chunks: &[Bytes]) -> Cow<'_, [u8]> {
    match chunks {
        [chunk] => Cow::Borrowed(chunk),
        _ => Cow::Owned(chunks.concat()),
    }
}

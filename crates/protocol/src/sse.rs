//! Server-sent events: how live data is written to the wire (PROTOCOL.md section 5.8).
//!
//! Field names are followed by a colon and no space, because clients in the field look for
//! `data:line`. Only a line that itself begins with a space gets one more, which clients take off.

use std::borrow::Cow;
use std::io::Write;

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
    let size: usize = chunks.iter().map(Bytes::len).sum();
    // Base64 grows the data by a third; the rest is for the framing.
    let mut event = String::with_capacity(size / 3 * 4 + 32);
    event.push_str("event: data\n");
    match encoding {
        SseEncoding::Text => push_text(&mut event, &concat(chunks)),
        SseEncoding::Json => push_text(&mut event, &json::wrap_to_vec(chunks)),
        SseEncoding::Base64 => push_base64(&mut event, &concat(chunks)),
    }
    event.push('\n');
    Bytes::from(event)
}

/// Writes one whole `control` event.
pub fn control_event(control: &Control) -> Bytes {
    control_event_after(&[], control)
}

/// Writes one whole `control` event behind whole events that are small enough to be copied: one piece for the
/// connection instead of two.
pub fn control_event_after(events: &[u8], control: &Control) -> Bytes {
    let mut joined = Vec::with_capacity(events.len() + CONTROL_ROOM);
    joined.extend_from_slice(events);
    joined.extend_from_slice(b"event: control\ndata:");
    push_control(&mut joined, control);
    joined.extend_from_slice(b"\n\n");
    Bytes::from(joined)
}

/// Room for a control event.
const CONTROL_ROOM: usize = 160;

/// How many of the last bytes are the beginning of a character whose other bytes are yet to come: 0
/// to 3.
///
/// An append may end inside a character. Sending it at once would show U+FFFD twice, so the caller
/// holds these bytes' message back until the next one.
pub fn incomplete_utf8_suffix(bytes: &[u8]) -> usize {
    // Nearly always the last character is whole and ASCII.
    if bytes.last().is_none_or(u8::is_ascii) {
        return 0;
    }
    let is_incomplete = |length: &usize| {
        let suffix = &bytes[bytes.len() - length..];
        // A character that begins elsewhere is an error of known length, not a missing end.
        std::str::from_utf8(suffix)
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_incomplete).unwrap_or(0)
}

/// CRLF, CR and LF end a line of text, and each of them would end a line of the event too. JSON as
/// we store it has none: they are white space outside strings and illegal inside.
fn push_text(event: &mut String, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let mut rest = &*text;
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

fn push_base64(event: &mut String, data: &[u8]) {
    event.push_str("data:");
    STANDARD.encode_string(data, event);
    event.push('\n');
}

/// No value needs to be escaped, so the JSON is written by hand.
fn push_control(event: &mut Vec<u8>, control: &Control) {
    event.extend_from_slice(b"{\"streamNextOffset\":\"");
    event.extend_from_slice(&control.next_offset.token());
    event.push(b'"');
    if let Some(cursor) = control.cursor.filter(|_| !control.closed) {
        // Writing to a vector cannot fail.
        let _ = write!(event, ",\"streamCursor\":\"{cursor}\"");
    }
    if control.up_to_date {
        event.extend_from_slice(b",\"upToDate\":true");
    }
    if control.closed {
        event.extend_from_slice(b",\"streamClosed\":true");
    }
    event.push(b'}');
}

/// The chunks as one slice; one chunk, the usual case, is not copied.
fn concat(chunks: &[Bytes]) -> Cow<'_, [u8]> {
    match chunks {
        [chunk] => Cow::Borrowed(chunk),
        _ => Cow::Owned(chunks.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(encoding: SseEncoding, chunks: &[&[u8]]) -> String {
        let chunks: Vec<Bytes> = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect();
        String::from_utf8(data_event(encoding, &chunks).to_vec()).unwrap()
    }

    /// The data of one event, as a browser decodes it (WHATWG HTML, section 9.2.6).
    fn decoded(event: &str) -> String {
        let lines: Vec<&str> = event.split(['\r', '\n']).collect();
        let (head, tail) = (lines[0], &lines[lines.len() - 2..]);
        assert_eq!((head, tail), ("event: data", &["", ""][..]));
        let data = lines[1..lines.len() - 2].iter().map(|line| {
            let value = line.strip_prefix("data:").unwrap();
            value.strip_prefix(' ').unwrap_or(value)
        });
        data.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn text_is_written_line_by_line() {
        let text = |text: &str| event(SseEncoding::Text, &[text.as_bytes()]);
        assert_eq!(text("hello"), "event: data\ndata:hello\n\n");
        assert_eq!(text(""), "event: data\ndata:\n\n");
        assert_eq!(text("a\nb\r\nc\rd"), "event: data\ndata:a\ndata:b\ndata:c\ndata:d\n\n");
        assert_eq!(text("a\n\n"), "event: data\ndata:a\ndata:\ndata:\n\n");
        assert_eq!(text(" a\n  b"), "event: data\ndata:  a\ndata:   b\n\n");
    }

    #[test]
    fn chunks_are_one_text() {
        let split = event(SseEncoding::Text, &[b"a\r", b"\n\xe2\x82", b"\xac\xff"]);
        assert_eq!(split, "event: data\ndata:a\ndata:€\u{fffd}\n\n");
    }

    #[test]
    fn json_is_one_array_on_one_line() {
        let json = event(SseEncoding::Json, &[br#"{"a":1},"\n","#, b"[2],"]);
        assert_eq!(json, "event: data\ndata:[{\"a\":1},\"\\n\",[2]]\n\n");
        assert_eq!(event(SseEncoding::Json, &[]), "event: data\ndata:[]\n\n");
    }

    #[test]
    fn base64_covers_all_chunks_at_once() {
        let binary = event(SseEncoding::Base64, &[b"\xff", b"\xfe", b"\0\n"]);
        assert_eq!(binary, "event: data\ndata://4ACg==\n\n");
        assert_eq!(event(SseEncoding::Base64, &[]), "event: data\ndata:\n\n");
    }

    #[test]
    fn control_events_are_flat_json() {
        let text = |up_to_date, closed| {
            let (next_offset, cursor) = (Offset::new(42), Cursor::parse("7"));
            let event = control_event(&Control { next_offset, cursor, up_to_date, closed });
            String::from_utf8(event.to_vec()).unwrap()
        };
        for ((up_to_date, closed), rest) in [
            ((false, false), r#","streamCursor":"7"}"#),
            ((true, false), r#","streamCursor":"7","upToDate":true}"#),
            ((true, true), r#","upToDate":true,"streamClosed":true}"#),
        ] {
            let json = format!(r#"{{"streamNextOffset":"0000000000000000_0000000000000042"{rest}"#);
            assert_eq!(text(up_to_date, closed), format!("event: control\ndata:{json}\n\n"));
        }
    }

    #[test]
    fn only_a_beginning_is_incomplete() {
        for (bytes, length) in [
            (&b""[..], 0),
            (b"a", 0),
            ("é€😀".as_bytes(), 0),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"\x98", 0),
            (b"\xff", 0),
            (b"\xe2\xe2", 1),
            (b"\xed\xa0", 0),
            (b"\xc3\xa9\x80", 0),
        ] {
            assert_eq!(incomplete_utf8_suffix(bytes), length, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn clients_get_the_text_back(text in "[ab:é \r\n]*|\\PC*") {
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(decoded(&event(SseEncoding::Text, &[text.as_bytes()])), lines);
        }

        #[test]
        fn any_bytes_make_one_event(bytes: Vec<u8>, at: prop::sample::Index) {
            let (front, back) = bytes.split_at(at.index(bytes.len() + 1));
            decoded(&event(SseEncoding::Text, &[front, back]));
            let base64 = decoded(&event(SseEncoding::Base64, &[front, back]));
            prop_assert_eq!(STANDARD.decode(base64).unwrap(), bytes);
        }

        #[test]
        fn text_cut_anywhere_is_cut_between_characters(text in "\\PC*", at: prop::sample::Index) {
            let front = &text.as_bytes()[..at.index(text.len() + 1)];
            let whole = front.len() - incomplete_utf8_suffix(front);
            prop_assert!(text.is_char_boundary(whole));
        }
    }
}

//! The lines of an export, as they are written.

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Expiry, Retention, StreamState};
use streamkeeper_storage::Chunk;

use super::json::Object;
use super::{FORMAT, VERSION, base64};

/// The first line.
pub(super) fn header(line: &mut String, streams: u64, bytes: u64) {
    let mut object = Object::begin(line);
    object.text("format", FORMAT);
    object.plain("version", VERSION);
    object.plain("streams", streams);
    object.plain("bytes", bytes);
    object.end();
}

/// The line that begins a stream.
pub(super) fn stream(line: &mut String, name: &StreamName, state: &StreamState) {
    let mut object = Object::begin(line);
    object.text("stream", name.as_str());
    object.text("id", &state.id.to_string());
    object.text("content_type", state.config.content_type.as_str());
    match state.config.expiry {
        Expiry::Never => {}
        Expiry::Ttl(ttl) => object.plain("ttl_seconds", ttl.seconds()),
        Expiry::At(at) => object.plain("expires_at", at.as_millis()),
    }
    let Retention { max_age, max_messages, max_bytes } = state.config.retention;
    if let Some(age) = max_age {
        object.plain("max_age_seconds", age.seconds());
    }
    if let Some(messages) = max_messages {
        object.plain("max_messages", messages);
    }
    if let Some(bytes) = max_bytes {
        object.plain("max_bytes", bytes);
    }
    object.plain("created_at", state.created_at.as_millis());
    object.plain("touched_at", state.touched_at.as_millis());
    object.plain("closed", state.closed);
    object.plain("soft_deleted", state.soft_deleted);
    object.plain("earliest", state.earliest);
    object.plain("tail", state.tail);
    object.plain("messages", state.messages);
    object.plain("dropped", state.dropped);
    object.plain("appended_at", state.appended_at.as_millis());
    if !state.config.retention.is_unlimited() {
        object.list("marks", &state.marks.marks, |line, mark| {
            let mut object = Object::begin(line);
            object.plain("position", mark.position);
            object.plain("messages", mark.messages);
            object.plain("at", mark.at.as_millis());
            object.end();
        });
        object.plain("unmarked_since", state.marks.since.as_millis());
    }
    object.plain("version", state.version);
    let mut producers: Vec<_> = state.producers.iter().collect();
    producers.sort_unstable_by_key(|(id, _)| *id);
    object.list("producers", producers, |line, (id, producer)| {
        let mut object = Object::begin(line);
        object.text("id", id.as_str());
        object.plain("epoch", producer.epoch);
        object.plain("seq", producer.last_seq);
        object.end();
    });
    if let Some(seq) = &state.last_seq {
        bytes(object.key("last_seq"), seq.as_bytes());
    }
    if let Some(origin) = &state.origin {
        let mut inner = Object::begin(object.key("origin"));
        inner.text("source", origin.source.as_str());
        inner.text("source_id", &origin.source_id.to_string());
        inner.plain("anchor", origin.anchor.position());
        inner.plain("sub_offset", origin.sub_offset);
        inner.plain("earliest", origin.earliest);
        inner.list("lineage", origin.lineage.iter(), |line, ancestor| {
            let mut object = Object::begin(line);
            object.text("id", &ancestor.id.to_string());
            object.plain("until", ancestor.until);
            object.end();
        });
        inner.end();
    }
    object.list("forks", &state.forks, |line, (fork, keeps)| {
        let mut object = Object::begin(line);
        object.text("id", &fork.to_string());
        object.plain("keeps", keeps);
        object.end();
    });
    object.end();
}

/// A line of messages.
pub(super) fn data(line: &mut String, chunk: &Chunk) {
    let mut object = Object::begin(line);
    object.plain("position", chunk.position);
    let lengths = chunk.messages().map(|(begin, end)| end - begin);
    object.list("lengths", lengths, |line, length| {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(line, format_args!("{length}"));
    });
    bytes(object.key("bytes"), chunk.batch.payload());
    object.end();
}

/// The last line; the checksum is that of all lines before it.
pub(super) fn end(line: &mut String, streams: u64, crc32c: u32) {
    let mut object = Object::begin(line);
    object.plain("end", true);
    object.plain("streams", streams);
    object.text("crc32c", &format!("{crc32c:08x}"));
    object.end();
}

fn bytes(line: &mut String, bytes: &[u8]) {
    line.push('"');
    base64::encode(line, bytes);
    line.push('"');
}

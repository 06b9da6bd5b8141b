//! The lines of an export, as they are read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;

use streamkeeper_protocol::stream::{
    Ancestor, Config, Expiry, Mark, Marks, Origin, ProducerState, Retention, StreamId, StreamState,
};
use streamkeeper_protocol::{
    Batch, ContentType, Offset, ProducerId, StreamName, StreamSeq, Timestamp, Ttl,
};
use streamkeeper_storage::Chunk;
use uuid::Uuid;

use super::json::{self, Value};
use crate::export::base64;

/// One line.
pub(super) enum Line {
    Header { format: String, version: u64, streams: u64, bytes: u64 },
    Stream(StreamName, Box<StreamState>),
    Data(Chunk),
    End { streams: u64, crc32c: String },
}

/// Reads a line; in words what is wrong with it.
pub(super) fn parse(line: &[u8]) -> Result<Line, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let Value::Object(members) = json::parse(text)? else {
        return Err("it is not an object".into());
    };
    let mut members = Members(members);
    let line = match members.0.first().map(|(key, _)| key.as_ref()) {
        Some("format") => {
            let (format, version) = (members.text("format")?.into(), members.number("version")?);
            // What a newer version says besides is not ours to judge.
            if version > crate::export::VERSION {
                return Ok(Line::Header { format, version, streams: 0, bytes: 0 });
            }
            let (streams, bytes) = (members.number("streams")?, members.number("bytes")?);
            Line::Header { format, version, streams, bytes }
        }
        Some("stream") => {
            let (name, state) = stream(&mut members)?;
            Line::Stream(name, Box::new(state))
        }
        Some("position") => Line::Data(data(&mut members)?),
        Some("end") => {
            if !members.flag("end")? {
                return Err("`end` is not true".into());
            }
            let (streams, crc32c) = (members.number("streams")?, members.text("crc32c")?.into());
            Line::End { streams, crc32c }
        }
        _ => return Err("it is no line of an export".into()),
    };
    members.finish()?;
    Ok(line)
}

fn stream(members: &mut Members<'_>) -> Result<(StreamName, StreamState), String> {
    let name = name(&members.text("stream")?)?;
    let content_type = ContentType::parse(&members.text("content_type")?);
    let content_type = content_type.map_err(|error| error.to_string())?;
    let state = StreamState {
        id: id(&members.text("id")?)?,
        version: members.number("version")?,
        config: Config { content_type, expiry: expiry(members)?, retention: retention(members)? },
        origin: members.take("origin").map(origin).transpose()?,
        created_at: members.time("created_at")?,
        touched_at: members.time("touched_at")?,
        earliest: members.number("earliest")?,
        tail: members.number("tail")?,
        messages: members.number("messages")?,
        dropped: members.number("dropped")?,
        appended_at: members.time("appended_at")?,
        marks: marks(members)?,
        closed: members.flag("closed")?,
        producers: producers(members.list("producers")?)?,
        last_seq: members.take("last_seq").map(last_seq).transpose()?,
        forks: forks(members.list("forks")?)?,
        soft_deleted: members.flag("soft_deleted")?,
    };
    Ok((name, state))
}

fn data(members: &mut Members<'_>) -> Result<Chunk, String> {
    let position = members.number("position")?;
    let lengths = members.list("lengths")?.into_iter().map(|length| match length {
        Value::Number(length) => u32::try_from(length).map_err(|_| "a length is too large".into()),
        _ => Err("a length is not a number".to_owned()),
    });
    let lengths: Vec<u32> = lengths.collect::<Result<_, _>>()?;
    let bytes = base64::decode(&members.text("bytes")?).ok_or("`bytes` is not base64")?;
    let batch = Batch::many(bytes.into(), lengths);
    let batch = batch.ok_or("the lengths do not add up to the bytes, or one of them is zero")?;
    position.checked_add(batch.size()).ok_or("the position is too large")?;
    Ok(Chunk { position, batch })
}

fn expiry(members: &mut Members<'_>) -> Result<Expiry, String> {
    match (members.has("ttl_seconds"), members.has("expires_at")) {
        (false, false) => Ok(Expiry::Never),
        (true, false) => {
            let ttl = Ttl::new(members.number("ttl_seconds")?);
            ttl.map(Expiry::Ttl).map_err(|error| error.to_string())
        }
        (false, true) => members.time("expires_at").map(Expiry::At),
        (true, true) => Err("it has both `ttl_seconds` and `expires_at`".into()),
    }
}

fn origin(value: Value<'_>) -> Result<Origin, String> {
    let mut members = Members::of(value, "origin")?;
    let lineage = members.list("lineage")?.into_iter().map(|ancestor| {
        let mut members = Members::of(ancestor, "lineage")?;
        let ancestor = Ancestor { id: id(&members.text("id")?)?, until: members.number("until")? };
        members.finish()?;
        Ok(ancestor)
    });
    let origin = Origin {
        lineage: lineage.collect::<Result<Vec<_>, String>>()?.into(),
        source: name(&members.text("source")?)?,
        source_id: id(&members.text("source_id")?)?,
        anchor: Offset::new(members.number("anchor")?),
        sub_offset: members.number("sub_offset")?,
        earliest: members.number("earliest")?,
    };
    members.finish()?;
    Ok(origin)
}

fn producers(values: Vec<Value<'_>>) -> Result<HashMap<ProducerId, ProducerState>, String> {
    let mut producers = HashMap::new();
    for value in values {
        let mut members = Members::of(value, "producers")?;
        let id = ProducerId::parse(members.text("id")?.as_bytes());
        let id = id.map_err(|error| error.to_string())?;
        let (epoch, last_seq) = (members.number("epoch")?, members.number("seq")?);
        members.finish()?;
        if producers.insert(id, ProducerState { epoch, last_seq }).is_some() {
            return Err("a producer is there twice".into());
        }
    }
    Ok(producers)
}

fn retention(members: &mut Members<'_>) -> Result<Retention, String> {
    let max_age = match members.has("max_age_seconds") {
        false => None,
        true => {
            let age = Ttl::new(members.number("max_age_seconds")?);
            Some(age.map_err(|error| error.to_string())?)
        }
    };
    Ok(Retention {
        max_age,
        max_messages: members.limit("max_messages")?,
        max_bytes: members.limit("max_bytes")?,
    })
}

fn marks(members: &mut Members<'_>) -> Result<Marks, String> {
    if !members.has("marks") {
        return Ok(Marks::default());
    }
    let marks = members.list("marks")?.into_iter().map(|mark| {
        let mut members = Members::of(mark, "marks")?;
        let mark = Mark {
            position: members.number("position")?,
            messages: members.number("messages")?,
            at: members.time("at")?,
        };
        members.finish()?;
        Ok(mark)
    });
    let marks = marks.collect::<Result<Vec<_>, String>>()?;
    Ok(Marks { marks, since: members.time("unmarked_since")? })
}

fn forks(values: Vec<Value<'_>>) -> Result<BTreeMap<StreamId, u64>, String> {
    let fork = |value| {
        let mut members = Members::of(value, "forks")?;
        let fork = (id(&members.text("id")?)?, members.number("keeps")?);
        members.finish()?;
        Ok(fork)
    };
    values.into_iter().map(fork).collect()
}

fn last_seq(value: Value<'_>) -> Result<StreamSeq, String> {
    let Value::Text(text) = value else { return Err("`last_seq` is not a text".into()) };
    let bytes = base64::decode(&text).ok_or("`last_seq` is not base64")?;
    StreamSeq::parse(&bytes).map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<StreamName, String> {
    StreamName::new(text).map_err(|error| error.to_string())
}

fn id(text: &str) -> Result<StreamId, String> {
    let id = Uuid::try_parse(text).map(StreamId::new);
    id.map_err(|_| format!("`{text}` is no id: 32 hexadecimal digits"))
}

/// The members of an object that are not read yet.
struct Members<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Members<'a> {
    fn of(value: Value<'a>, what: &str) -> Result<Self, String> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(format!("`{what}` holds something that is not an object")),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(held, _)| held == key)
    }

    fn take(&mut self, key: &str) -> Option<Value<'a>> {
        let at = self.0.iter().position(|(held, _)| held == key)?;
        Some(self.0.remove(at).1)
    }

    fn number(&mut self, key: &str) -> Result<u64, String> {
        match self.take(key) {
            Some(Value::Number(number)) => u64::try_from(number).ok(),
            _ => None,
        }
        .ok_or_else(|| format!("`{key}` is not a whole number from zero on"))
    }

    /// A limit, which need not be there and is never zero.
    fn limit(&mut self, key: &str) -> Result<Option<NonZeroU64>, String> {
        if !self.has(key) {
            return Ok(None);
        }
        let limit = NonZeroU64::new(self.number(key)?);
        limit.map(Some).ok_or_else(|| format!("`{key}` is zero"))
    }

    fn time(&mut self, key: &str) -> Result<Timestamp, String> {
        match self.take(key) {
            Some(Value::Number(millis)) => i64::try_from(millis).ok().map(Timestamp::from_millis),
            _ => None,
        }
        .ok_or_else(|| format!("`{key}` is not a number of milliseconds"))
    }

    fn flag(&mut self, key: &str) -> Result<bool, String> {
        match self.take(key) {
            Some(Value::Flag(flag)) => Ok(flag),
            _ => Err(format!("`{key}` is neither true nor false")),
        }
    }

    fn text(&mut self, key: &str) -> Result<Cow<'a, str>, String> {
        match self.take(key) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(format!("`{key}` is not a text")),
        }
    }

    fn list(&mut self, key: &str) -> Result<Vec<Value<'a>>, String> {
        match self.take(key) {
            Some(Value::List(values)) => Ok(values),
            _ => Err(format!("`{key}` is not a list")),
        }
    }

    /// What is not read would be lost.
    fn finish(self) -> Result<(), String> {
        match self.0.first() {
            Some((key, _)) => Err(format!("`{key}` is not known here")),
            None => Ok(()),
        }
    }
}

//! What requests to a subscription say, as JSON (PROTOCOL.md sections 6.4, 7.1 and 7.2).

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::{InvalidName, Offset, StreamName};

/// The longest name of a worker, in bytes.
pub const MAX_WORKER_BYTES: usize = 256;

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not JSON, or not an object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A member that must be a text is something else.
    #[error("`{0}` must be a text")]
    NotText(&'static str),
    /// `streams` is not a list of names.
    #[error("`streams` must be a list of stream names")]
    NotStreams,
    /// A stream's name is none.
    #[error("`{name}` is not the name of a stream: {why}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        why: InvalidName,
    },
    /// A claim without a worker.
    #[error("`worker` must be a text of 1 to {MAX_WORKER_BYTES} bytes")]
    Worker,
    /// The wake that is meant is not named.
    #[error("`wake_id` must be a text and `generation` a whole number")]
    Wake,
    /// An ack is not one.
    #[error("`acks` must be a list of objects with `stream` and `offset`")]
    Acks,
    /// An ack's offset is none.
    #[error("`{0}` is not an offset to acknowledge")]
    Offset(String),
    /// `done` is neither.
    #[error("`done` must be true or false")]
    Done,
}

/// A worker's claim of a pull-wake subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who claims; told to others while it holds the lease.
    pub worker: String,
}

/// A sign of life of a worker, by ack or by callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckRequest {
    /// The wake that the worker was given.
    pub wake_id: String,
    /// Its generation.
    pub generation: u64,
    /// How far it has come.
    pub acks: Vec<Ack>,
    /// Whether it gives the work back.
    pub done: bool,
}

/// How far a worker has come in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The stream.
    pub stream: StreamName,
    /// The offset after the last message that it has processed.
    pub offset: Offset,
}

/// A worker gives the work back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// The wake that the worker was given.
    pub wake_id: String,
    /// Its generation.
    pub generation: u64,
}

impl ClaimRequest {
    /// Reads the body of a request.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRequest> {
        let members = object(body)?;
        let worker = members.get("worker").and_then(Value::as_str);
        let worker = worker.filter(|worker| (1..=MAX_WORKER_BYTES).contains(&worker.len()));
        Ok(Self { worker: worker.ok_or(InvalidRequest::Worker)?.to_owned() })
    }
}

impl AckRequest {
    /// Reads the body of a request. An ack may name its stream as `stream` or as `path`.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRequest> {
        let members = object(body)?;
        let (wake_id, generation) = wake(&members)?;
        let acks = match members.get("acks").filter(|acks| !acks.is_null()) {
            None => Vec::new(),
            Some(Value::Array(acks)) => acks.iter().map(ack).collect::<Result<_, _>>()?,
            Some(_) => return Err(InvalidRequest::Acks),
        };
        let done = match members.get("done").filter(|done| !done.is_null()) {
            None => false,
            Some(done) => done.as_bool().ok_or(InvalidRequest::Done)?,
        };
        Ok(Self { wake_id, generation, acks, done })
    }
}

impl ReleaseRequest {
    /// Reads the body of a request.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRequest> {
        let (wake_id, generation) = wake(&object(body)?)?;
        Ok(Self { wake_id, generation })
    }
}

/// Reads the streams that a request adds.
pub fn streams_from_json(body: &[u8]) -> Result<BTreeSet<StreamName>, InvalidRequest> {
    stream_names(object(body)?.get("streams").ok_or(InvalidRequest::NotStreams)?)
}

/// Reads the stream that a request's path ends with, percent-encoded, slashes included or encoded.
pub fn stream_from_path(path: &str) -> Result<StreamName, InvalidName> {
    stream_name(&percent_decode_str(path).decode_utf8().map_err(|_| InvalidName::NotUtf8)?)
}

pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, InvalidRequest> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(InvalidRequest::NotAnObject),
    }
}

pub(super) fn stream_names(value: &Value) -> Result<BTreeSet<StreamName>, InvalidRequest> {
    let names = value.as_array().ok_or(InvalidRequest::NotStreams)?;
    let name = |value: &Value| {
        let name = value.as_str().ok_or(InvalidRequest::NotStreams)?;
        stream_name(name).map_err(|why| InvalidRequest::Name { name: name.into(), why })
    };
    names.iter().map(name).collect()
}

/// A name relative to the root of the streams; some clients write that root's slash.
pub(super) fn stream_name(name: &str) -> Result<StreamName, InvalidName> {
    StreamName::new(name.trim_start_matches('/'))
}

fn wake(members: &Map<String, Value>) -> Result<(String, u64), InvalidRequest> {
    let id = members.get("wake_id").and_then(Value::as_str);
    let generation = members.get("generation").and_then(Value::as_u64);
    id.map(str::to_owned).zip(generation).ok_or(InvalidRequest::Wake)
}

fn ack(value: &Value) -> Result<Ack, InvalidRequest> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let stream = text("stream").or(text("path")).ok_or(InvalidRequest::Acks)?;
    let offset = text("offset").ok_or(InvalidRequest::Acks)?;
    let name = stream_name(stream);
    let stream = name.map_err(|why| InvalidRequest::Name { name: stream.into(), why })?;
    let offset = offset.parse().map_err(|_| InvalidRequest::Offset(offset.into()))?;
    Ok(Ack { stream, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let worker = ClaimRequest::from_json(br#"{"worker":"w"}"#).unwrap().worker;
        assert_eq!(worker, "w");
        let body = br#"{"wake_id":"w_1","generation":7,"done":true,"acks":[
            {"stream":"/a","offset":"0000000000000000_0000000000000042"},
            {"path":"b/c","offset":"0000000000000000_0000000000000001"}]}"#;
        let request = AckRequest::from_json(body).unwrap();
        let acks: Vec<_> =
            request.acks.iter().map(|a| (a.stream.as_str(), a.offset.position())).collect();
        assert_eq!((acks, request.done), (vec![("a", 42), ("b/c", 1)], true));
        let release = ReleaseRequest::from_json(br#"{"wake_id":"w_1","generation":7}"#).unwrap();
        assert_eq!((release.wake_id.as_str(), release.generation), ("w_1", 7));
        assert_eq!(stream_from_path("manual%2Fb").unwrap().as_str(), "manual/b");
        assert_eq!(streams_from_json(br#"{"streams":["a","a"]}"#).unwrap().len(), 1);
    }

    #[test]
    fn other_bodies_are_refused() {
        let long = format!(r#"{{"worker":"{}"}}"#, "x".repeat(MAX_WORKER_BYTES + 1));
        for body in ["", "1", "{}", r#"{"worker":""}"#, r#"{"worker":1}"#, long.as_str()] {
            assert!(ClaimRequest::from_json(body.as_bytes()).is_err(), "{body}");
        }
        for rest in [
            r#""done":1"#,
            r#""acks":{}"#,
            r#""acks":[{"stream":"a"}]"#,
            r#""acks":[{"stream":"a","offset":"-1"}]"#,
            r#""acks":[{"stream":"__ds","offset":"0000000000000000_0000000000000042"}]"#,
        ] {
            let body = format!(r#"{{"wake_id":"w","generation":1,{rest}}}"#);
            assert!(AckRequest::from_json(body.as_bytes()).is_err(), "{body}");
        }
        for body in [r#"{"wake_id":"w"}"#, r#"{"wake_id":"w","generation":-1}"#] {
            assert_eq!(ReleaseRequest::from_json(body.as_bytes()), Err(InvalidRequest::Wake));
        }
        for body in ["{}", r#"{"streams":"a"}"#, r#"{"streams":[1]}"#, r#"{"streams":[""]}"#] {
            assert!(streams_from_json(body.as_bytes()).is_err(), "{body}");
        }
    }
}

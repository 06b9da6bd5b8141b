//! The stored form of events: one JSON object each.

use std::fmt::Write;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Config, Event, WakeId};
use crate::stream::StreamId;
use crate::{Batch, StreamName, Timestamp, json};

/// What is stored is not a list of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored events cannot be read: {0}")]
pub struct Malformed(String);

/// The messages that store events; `None` if there are none.
pub fn encode_events(events: &[Event]) -> Option<Batch> {
    // Every map that is stored has texts for keys, so this does not fail.
    let array = serde_json::to_vec(events).ok()?;
    json::frame(&array).ok()?
}

/// The events that messages of a stream store: whole messages, in stored form.
pub fn decode_events(messages: &[Bytes]) -> Result<Vec<Event>, Malformed> {
    if messages.iter().all(Bytes::is_empty) {
        return Ok(Vec::new());
    }
    let array = json::wrap_to_vec(messages);
    serde_json::from_slice(&array).map_err(|error| Malformed(error.to_string()))
}

impl Serialize for StreamName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.as_millis())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::from_millis)
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        Self::from_object(&members).map_err(D::Error::custom)
    }
}

impl WakeId {
    /// The id of 128 random bits: what names a wake must not be guessed.
    pub(super) fn of(bits: u128) -> Self {
        let mut id = String::with_capacity(34);
        let _ = write!(id, "w_{bits:032x}");
        Self(id)
    }
}

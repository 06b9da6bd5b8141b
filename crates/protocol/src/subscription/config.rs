//! What a subscription is created with (PROTOCOL.md section 6.2).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::request::{InvalidRequest, object, stream_name, stream_names};
use super::{InvalidPattern, Pattern};
use crate::{InvalidName, StreamName};

/// The shortest lease.
pub const MIN_LEASE_TTL: Duration = Duration::from_secs(1);
/// The longest lease.
pub const MAX_LEASE_TTL: Duration = Duration::from_secs(600);
/// The lease of a subscription that asks for none.
pub const DEFAULT_LEASE_TTL: Duration = Duration::from_secs(30);
/// The longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 4096;
/// The longest URL of a webhook, in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// What a subscription is created with, normalised. It never changes; streams that are added later are
/// links, not configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How workers are woken.
    pub delivery: Delivery,
    /// Which streams are linked by their names.
    pub pattern: Option<Pattern>,
    /// Which streams are linked explicitly, beside those of the pattern.
    pub streams: BTreeSet<StreamName>,
    /// How long a worker holds the work without a sign of life.
    pub lease_ttl: Duration,
    /// For people.
    pub description: Option<String>,
}

/// How workers are woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// By a request to them.
    Webhook {
        /// Where it goes; whether it may go there is not decided here.
        url: String,
    },
    /// By an event in a stream that they read.
    PullWake {
        /// That stream.
        wake_stream: StreamName,
    },
}

/// Why a text is not the configuration of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// It is not a request at all.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// Neither of the two.
    #[error("`type` must be \"webhook\" or \"pull-wake\"")]
    Type,
    /// The pattern is none.
    #[error("`pattern`: {0}")]
    Pattern(#[from] InvalidPattern),
    /// Nothing would ever be linked.
    #[error("at least one of `pattern` and `streams` is required")]
    NoStreams,
    /// A webhook without its URL.
    #[error("a webhook subscription needs `webhook.url`, a text of at most {MAX_URL_BYTES} bytes")]
    Url,
    /// A pull-wake subscription without its stream.
    #[error("a pull-wake subscription needs `wake_stream`")]
    NoWakeStream,
    /// The wake stream's name is none.
    #[error("`wake_stream`: {0}")]
    WakeStream(InvalidName),
    /// Too short, too long, or not a number.
    #[error("`lease_ttl_ms` must be a whole number from 1000 to 600000")]
    LeaseTtl,
    /// Too long, or not a text.
    #[error("`description` must be a text of at most {MAX_DESCRIPTION_BYTES} bytes")]
    Description,
}

impl Config {
    /// Reads and normalises the body of a request. Members that the protocol does not name are ignored.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidConfig> {
        Self::from_object(&object(body)?)
    }

    pub(super) fn from_object(members: &Map<String, Value>) -> Result<Self, InvalidConfig> {
        let text = |key: &str| members.get(key).filter(|value| !value.is_null());
        let delivery = match members.get("type").and_then(Value::as_str) {
            Some("webhook") => Delivery::Webhook { url: url(members)? },
            Some("pull-wake") => Delivery::PullWake { wake_stream: wake_stream(members)? },
            _ => return Err(InvalidConfig::Type),
        };
        let pattern = match text("pattern") {
            None => None,
            Some(Value::String(pattern)) if pattern.is_empty() => None,
            Some(Value::String(pattern)) => Some(Pattern::parse(pattern)?),
            Some(_) => return Err(InvalidRequest::NotText("pattern").into()),
        };
        let streams = match text("streams") {
            None => BTreeSet::new(),
            Some(streams) => stream_names(streams)?,
        };
        if pattern.is_none() && streams.is_empty() {
            return Err(InvalidConfig::NoStreams);
        }
        let description = match text("description") {
            None => None,
            Some(Value::String(text)) if text.len() <= MAX_DESCRIPTION_BYTES => Some(text.clone()),
            Some(_) => return Err(InvalidConfig::Description),
        };
        let lease_ttl = text("lease_ttl_ms").map_or(Ok(DEFAULT_LEASE_TTL), lease_ttl)?;
        Ok(Self { delivery, pattern, streams, lease_ttl, description })
    }

    /// The hash of the configuration: SHA-256 of its JSON, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_value().to_string().as_bytes());
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Whether the stream is linked by its name. A subscription's own wake stream never is: each wake
    /// would call for the next.
    pub fn matches(&self, name: &StreamName) -> bool {
        let own =
            matches!(&self.delivery, Delivery::PullWake { wake_stream } if wake_stream == name);
        !own && !name.is_reserved()
            && self.pattern.as_ref().is_some_and(|p| p.matches(name.as_str()))
    }

    /// Whether workers are woken by webhook.
    pub fn is_webhook(&self) -> bool {
        matches!(self.delivery, Delivery::Webhook { .. })
    }

    /// The canonical JSON, which `from_object` reads.
    pub(super) fn to_value(&self) -> Value {
        let (kind, url, wake_stream) = match &self.delivery {
            Delivery::Webhook { url } => ("webhook", Some(json!({ "url": url })), None),
            Delivery::PullWake { wake_stream } => ("pull-wake", None, Some(wake_stream.as_str())),
        };
        json!({
            "type": kind,
            "pattern": self.pattern.as_ref().map(Pattern::as_str),
            "streams": self.streams.iter().map(StreamName::as_str).collect::<Vec<_>>(),
            "webhook": url,
            "wake_stream": wake_stream,
            "lease_ttl_ms": millis(self.lease_ttl),
            "description": self.description,
        })
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn url(members: &Map<String, Value>) -> Result<String, InvalidConfig> {
    let url = members.get("webhook").and_then(|webhook| webhook.get("url")).and_then(Value::as_str);
    let url = url.filter(|url| !url.is_empty() && url.len() <= MAX_URL_BYTES);
    url.map(str::to_owned).ok_or(InvalidConfig::Url)
}

fn wake_stream(members: &Map<String, Value>) -> Result<StreamName, InvalidConfig> {
    let name = members.get("wake_stream").and_then(Value::as_str).filter(|name| !name.is_empty());
    stream_name(name.ok_or(InvalidConfig::NoWakeStream)?).map_err(InvalidConfig::WakeStream)
}

fn lease_ttl(value: &Value) -> Result<Duration, InvalidConfig> {
    let ttl = value.as_u64().map(Duration::from_millis);
    ttl.filter(|ttl| (MIN_LEASE_TTL..=MAX_LEASE_TTL).contains(ttl)).ok_or(InvalidConfig::LeaseTtl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: Value) -> Result<Config, InvalidConfig> {
        Config::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn a_configuration_is_normalised_and_hashed() {
        let long = parse(json!({
            "type": "pull-wake", "pattern": "/events/**/**", "streams": ["b", "/a", "b"],
            "wake_stream": "/wake", "lease_ttl_ms": 30000, "more": 1, "description": null,
        }));
        let short = parse(json!({
            "type": "pull-wake", "pattern": "events/**", "streams": ["a", "b"], "wake_stream": "wake",
        }));
        let (long, short) = (long.unwrap(), short.unwrap());
        assert_eq!((long.hash(), &long), (short.hash(), &short));
        assert_eq!(long.hash().len(), 64);
        for (key, value) in [
            ("pattern", json!("events/*")),
            ("streams", json!(["a"])),
            ("wake_stream", json!("w")),
            ("lease_ttl_ms", json!(1000)),
            ("description", json!("d")),
        ] {
            let mut other = short.to_value();
            other[key] = value;
            assert_ne!(parse(other).unwrap().hash(), short.hash(), "{key}");
        }
    }

    #[test]
    fn canonical_json_is_read_back() {
        let webhook =
            json!({ "type": "webhook", "pattern": "a/*", "webhook": { "url": "https://x/" } });
        let config = parse(webhook).unwrap();
        assert_eq!(parse(config.to_value()), Ok(config));
    }

    #[test]
    fn bad_configurations_are_refused() {
        let pull = |extra: Value| {
            let mut config = json!({ "type": "pull-wake", "pattern": "a", "wake_stream": "w" });
            let Value::Object(extra) = extra else { panic!("an object") };
            config.as_object_mut().unwrap().extend(extra);
            parse(config)
        };
        let long = "x".repeat(MAX_DESCRIPTION_BYTES + 1);
        let far = format!("https://x/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(pull(json!({ "type": "push" })), Err(InvalidConfig::Type));
        assert_eq!(pull(json!({ "pattern": null })), Err(InvalidConfig::NoStreams));
        assert!(matches!(pull(json!({ "pattern": "a*" })), Err(InvalidConfig::Pattern(_))));
        assert!(matches!(pull(json!({ "streams": "a" })), Err(InvalidConfig::Request(_))));
        assert!(matches!(pull(json!({ "streams": ["__ds/a"] })), Err(InvalidConfig::Request(_))));
        assert_eq!(pull(json!({ "wake_stream": "" })), Err(InvalidConfig::NoWakeStream));
        assert!(matches!(
            pull(json!({ "wake_stream": "__ds" })),
            Err(InvalidConfig::WakeStream(_))
        ));
        for ttl in [json!(999), json!(600_001), json!(1000.5), json!("1000"), json!(-1)] {
            assert_eq!(pull(json!({ "lease_ttl_ms": ttl })), Err(InvalidConfig::LeaseTtl));
        }
        assert_eq!(pull(json!({ "description": long })), Err(InvalidConfig::Description));
        for webhook in [json!(null), json!({}), json!({ "url": "" }), json!({ "url": far })] {
            let config = json!({ "type": "webhook", "pattern": "a", "webhook": webhook });
            assert_eq!(parse(config), Err(InvalidConfig::Url));
        }
        assert!(matches!(Config::from_json(b"[]"), Err(InvalidConfig::Request(_))));
    }

    #[test]
    fn a_wake_stream_does_not_wake_its_own_subscription() {
        let config = parse(json!({ "type": "pull-wake", "pattern": "**", "wake_stream": "w" }));
        let config = config.unwrap();
        assert!(config.matches(&StreamName::new("a").unwrap()));
        assert!(!config.matches(&StreamName::new("w").unwrap()));
        assert!(!config.matches(&StreamName::stored("__ds/subscriptions/a").unwrap()));
    }
}

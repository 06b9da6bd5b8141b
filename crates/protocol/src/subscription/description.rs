//! What responses tell of a subscription, as JSON (PROTOCOL.md sections 6.3, 7.1 and 7.2).

use std::time::Duration;

use serde_json::{Value, json};

use super::config::millis;
use super::{Config, LinkType, SubscriptionId, Tracker};
use crate::stream::StreamId;
use crate::{Offset, StreamName, Timestamp};

/// What is told of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its id.
    pub id: SubscriptionId,
    /// Its configuration.
    pub config: Config,
    /// Its streams.
    pub links: Vec<LinkInfo>,
    /// When it was created.
    pub created_at: Timestamp,
    /// How delivery goes.
    pub status: Status,
}

/// The cursor of a stream, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// The stream.
    pub path: StreamName,
    /// In which way it is linked.
    pub link_type: LinkType,
    /// Everything before is processed.
    pub acked_offset: Offset,
}

/// How delivery goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should.
    Active,
    /// Nobody could be woken; it is tried again.
    Failed,
}

/// Who signs webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The id of the active key.
    pub kid: String,
    /// Where the keys are published.
    pub jwks_url: String,
}

/// A linked stream and its work, as a worker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream.
    pub path: StreamName,
    /// In which way it is linked.
    pub link_type: LinkType,
    /// The life of it.
    pub life: Option<StreamId>,
    /// Everything before this position is processed.
    pub acked: u64,
    /// Where the stream ends, as a position.
    pub tail: u64,
    /// Whether there is work in it.
    pub has_pending: bool,
}

/// A claim that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The wake.
    pub wake_id: String,
    /// Its generation.
    pub generation: u64,
    /// What the worker proves its claim with.
    pub token: String,
    /// Every linked stream.
    pub streams: Vec<StreamInfo>,
    /// How long the claim holds without a sign of life.
    pub lease_ttl: Duration,
}

/// An ack that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whether there is more work, and another wake follows.
    pub next_wake: bool,
}

impl Tracker {
    /// What is told of the subscription.
    pub fn describe(&self, id: &SubscriptionId) -> Description {
        let links = self.state.links.iter().map(|(path, link)| LinkInfo {
            path: path.clone(),
            link_type: link.link_type(),
            acked_offset: Offset::new(link.acked),
        });
        let status = match self.state.failures {
            0 => Status::Active,
            _ => Status::Failed,
        };
        Description {
            id: id.clone(),
            config: self.state.config.clone(),
            links: links.collect(),
            created_at: self.state.created_at,
            status,
        }
    }

    /// Every linked stream and its work.
    pub(super) fn streams(&self) -> Vec<StreamInfo> {
        let links = self.state.links.iter().map(|(path, link)| {
            let tail = self.tails.get(path).filter(|tail| link.life == Some(tail.life));
            StreamInfo {
                path: path.clone(),
                link_type: link.link_type(),
                life: link.life,
                acked: link.acked,
                tail: tail.map_or(link.acked, |tail| tail.position),
                has_pending: self.ahead.contains(path),
            }
        });
        links.collect()
    }
}

impl LinkType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Glob => "glob",
            Self::Explicit => "explicit",
        }
    }
}

impl Description {
    /// The body of the response of section 6.3. `signing` goes with a webhook's URL.
    pub fn to_json(&self, signing: Option<&Signing>) -> Vec<u8> {
        let mut body = self.config.to_value();
        body["id"] = json!(self.id.as_str());
        body["subscription_id"] = json!(self.id.as_str());
        body["streams"] = self.links.iter().map(LinkInfo::to_value).collect();
        body["created_at"] = json!(self.created_at.to_rfc3339());
        body["status"] = json!(match self.status {
            Status::Active => "active",
            Status::Failed => "failed",
        });
        if let (Some(signing), true) = (signing, self.config.is_webhook()) {
            body["webhook"]["signing"] = json!({
                "alg": "ed25519",
                "kid": signing.kid,
                "jwks_url": signing.jwks_url,
            });
        }
        body.to_string().into_bytes()
    }
}

impl LinkInfo {
    fn to_value(&self) -> Value {
        json!({
            "path": self.path.as_str(),
            "link_type": self.link_type.as_str(),
            "acked_offset": self.acked_offset.to_string(),
        })
    }
}

impl StreamInfo {
    pub(super) fn to_value(&self) -> Value {
        json!({
            "path": self.path.as_str(),
            "link_type": self.link_type.as_str(),
            "acked_offset": Offset::new(self.acked).to_string(),
            "tail_offset": Offset::new(self.tail).to_string(),
            "has_pending": self.has_pending,
        })
    }
}

impl Claimed {
    /// The body of the response of section 7.2.
    pub fn to_json(&self) -> Vec<u8> {
        let body = json!({
            "wake_id": self.wake_id,
            "generation": self.generation,
            "token": self.token,
            "streams": self.streams.iter().map(StreamInfo::to_value).collect::<Vec<_>>(),
            "lease_ttl_ms": millis(self.lease_ttl),
        });
        body.to_string().into_bytes()
    }
}

impl Acknowledged {
    /// The body of the response of sections 7.1 and 7.2.
    pub fn to_json(&self) -> Vec<u8> {
        json!({ "ok": true, "next_wake": self.next_wake }).to_string().into_bytes()
    }
}

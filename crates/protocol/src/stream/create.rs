//! Create (section 5.1): create a stream, or confirm that it is there as asked.

use super::{Config, Expiry, Origin, Record, Retention, StreamId, StreamState};
use crate::{Batch, ContentType, Offset, StreamName, Timestamp};

/// A request to create a stream, or to confirm that it exists so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The life that begins if the stream does not exist.
    pub id: StreamId,
    /// The type of its messages; a fork's source or `application/octet-stream` decides otherwise.
    pub content_type: Option<ContentType>,
    /// When it ends by itself; a fork's source decides otherwise.
    pub expiry: Option<Expiry>,
    /// How much of it is kept; a fork's source decides otherwise.
    pub retention: Option<Retention>,
    /// Whether it is closed from the beginning.
    pub closed: bool,
    /// Its first messages.
    pub batch: Option<Batch>,
    /// For a fork: where it branches off, granted by its source.
    pub fork: Option<ForkRequest>,
}

/// The fork headers of a creation (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkRequest {
    /// The source stream.
    pub source: StreamName,
    /// The divergence point; the source's tail otherwise.
    pub offset: Option<Offset>,
    /// How much to inherit past it: bytes, or messages of a JSON stream.
    pub sub_offset: u64,
    /// What the source granted. `None` only asks whether the stream exists as described.
    pub granted: Option<(Origin, Config)>,
}

/// What a creation leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateDecision {
    /// Write this record.
    Write(Record),
    /// The stream exists as described; nothing to write.
    Exists,
}

/// What an existing stream has otherwise than a request asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// Another content type.
    ContentType,
    /// Another TTL or time of expiry.
    Expiry,
    /// Another retention policy.
    Retention,
    /// Closed instead of open, or open instead of closed.
    Closed,
    /// Another origin: source, offset or sub-offset.
    Origin,
}

/// Why a creation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateRejection {
    /// The stream exists otherwise.
    #[error("the stream exists with another configuration: {0:?} differs")]
    Conflict(Mismatch),
    /// The name belongs to a deleted stream that lives on for its forks.
    #[error("the name is taken by a deleted stream whose forks live on")]
    SoftDeleted,
    /// A fork that no source has granted.
    #[error("the fork's source has not granted it")]
    NotGranted,
}

/// Decides a creation. An expired stream must be ended (`decide_expire`) before.
pub fn decide_create(
    existing: Option<&StreamState>,
    create: &Create,
    now: Timestamp,
) -> Result<CreateDecision, CreateRejection> {
    match existing {
        Some(state) if state.soft_deleted => Err(CreateRejection::SoftDeleted),
        Some(state) => match mismatch(state, create) {
            Some(mismatch) => Err(CreateRejection::Conflict(mismatch)),
            None => Ok(CreateDecision::Exists),
        },
        None => begin(create, now).map(CreateDecision::Write),
    }
}

fn begin(create: &Create, now: Timestamp) -> Result<Record, CreateRejection> {
    let granted = match &create.fork {
        Some(fork) => Some(fork.granted.as_ref().ok_or(CreateRejection::NotGranted)?),
        None => None,
    };
    let (origin, inherited) = granted.cloned().unzip();
    let inherited = inherited.unwrap_or_default();
    Ok(Record::Created {
        id: create.id,
        config: Config {
            content_type: create.content_type.clone().unwrap_or(inherited.content_type),
            expiry: Expiry::of_fork(create.expiry, inherited.expiry),
            retention: Retention::of_fork(create.retention, inherited.retention),
        },
        origin: origin.map(Box::new),
        batch: create.batch.clone(),
        closed: create.closed,
        at: now,
    })
}

fn mismatch(state: &StreamState, create: &Create) -> Option<Mismatch> {
    let inherits = create.fork.is_some();
    let same_type = match &create.content_type {
        Some(asked) => state.config.content_type.same_essence(asked),
        None => inherits || state.config.content_type.same_essence(&ContentType::default()),
    };
    let same_expiry = match create.expiry {
        Some(asked) => state.config.expiry == asked,
        None => inherits || state.config.expiry == Expiry::Never,
    };
    let same_retention = match create.retention {
        Some(asked) => state.config.retention == asked,
        None => inherits || state.config.retention.is_unlimited(),
    };
    if !same_type {
        Some(Mismatch::ContentType)
    } else if !same_expiry {
        Some(Mismatch::Expiry)
    } else if !same_retention {
        Some(Mismatch::Retention)
    } else if state.closed != create.closed {
        Some(Mismatch::Closed)
    } else if !same_origin(state.origin.as_ref(), create.fork.as_ref()) {
        Some(Mismatch::Origin)
    } else {
        None
    }
}

/// A request without an offset asked for the tail of its day, so it matches any.
fn same_origin(origin: Option<&Origin>, fork: Option<&ForkRequest>) -> bool {
    match (origin, fork) {
        (None, None) => true,
        (Some(origin), Some(fork)) => {
            origin.source == fork.source
                && origin.sub_offset == fork.sub_offset
                && fork.offset.is_none_or(|offset| offset == origin.anchor)
        }
        _ => false,
    }
}

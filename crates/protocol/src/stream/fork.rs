//! Forks (section 4.2): streams that begin as a part of another.

use std::sync::Arc;

use super::{Config, Record, StreamId, StreamState};
use crate::{ContentType, Offset, StreamName, Timestamp};

/// A stream that a fork reads through, and up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    /// The life that holds the data.
    pub id: StreamId,
    /// The position before which the data is this ancestor's (and no earlier ancestor's).
    pub until: u64,
}

/// Where a fork comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The stream it was forked from, on which it holds a reference.
    pub source: StreamName,
    /// The life of the source.
    pub source_id: StreamId,
    /// The fork offset: as asked for, or the source's tail of the day.
    pub anchor: Offset,
    /// How much it inherits past the anchor: bytes, or messages of a JSON stream.
    pub sub_offset: u64,
    /// The position of the earliest message that the source had kept.
    pub earliest: u64,
    /// Whose data it reads through, in order, so that a read never walks the chain of forks.
    pub lineage: Arc<[Ancestor]>,
}

impl Origin {
    /// The position at which the fork's own data begins.
    pub fn point(&self) -> u64 {
        self.lineage.last().map_or(0, |ancestor| ancestor.until)
    }
}

/// A request to a source to be forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The life of the fork that will hold the reference.
    pub id: StreamId,
    /// The name of the source.
    pub source: StreamName,
    /// The life of the source in which the sub-offset was resolved.
    pub source_id: StreamId,
    /// The type that the fork asks for.
    pub content_type: Option<ContentType>,
    /// The fork offset; the tail otherwise.
    pub anchor: Option<Offset>,
    /// The sub-offset as asked for.
    pub sub_offset: u64,
    /// How many bytes past the anchor that is (see [`resolve_sub_offset`]).
    pub sub_bytes: u64,
}

/// A source's leave to fork it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkGrant {
    /// The reference, to be written to the source before the fork is created.
    pub record: Record,
    /// What the fork is to be created from.
    pub origin: Origin,
    /// What the fork inherits.
    pub config: Config,
}

/// Why a source cannot be forked so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkRejection {
    /// There is no such source.
    #[error("the source stream does not exist")]
    SourceNotFound,
    /// The source was deleted and lives on for other forks.
    #[error("the source stream was deleted")]
    SourceDeleted,
    /// The fork offset lies past the source's tail.
    #[error("the fork offset lies past the source's tail {tail}")]
    BeyondTail {
        /// The source's tail.
        tail: Offset,
    },
    /// Retention has dropped what the fork would inherit.
    #[error("the fork offset lies before the source's earliest offset {earliest}")]
    BeforeEarliest {
        /// The earliest offset that is kept.
        earliest: Offset,
    },
    /// The fork asks for another type.
    #[error("the source holds {expected}")]
    ContentTypeMismatch {
        /// The source's type.
        expected: ContentType,
    },
}

/// Decides, for the source, whether it can be forked.
pub fn decide_fork(
    source: Option<&StreamState>,
    fork: &Fork,
    now: Timestamp,
) -> Result<ForkGrant, ForkRejection> {
    let source = source.filter(|s| s.id == fork.source_id);
    let source = source.filter(|s| s.soft_deleted || !s.is_expired(now));
    let source = source.ok_or(ForkRejection::SourceNotFound)?;
    if source.soft_deleted {
        return Err(ForkRejection::SourceDeleted);
    }
    if fork.content_type.as_ref().is_some_and(|t| !source.config.content_type.same_essence(t)) {
        let expected = source.config.content_type.clone();
        return Err(ForkRejection::ContentTypeMismatch { expected });
    }
    let anchor = fork.anchor.unwrap_or(source.next_offset());
    let point = anchor.position().saturating_add(fork.sub_bytes);
    if point > source.tail {
        return Err(ForkRejection::BeyondTail { tail: source.next_offset() });
    }
    if point < source.earliest {
        let earliest = Offset::new(source.earliest);
        return Err(ForkRejection::BeforeEarliest { earliest });
    }
    let origin = Origin {
        source: fork.source.clone(),
        source_id: source.id,
        anchor,
        sub_offset: fork.sub_offset,
        earliest: source.earliest,
        lineage: lineage(source, point),
    };
    let record = Record::ForkAdded { fork: fork.id, keeps: source.earliest };
    Ok(ForkGrant { record, origin, config: source.config.clone() })
}

/// Decides, for the source, whether a fork's letting go changes anything.
pub fn decide_release(source: Option<&StreamState>, fork: StreamId) -> Option<Record> {
    source?.forks.contains_key(&fork).then_some(Record::ForkReleased { fork })
}

/// The source's own ancestors up to the point, then the source itself.
fn lineage(source: &StreamState, point: u64) -> Arc<[Ancestor]> {
    let inherited = source.origin.iter().flat_map(|origin| origin.lineage.iter());
    let mut ancestors = Vec::new();
    for ancestor in inherited {
        ancestors.push(Ancestor { id: ancestor.id, until: ancestor.until.min(point) });
        if ancestor.until >= point {
            return ancestors.into();
        }
    }
    ancestors.push(Ancestor { id: source.id, until: point });
    ancestors.into()
}

/// Why a sub-offset names no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubOffset {
    /// The fork offset lies inside a message.
    #[error("the fork offset is not one that the server returned")]
    Misaligned,
    /// There is less data past the fork offset.
    #[error("the sub-offset reaches past the data at the fork offset")]
    Overshoot,
}

/// How many bytes past the anchor a sub-offset lies.
///
/// `messages` are the beginning and the end of the messages from the anchor on, as positions. On
/// JSON streams a sub-offset counts messages; on others, bytes of the message at the anchor.
pub fn resolve_sub_offset(
    json: bool,
    anchor: Offset,
    sub_offset: u64,
    mut messages: impl Iterator<Item = (u64, u64)>,
) -> Result<u64, InvalidSubOffset> {
    let anchor = anchor.position();
    let first = messages.next();
    if first.is_some_and(|(begin, _)| begin != anchor) {
        return Err(InvalidSubOffset::Misaligned);
    }
    if sub_offset == 0 {
        return Ok(0);
    }
    let (begin, end) = first.ok_or(InvalidSubOffset::Overshoot)?;
    if !json {
        let fits = sub_offset <= end - begin;
        return fits.then_some(sub_offset).ok_or(InvalidSubOffset::Overshoot);
    }
    let further = usize::try_from(sub_offset - 1).map_err(|_| InvalidSubOffset::Overshoot)?;
    let last = match further {
        0 => Some((begin, end)),
        further => messages.nth(further - 1),
    };
    last.map(|(_, end)| end - anchor).ok_or(InvalidSubOffset::Overshoot)
}

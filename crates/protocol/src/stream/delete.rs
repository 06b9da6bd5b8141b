//! How a stream or the beginning of it goes: delete (section 5.4), expiry (5.1), retention (4).

use super::{Cut, Record, StreamState};
use crate::Timestamp;

/// Why a deletion is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRejection {
    /// There is no such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// It was deleted before and lives on for its forks.
    #[error("the stream was deleted")]
    Gone,
}

/// Decides a deletion: a stream that forks refer to is soft-deleted.
pub fn decide_delete(
    state: Option<&StreamState>,
    now: Timestamp,
) -> Result<Record, DeleteRejection> {
    let state = state.filter(|s| s.soft_deleted || !s.is_expired(now));
    match state {
        None => Err(DeleteRejection::NotFound),
        Some(state) if state.soft_deleted => Err(DeleteRejection::Gone),
        Some(state) => Ok(end(state)),
    }
}

/// Decides whether a stream has ended by itself; `None` if it lives on.
pub fn decide_expire(state: Option<&StreamState>, now: Timestamp) -> Option<Record> {
    let state = state?;
    (!state.soft_deleted && state.is_expired(now)).then(|| end(state))
}

/// Decides whether dropping everything before a message boundary changes anything.
pub fn decide_truncate(state: Option<&StreamState>, cut: Cut) -> Option<Record> {
    let state = state.filter(|state| !state.soft_deleted)?;
    let Cut { before, messages } = cut;
    (before > state.earliest && before <= state.tail)
        .then_some(Record::Truncated { before, messages })
}

fn end(state: &StreamState) -> Record {
    match state.forks.is_empty() {
        true => Record::Deleted,
        false => Record::SoftDeleted,
    }
}
